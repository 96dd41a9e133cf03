"""Scaling a network to a budget: by a law for depth, width and resolution, whose coefficients can be searched for.

`nas.scaling.family.scale` is the way in. What depth, width and resolution are of a network is in
`nas.scaling.dimensions`, the search for a member within budgets in `nas.scaling.solver`, and the grid of trained
coefficients in `nas.scaling.grid`.
"""

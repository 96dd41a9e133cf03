"""Reports of a run: cells drawn, charts, and one self-contained page.

Nothing is imported here: `nas.report.summary` and `nas.report.analysis` are light, whatever draws loads matplotlib.
"""

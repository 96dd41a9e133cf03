"""Training one network: recipes, and the loop that follows them."""

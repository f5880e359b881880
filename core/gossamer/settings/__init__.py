"""Every choice as data: the recipe, which model, what to find; flattened for every face."""

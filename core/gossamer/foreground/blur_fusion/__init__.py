"""Blur fusion (Forte 2021): foreground colours by two box blurs."""

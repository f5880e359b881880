"""The weights: what can be had (catalogue), where it lies (store), and how it comes (fetch)."""

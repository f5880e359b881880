"""Weights into Gossamer's own folder, from wherever they can be had."""

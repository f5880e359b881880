"""Segmentation: where the subject is."""

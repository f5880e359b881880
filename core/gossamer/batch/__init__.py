"""Thousands of pictures in one run: planned before, journalled while it goes, resumed after whatever ended it."""

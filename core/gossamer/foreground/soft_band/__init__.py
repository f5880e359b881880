"""Foreground and background colours solved in the soft band of an alpha."""

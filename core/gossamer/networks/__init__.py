"""Runtimes: what runs a network, and where."""

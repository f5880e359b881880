"""Clips to learn from: found, looked at, made of stills, fed to a network that remembers, and proved on."""

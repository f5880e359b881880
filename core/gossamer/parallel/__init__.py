"""Work on every core: strips, and how many threads this process may use."""

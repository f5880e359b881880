"""The worker: a process that keeps models warm and cuts out pictures for the GIMP plug-in."""

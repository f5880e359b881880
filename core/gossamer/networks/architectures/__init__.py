"""Networks as torch modules, written from their papers, with the state-dict names of the published checkpoints."""

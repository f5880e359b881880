"""Training data: found, checked, split without leaks, and made more of."""

from __future__ import annotations

from gossamer.training.dataset.composing import compose
from gossamer.training.dataset.examples import Dataset, Example
from gossamer.training.dataset.reading import read_dataset
from gossamer.training.dataset.splitting import Split, split

__all__ = ["Dataset", "Example", "Split", "compose", "read_dataset", "split"]

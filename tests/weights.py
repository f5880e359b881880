"""Real weights for the tests that need them, fetched once and kept between runs."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from unittest import mock

from gossamer.models import store
from gossamer.models.catalogue import load_catalogue

_ELSEWHERE = ("GOSSAMER_MODEL_PATH", "GOSSAMER_MIRROR", "GOSSAMER_OFFLINE", "COMFYUI_PATH")


def cache_folder() -> Path:
    """Return the folder that keeps between runs what tests fetch or install."""
    return Path(os.environ.get("GOSSAMER_TEST_CACHE") or "~/.cache/gossamer-tests").expanduser().absolute()


@functools.cache
def weights_home() -> Path:
    """Return a folder to use as GOSSAMER_HOME: it holds the weights of every model of the catalogue.

    What is missing is fetched, safely also from several processes at once. Do not write into it.
    """
    home = cache_folder() / "home"
    nowhere = str(home / "nowhere")
    here = {"GOSSAMER_HOME": str(home), "HF_HUB_CACHE": nowhere, "U2NET_HOME": nowhere}
    with mock.patch.dict(os.environ, here):
        for name in _ELSEWHERE:
            os.environ.pop(name, None)
        for card in load_catalogue().values():
            weights = store.fetch(card, announce=print)
            assert weights.path.parent == home / "models"
    return home

"""Real weights for the tests that need them, fetched once and kept between runs."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from unittest import mock

from gossamer.weights import store
from gossamer.weights.catalogue import model_card

_MODELS = ("isnet-general-use", "u2net", "u2netp")  # the package registries have them
_ELSEWHERE = ("GOSSAMER_MODEL_PATH", "GOSSAMER_MIRROR", "GOSSAMER_OFFLINE", "COMFYUI_PATH")


def cache_folder() -> Path:
    """Return the folder that keeps between runs what tests fetch or install."""
    return Path(os.environ.get("GOSSAMER_TEST_CACHE") or "~/.cache/gossamer-tests").expanduser().absolute()


@functools.cache
def video_weights() -> Path:
    """Return the file of Robust Video Matting's weights, fetched where it is missing."""
    home = cache_folder() / "video-home"
    nowhere = str(home / "nowhere")
    here = {"GOSSAMER_HOME": str(home), "HF_HUB_CACHE": nowhere, "U2NET_HOME": nowhere}
    with mock.patch.dict(os.environ, here):
        for name in _ELSEWHERE:
            os.environ.pop(name, None)
        return store.fetch(model_card("rvm-mobilenetv3"), announce=print, accept_licence=True).path


@functools.cache
def weights_home() -> Path:
    """Return a folder to use as GOSSAMER_HOME: it holds the weights of the models that are small or free to have.

    What is missing is fetched, safely also from several processes at once. Do not write into it.
    """
    home = cache_folder() / "home"
    nowhere = str(home / "nowhere")
    here = {"GOSSAMER_HOME": str(home), "HF_HUB_CACHE": nowhere, "U2NET_HOME": nowhere}
    with mock.patch.dict(os.environ, here):
        for name in _ELSEWHERE:
            os.environ.pop(name, None)
        for model in _MODELS:
            weights = store.fetch(model_card(model), announce=print, runtime="onnx")
            assert weights.path.parent == home / "models"
    return home

# SPDX-License-Identifier: GPL-3.0-or-later
"""Which settings count beside which others: the dialog greys out what does not. Standard library only, no gi."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_SEEN = ("balanced", "fast", "best", "limit")  # subjects that a model finds by itself
_ROUGH = (*_SEEN, "box", "scribbles", "text", "existing")  # those whose edge is solved by the matting: not a trimap
_COLOURED = ("layer", "layers", "image", "finished")  # outputs with colours of their own
_BANDS = ("closed_form", "knn", "learning_based", "vitmatte", "guided")  # mattings that solve a band of one width

_MODEL = ({"subject": _SEEN},)
_BAND = ({"subject": _ROUGH}, {"matting": _BANDS})
_COLOURS = ({"output": _COLOURED},)
_BLUR = (*_COLOURS, {"foreground": ("blur_fusion",)})

RULES: Mapping[str, tuple[dict[str, tuple[str, ...]], ...]] = {
    "model": _MODEL,
    "segmentation-detail": _MODEL,
    "segmentation-flips": _MODEL,
    "segmentation-resolution": _MODEL,
    "matting-band": _BAND,
    "matting-unit": _BAND,
    "matting-model": ({"matting": ("vitmatte",)},),
    "matting-screen": ({"subject": _ROUGH}, {"matting": ("key",)}),
    "foreground": _COLOURS,
    "foreground-radius": _BLUR,
    "foreground-fine-radius": _BLUR,
    "foreground-decontaminate": (
        *_COLOURS,
        {"foreground": ("auto", "soft_band", "blur_fusion", "multilevel", "closed_form")},
    ),
    "foreground-despill": _COLOURS,
    "foreground-shadow": ({"output": ("layer", "mask", "image", "finished")},),
    # By itself it takes only a screen's tint off, and only "key" knows of one.
    "foreground-despill-strength": (
        *_COLOURS,
        {"foreground-despill": ("auto", "green", "blue")},
        {"foreground-despill": ("green", "blue"), "matting": ("key",)},
    ),
}
"""For each setting that does not always count: conditions that must all be met. A condition is met where one of its
settings has one of its values."""

DECIDING = frozenset(name for conditions in RULES.values() for one in conditions for name in one)
"""The settings that decide it."""


def counts(name: str, value_of: Callable[[str], object]) -> bool:
    """Return whether a setting counts, where ``value_of(name)`` is how another one is set."""
    return all(any(value_of(other) in values for other, values in one.items()) for one in RULES.get(name, ()))

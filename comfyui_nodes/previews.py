# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node shows of its result on itself: one small picture, while it works and afterwards."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import ui

__all__ = ["of_image", "of_mask", "small", "with_source"]

_LONGEST = 512  # pixels: a preview is no copy of the result


def small(picture: torch.Tensor) -> torch.Tensor:
    """Return a picture, (H, W, C), no larger than a preview is, (h, w, C) float32 on the CPU."""
    planes = picture.detach().to("cpu", torch.float32).clamp(0, 1)
    step = max(1, -(-max(planes.shape[:2]) // _LONGEST))
    if step == 1:
        return planes
    shrunk = torch.nn.functional.avg_pool2d(planes.movedim(-1, 0)[None], step, ceil_mode=True)
    return shrunk[0].movedim(0, -1)


def of_image(images: torch.Tensor) -> Any:
    """Return what is shown of an IMAGE: its first picture."""
    return ui.PreviewImage(small(images[0])[None])


def of_mask(masks: torch.Tensor) -> Any:
    """Return what is shown of a MASK: its first one."""
    return ui.PreviewMask(small(masks[0][..., None])[None, ..., 0])


def with_source(shown: Any, images: torch.Tensor) -> dict[str, Any]:
    """Return what a node shows of its result, and beside it what it worked on, for the page's own picture to click in.

    Parameters
    ----------
    shown : dict or ui output
        What is shown of the result.
    images : (B, H, W, C) tensor
        What came in; its first picture is meant, and its size told: what is shown of it can be smaller.
    """
    told = shown if isinstance(shown, dict) else shown.as_dict()
    (saved,) = of_image(images).as_dict()["images"]
    height, width = images.shape[1:3]
    return {**told, "gossamer_source": [{**saved, "width": int(width), "height": int(height)}]}

"""From a trimap to a matte, by any of the methods that take one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

from numpy.typing import ArrayLike

from gossamer.arguments import check_choice
from gossamer.arrays import Array
from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.matting.sampled import knn_alpha, learning_based_alpha
from gossamer.matting.vitmatte.lent import lent_vitmatte
from gossamer.progress import Progress, ProgressCallback

__all__ = ["TRIMAP_METHODS", "trimap_alpha"]

TrimapMethod: TypeAlias = Literal["closed_form", "knn", "learning_based", "vitmatte"]
TRIMAP_METHODS: tuple[TrimapMethod, ...] = get_args(TrimapMethod)


def trimap_alpha(
    image: ArrayLike,
    trimap: ArrayLike,
    method: TrimapMethod = "closed_form",
    *,
    model: str = "auto",
    device: str = "auto",
    progress: Progress | ProgressCallback | None = None,
    warn: Callable[[str], object] | None = None,
    announce: Callable[[str], object] | None = None,
) -> Array:
    """Solve what a trimap leaves unknown.

    Parameters
    ----------
    image : (H, W, 3) array
        RGB: uint8, uint16 or floats in [0, 1].
    trimap : (H, W) array
        At most 0.1: background; at least 0.9: foreground; between: unknown. Floats in [0, 1], uint8 or uint16.
    method : {"closed_form", "knn", "learning_based", "vitmatte"}
        Levin 2008, Chen 2013, Zheng 2009, Yao 2023.
    model, device : str
        Of ViTMatte: which, and where it runs. It stays warm.
    progress : callable, optional
        ``progress(fraction, message)``; raising in it stops the work.
    warn : callable, optional
        Told in one sentence what did not go as asked.
    announce : callable, optional
        Told in one sentence what is fetched.

    Returns
    -------
    (H, W) float32
        In [0, 1]; 1 and 0 where the trimap is certain.

    Raises
    ------
    InputError
        There is no such method, sizes differ, or the trimap has no known foreground or background.
    GossamerError
        ViTMatte cannot be had.
    """
    check_choice(method, TRIMAP_METHODS, "method for trimaps")
    steps = Progress.of(progress)
    if method == "closed_form":
        return closed_form_alpha(image, trimap, progress=steps)
    if method == "vitmatte":
        with lent_vitmatte(model, device, steps.part(0.0, 0.2), announce) as network:
            return network.predict(image, trimap, progress=steps.part(0.2, 1.0), warn=warn)
    solve = knn_alpha if method == "knn" else learning_based_alpha
    return solve(image, trimap, progress=steps, warn=warn)

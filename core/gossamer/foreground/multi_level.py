"""Multi-level foreground estimation (Germer 2020)."""

from __future__ import annotations

from gossamer.arrays import Array
from gossamer.foreground.checks import check_pair
from gossamer.progress import Progress, ProgressCallback

__all__ = ["multilevel"]


def multilevel(
    image: object, alpha: object, *, progress: Progress | ProgressCallback | None = None
) -> Array:
    """Estimate the foreground's colours by the multi-level method, (H, W, 3) float32 in [0, 1]."""
    from pymatting import estimate_foreground_ml

    picture, matte = check_pair(image, alpha)
    report = Progress.of(progress)
    report(0.0, "Estimating foreground colours")
    result: Array = estimate_foreground_ml(picture, matte)
    report(1.0)
    return result

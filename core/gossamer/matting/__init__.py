"""From a mask to a matte: trimaps and solvers of the compositing equation."""

from gossamer.matting.closed_form import closed_form_alpha
from gossamer.matting.trimap import trimap_from_mask

__all__ = ["closed_form_alpha", "trimap_from_mask"]

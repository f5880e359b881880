"""From a mask to a matte: trimaps and solvers of the compositing equation."""

from gossamer.matting.auto.alpha import auto_alpha
from gossamer.matting.closed_form.alpha import closed_form_alpha
from gossamer.matting.from_mask.alpha import matte_from_mask
from gossamer.matting.from_trimap import TRIMAP_METHODS, trimap_alpha
from gossamer.matting.guided import guided_alpha
from gossamer.matting.preparing import prepare_matting
from gossamer.matting.sampled import knn_alpha, learning_based_alpha
from gossamer.matting.trimap import trimap_from_mask
from gossamer.matting.vitmatte.network import VitMatte, vitmatte_alpha

__all__ = [
    "TRIMAP_METHODS",
    "VitMatte",
    "auto_alpha",
    "closed_form_alpha",
    "guided_alpha",
    "knn_alpha",
    "learning_based_alpha",
    "matte_from_mask",
    "prepare_matting",
    "trimap_alpha",
    "trimap_from_mask",
    "vitmatte_alpha",
]

"""The subject's own colours around every place: what a pixel at its edge may be a mixture of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.resampling import wide_blur

__all__ = ["ANYWHERE", "SubjectColours", "subject_colours_around"]

SIGMAS = (2.0, 6.0, 20.0, 60.0)  # units over which opaque colours are averaged
DOUBTS = (0.0, 0.3, 0.6, 1.0)  # what each of these costs: the further away, the less it is this place's colour
CLUSTERS, SAMPLE = 12, 4000  # of all opaque colours, from so many pixels
ANYWHERE = 1.5  # the cost of a colour that occurs somewhere
REACHED = 1e-3  # less of an average than this is nothing


class SubjectColours(NamedTuple):
    """Colours that pixels at an edge may come from, with the doubt about each.

    Attributes
    ----------
    near : (K, h, w, 3) float32
        Of this place: the nearest opaque pixel's, and averages over growing distances.
    doubts : tuple of float
        K, of those.
    anywhere : (C, 3) float32
        What occurs anywhere in the subject.
    """

    near: Array
    doubts: tuple[float, ...]
    anywhere: Array


def subject_colours_around(image: Array, opaque: NDArray[np.bool_], unit: float) -> SubjectColours | None:
    """Collect the colours of what is opaque; None where nothing is.

    Parameters
    ----------
    image : (h, w, 3) float32
    opaque : (h, w) bool
    unit : float
        Pixels in a unit of length.
    """
    import cv2

    places = np.flatnonzero(opaque)
    if not len(places):
        return None
    _, labels = cv2.distanceTransformWithLabels(
        (~opaque).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place = np.zeros(int(labels.max()) + 1, np.intp)
    flat = labels.ravel()
    place[flat[places]] = places
    colours = image.reshape(-1, 3)
    nearest = colours[place[flat]].reshape(image.shape)
    weight = opaque.astype(np.float32)
    layers, weighted = [nearest], np.dstack([image * weight[..., None], weight])
    for sigma in SIGMAS:
        summed = wide_blur(weighted, sigma * unit)
        there = summed[..., 3:] > REACHED
        layers.append(np.where(there, summed[..., :3] / np.maximum(summed[..., 3:], np.float32(1e-6)), nearest))
    sample = colours[places]
    if len(sample) > SAMPLE:
        sample = sample[np.random.default_rng(0).choice(len(sample), SAMPLE, replace=False)]
    cv2.setRNGSeed(1)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, _, anywhere = cv2.kmeans(sample, min(CLUSTERS, len(sample)), None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    return SubjectColours(np.stack(layers), (0.0, *DOUBTS), np.asarray(anywhere, np.float32))

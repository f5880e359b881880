"""Measures of masks: salient object and dichotomous segmentation, through PySODMetrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask
from gossamer.errors import InputError, import_failure
from gossamer.evaluation.boundary import boundary_iou
from gossamer.evaluation.measures import chosen

__all__ = ["MaskScores", "evaluate_mask"]


@dataclass(frozen=True, eq=False)
class MaskScores:
    """The measures of one mask.

    Attributes
    ----------
    values : dict of str to float
        By name, see :data:`gossamer.evaluation.MEASURES`; never NaN or infinite.
    f_curve, e_curve : (256,) float64 or None
        F- and E-measure of the prediction cut at 255, 254 ... 0 of 255; None where no measure needed them.
    empty_truth : bool
        The truth has no foreground: F, weighted F, IoU and boundary IoU are 0 whatever the prediction is.
    """

    values: dict[str, float]
    f_curve: NDArray[np.float64] | None
    e_curve: NDArray[np.float64] | None
    empty_truth: bool


def evaluate_mask(
    prediction: ArrayLike,
    truth: ArrayLike,
    *,
    measures: Iterable[str] | None = None,
    stretch: bool = True,
) -> MaskScores:
    """Measure one mask against the truth, as the field's papers do.

    Parameters
    ----------
    prediction : (H, W) array
        bool, uint8, uint16 or floats in [0, 1]; 1 = foreground.
    truth : (H, W) array
        The same; what is above 128/255 is foreground, as in the published evaluation codes.
    measures : iterable of str, optional
        Only these (see Returns); all by default. HCE takes about as long as all others together.
    stretch : bool
        Stretch the prediction to [0, 1] first (min-max), as published numbers have it. A flat one stays as it is.

    Returns
    -------
    MaskScores
        ``mae`` : mean absolute error (Perazzi 2012).
        ``max_f``, ``mean_f``, ``adaptive_f`` : F-measure, beta² = 0.3 (Achanta 2009), over 256 thresholds and at
        twice the prediction's mean.
        ``weighted_f`` : weighted F-measure, beta² = 1 (Margolin 2014).
        ``s_measure`` : structure measure, alpha = 0.5 (Fan 2017).
        ``max_e``, ``mean_e``, ``adaptive_e`` : enhanced alignment measure (Fan 2018). It divides by H W - 1 as its
        authors do and so may pass 1 a little.
        ``hce`` : human correction effort, relax 5, epsilon 2 (Qin 2022): clicks, lower is better. It counts the corners
        of OpenCV's ``approxPolyDP``, which from OpenCV 4.13 on finds about one more in a hundred than before: compare
        values of one version.
        ``iou`` : intersection over union of what is above one half.
        ``boundary_iou`` : the same of the masks' inner rims (Cheng 2021), see :func:`boundary_iou`.

        All but the last are PySODMetrics' own numbers. Where the truth has no foreground those of overlap
        (F, weighted F, IoU, boundary IoU) are 0, as PySODMetrics has it, and S and E reward emptiness.

    Raises
    ------
    InputError
        If an array is none of the above, the sizes differ, or a measure is not known.
    MissingExtra
        Without the package pysodmetrics (unless ``boundary_iou`` is all that is wanted).
    """
    names = chosen("mask", measures)
    wanted = set(names)
    predicted = _exact(as_mask(prediction, name="prediction", measured=True))
    target = as_mask(truth, name="truth", measured=True)
    if predicted.shape != target.shape:
        raise InputError(
            f"The prediction is {predicted.shape[1]} x {predicted.shape[0]} pixels, "
            f"but the truth is {target.shape[1]} x {target.shape[0]}.",
            "Compare masks of the same picture at the same size.",
        )
    subject: NDArray[np.bool_] = target > np.float32(128 / 255)
    if stretch and (span := float(np.ptp(predicted))) > 0:
        predicted = (predicted - predicted.min()) / span
    found: dict[str, float] = {}
    f_curve = e_curve = None
    if "boundary_iou" in wanted:
        found["boundary_iou"] = boundary_iou(predicted > 0.5, subject)
    if wanted - {"boundary_iou"}:
        values, f_curve, e_curve = _through_pysodmetrics(predicted, subject, wanted)
        found |= values
    return MaskScores({name: found[name] for name in names}, f_curve, e_curve, not subject.any())


def _exact(mask: Array) -> NDArray[np.float64]:
    """Return `mask` in double precision, 8-bit values as exact multiples of 1/255.

    The thresholds cut ``x * 255`` down to a whole number: of a 1/255 in single precision that is often one too few.
    """
    steps = np.rint(mask * np.float32(255))
    whole = np.array_equal(steps / np.float32(255), mask)
    exact: NDArray[np.float64] = steps.astype(np.float64) / 255 if whole else mask.astype(np.float64)
    return exact


def _through_pysodmetrics(
    predicted: NDArray[np.float64], subject: NDArray[np.bool_], wanted: set[str]
) -> tuple[dict[str, float], NDArray[np.float64] | None, NDArray[np.float64] | None]:
    """Return values and the two curves; the library's objects gather all pictures, so each gets new ones."""
    try:
        import py_sod_metrics as library
    except ImportError as error:
        raise import_failure(error, "Measuring masks", "evaluate") from error

    def stepped(metric: Any) -> Any:
        metric.step(predicted, subject, normalize=False)
        return metric.get_results()

    values: dict[str, float] = {}
    f_curve = e_curve = None
    handlers = {}
    if wanted & {"max_f", "mean_f", "adaptive_f"}:
        handlers["f"] = library.FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=0.3)
    if "iou" in wanted:
        handlers["iou"] = library.IOUHandler(with_dynamic=False, with_adaptive=False, with_binary=True)
    if handlers:
        overlaps = stepped(library.FmeasureV2(handlers))
        if "f" in overlaps:
            f_curve = np.asarray(overlaps["f"]["dynamic"], np.float64)
            values |= {"max_f": f_curve.max(), "mean_f": f_curve.mean(), "adaptive_f": overlaps["f"]["adaptive"]}
        if "iou" in overlaps:
            values["iou"] = overlaps["iou"]["binary"]
    if wanted & {"max_e", "mean_e", "adaptive_e"}:
        alignment = stepped(library.Emeasure())["em"]
        # It divides by (number of pixels - 1 + 2**-52): undo that for a single pixel, which gives 4.5e15 otherwise.
        scale = float(np.spacing(1)) if subject.size == 1 else 1.0
        e_curve = np.asarray(alignment["curve"], np.float64) * scale
        values |= {"max_e": e_curve.max(), "mean_e": e_curve.mean(), "adaptive_e": alignment["adp"] * scale}
    if "mae" in wanted:
        values["mae"] = stepped(library.MAE())["mae"]
    if "weighted_f" in wanted:
        values["weighted_f"] = stepped(library.WeightedFmeasure())["wfm"]
    if "s_measure" in wanted:
        values["s_measure"] = stepped(library.Smeasure())["sm"]
    if "hce" in wanted:
        values["hce"] = stepped(library.HumanCorrectionEffortMeasure())["hce"]
    return {name: float(value) for name, value in values.items()}, f_curve, e_curve

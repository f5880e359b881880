"""The measures of masks against plain readings of the papers, and where these leave them undefined."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from gossamer.errors import InputError, MissingExtra
from gossamer.evaluation import MEASURES, evaluate_mask
from tests.evaluation.shapes import matte_pair, small_pair

MASK = [name for name, measure in MEASURES.items() if measure.kind == "mask"]
THRESHOLDS = range(255, -1, -1)


def f_measure(cut: NDArray[np.bool_], subject: NDArray[np.bool_]) -> float:
    hits = (cut & subject).sum()
    if not hits:
        return 0.0
    precision, recall = hits / cut.sum(), hits / subject.sum()
    return float(1.3 * precision * recall / (0.3 * precision + recall))


def e_measure(cut: NDArray[np.bool_], subject: NDArray[np.bool_]) -> float:
    """Fan 2018, equations 1 to 4, pixel by pixel."""
    first, second = cut - cut.mean(), subject - subject.mean()
    alignment = 2 * first * second / (first**2 + second**2)
    return float(((alignment + 1) ** 2 / 4).sum() / (cut.size - 1))


def s_measure(x: NDArray[np.float64], subject: NDArray[np.bool_]) -> float:
    """Fan 2017: half object-aware, half region-aware."""

    def of_object(values: NDArray[np.float64]) -> float:
        return float(2 * values.mean() / (values.mean() ** 2 + 1 + values.std(ddof=1)))

    def of_region(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        covariance = np.cov(a.ravel(), b.ravel())
        if covariance[0, 1] == 0:
            return 1.0 if covariance[0, 0] + covariance[1, 1] == 0 else 0.0
        means = 2 * a.mean() * b.mean() / (a.mean() ** 2 + b.mean() ** 2)
        return float(means * 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1]))

    share = subject.mean()
    objects = share * of_object(x[subject]) + (1 - share) * of_object(1 - x[~subject])
    row, column = (round(float(part.mean())) + 1 for part in np.nonzero(subject))
    parts = [(slice(a, b), slice(c, d)) for a, b in ((0, row), (row, None)) for c, d in ((0, column), (column, None))]
    regions = sum(of_region(x[part], subject[part].astype(float)) * subject[part].size for part in parts)
    return 0.5 * objects + 0.5 * regions / subject.size


def weighted_f(x: NDArray[np.float64], subject: NDArray[np.bool_]) -> float:
    """Margolin 2014: the error of a background pixel is that of the nearest subject's, blurred, and weighs more far."""
    rows, columns = np.nonzero(subject)
    error = np.abs(x - subject)
    spread, distance = error.copy(), np.zeros(x.shape)
    for (row, column), inside in np.ndenumerate(subject):
        if not inside:
            lengths = np.hypot(rows - row, columns - column)
            nearest = int(lengths.argmin())
            spread[row, column], distance[row, column] = error[rows[nearest], columns[nearest]], lengths[nearest]
    steps = np.arange(-3, 4)
    bell = np.exp(-(steps[:, None] ** 2 + steps**2) / 50)
    padded = np.pad(spread, 3)
    blurred = np.array(
        [
            [(padded[i : i + 7, j : j + 7] * bell).sum() / bell.sum() for j in range(x.shape[1])]
            for i in range(x.shape[0])
        ]
    )
    least = np.where(subject, np.minimum(error, blurred), error)
    weighted = least * np.where(subject, 1, 2 - 0.5 ** (distance / 5))
    hits = subject.sum() - weighted[subject].sum()
    recall = 1 - weighted[subject].mean()
    precision = hits / (hits + weighted[~subject].sum())
    return float(2 * recall * precision / (recall + precision))


def test_the_measures_are_those_of_the_papers() -> None:
    prediction, truth = small_pair()
    subject, x = truth > 128, prediction / 255
    found = evaluate_mask(prediction, truth)
    cuts = [prediction >= threshold for threshold in THRESHOLDS]
    f_curve = [f_measure(cut, subject) for cut in cuts]
    with np.errstate(invalid="ignore", divide="ignore"):
        e_curve = [e_measure(cut, subject) for cut in cuts]
    e_curve[-1] = found.e_curve[-1]  # all foreground: 0 / 0 in the paper
    np.testing.assert_allclose(found.f_curve, f_curve, rtol=1e-12)
    np.testing.assert_allclose(found.e_curve, e_curve, rtol=1e-12)
    adaptive = x >= 2 * x.mean()
    expected = {
        "mae": np.abs(x - subject).mean(),
        "max_f": max(f_curve),
        "mean_f": np.mean(f_curve),
        "adaptive_f": f_measure(adaptive, subject),
        "s_measure": s_measure(x, subject),
        "max_e": max(e_curve),
        "mean_e": np.mean(e_curve),
        "adaptive_e": e_measure(adaptive, subject),
        "iou": ((x > 0.5) & subject).sum() / ((x > 0.5) | subject).sum(),
    }
    for name, value in expected.items():
        assert found.values[name] == pytest.approx(value, rel=1e-9), name
    assert list(found.values) == MASK


def test_weighted_f_is_that_of_the_paper() -> None:
    # A half plane, so that the nearest pixel of the subject is one and not one of several.
    prediction = np.random.default_rng(2).integers(0, 256, (9, 12)).astype(np.uint8)
    prediction[0, 0], prediction[8, 11] = 0, 255
    truth = np.zeros((9, 12), np.uint8)
    truth[:, 7:] = 255
    value = evaluate_mask(prediction, truth, measures=["weighted_f"]).values["weighted_f"]
    assert value == pytest.approx(weighted_f(prediction / 255, truth > 128), rel=1e-9)


def test_human_correction_effort() -> None:
    truth = np.zeros((200, 200), np.uint8)
    truth[40:160, 40:120] = 255

    def clicks(prediction: NDArray[np.uint8]) -> float:
        return evaluate_mask(prediction, truth, measures=["hce"]).values["hce"]

    assert clicks(truth) == 0
    apart = truth.copy()
    apart[60:110, 150:190] = 255  # one click takes away a part that touches nothing
    assert clicks(apart) == 1
    apart[150:190, 150:190] = 255
    assert clicks(apart) == 2
    grown = truth.copy()
    grown[38:162, 38:122] = 255  # within the relaxation of five pixels: nobody would correct it
    assert clicks(grown) == 0
    bitten = truth.copy()
    bitten[80:120, 90:120] = 0  # missing at the rim: the straight line that closes it has two ends
    assert clicks(bitten) == 2
    holed = truth.copy()
    holed[80:120, 70:90] = 0
    assert clicks(holed) == 1


def test_a_perfect_mask() -> None:
    _, truth = small_pair()
    values = evaluate_mask(truth, truth).values
    best = {name: 1.0 if MEASURES[name].higher_is_better else 0.0 for name in MASK}
    size = truth.size
    best |= {name: size / (size - 1) for name in ("max_e", "mean_e", "adaptive_e")}  # as its authors divide
    best["mean_f"] = (255 + evaluate_mask(truth, truth).f_curve[-1]) / 256  # at 0 everything is foreground
    best["mean_e"] = evaluate_mask(truth, truth).e_curve.mean()
    assert values == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (0, 0, {"mae": 0, "max_f": 0, "weighted_f": 0, "s_measure": 1, "iou": 0, "boundary_iou": 0, "hce": 0}),
        (255, 0, {"mae": 1, "max_f": 0, "weighted_f": 0, "s_measure": 0, "iou": 0, "boundary_iou": 0}),
        (0, 255, {"mae": 1, "adaptive_f": 1, "s_measure": 0, "iou": 0, "boundary_iou": 0}),
        (255, 255, {"mae": 0, "max_f": 1, "weighted_f": 1, "s_measure": 1, "iou": 1, "boundary_iou": 1, "hce": 0}),
        (128, 0, {"mae": 128 / 255, "max_f": 0, "s_measure": 127 / 255}),
    ],
)
@pytest.mark.parametrize("size", [(30, 40), (1, 1), (1, 9), (2, 2)])
def test_flat_pictures_have_defined_values(
    prediction: int, truth: int, expected: dict[str, float], size: tuple[int, int]
) -> None:
    found = evaluate_mask(np.full(size, prediction, np.uint8), np.full(size, truth, np.uint8))
    assert np.isfinite(list(found.values.values())).all()
    assert found.empty_truth == (truth == 0)
    assert all(0 <= value <= 2 for name, value in found.values.items() if name != "hce")
    for name, value in expected.items():
        assert found.values[name] == pytest.approx(value, abs=1e-9), name


def test_the_stretch_is_a_choice() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:, 5:] = 255
    faint = (truth * 0.2).astype(np.uint8)
    assert evaluate_mask(faint, truth, measures=["mae"]).values["mae"] == pytest.approx(0, abs=1e-12)
    plain = evaluate_mask(faint, truth, measures=["mae", "iou"], stretch=False).values
    assert plain == pytest.approx({"mae": 0.5 * (1 - 51 / 255), "iou": 0.0})


def test_depths_and_order_of_types() -> None:
    prediction, truth = matte_pair()
    prediction[0, 0], prediction[60, 70] = 0, 255
    names = [name for name in MASK if name != "hce"]
    eight = evaluate_mask(prediction, truth, measures=names).values
    single = evaluate_mask((prediction / 255).astype(np.float32), truth > 128, measures=names).values
    assert single == eight
    sixteen = evaluate_mask(prediction.astype(np.uint16) * 257, truth, measures=names).values
    assert sixteen == eight


def test_only_what_is_asked_for() -> None:
    prediction, truth = small_pair()
    every = evaluate_mask(prediction, truth).values
    for name in MASK:
        assert evaluate_mask(prediction, truth, measures=[name]).values == {name: every[name]}


def test_bad_input() -> None:
    with pytest.raises(InputError, match=r"prediction is 4 x 3 pixels, but the truth is 4 x 4"):
        evaluate_mask(np.zeros((3, 4), np.uint8), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match="no measure 'sad' of a mask"):
        evaluate_mask(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), measures=["sad"])
    with pytest.raises(InputError, match="values from"):
        evaluate_mask(np.full((4, 4), np.nan, np.float32), np.zeros((4, 4), np.uint8))


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    prediction, truth = small_pair()
    with pytest.raises(MissingExtra, match=r"gossamer\[evaluate\]"):
        evaluate_mask(prediction, truth)
    assert set(evaluate_mask(prediction, truth, measures=["boundary_iou"]).values) == {"boundary_iou"}

"""KNN and learning-based matting beside pymatting, which published them, and what they need of memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from gossamer.errors import DeviceError
from gossamer.foreground import estimate_foreground
from gossamer.matting import knn_alpha, learning_based_alpha
from gossamer.matting.trimap import trimap_from_mask
from gossamer.platform import memory
from tests.matting.published import published


def scene(size: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Return a part of a photograph with the trimap of an ellipse in it."""
    picture = skimage.data.chelsea()[40 : 40 + size, 100 : 100 + size].astype(np.float32) / 255
    y, x = np.mgrid[:size, :size]
    inside = np.hypot((y - size / 2) / 0.8, x - size / 2) < size / 3
    return picture, trimap_from_mask(inside.astype(np.float32), band=8)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("ours", "theirs"), [(knn_alpha, "estimate_alpha_knn"), (learning_based_alpha, "estimate_alpha_lbdm")]
)
def test_the_solution_is_pymattings(ours: Callable[..., np.ndarray], theirs: str) -> None:
    picture, trimap = scene()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = published(theirs)(picture.astype(np.float64), trimap.astype(np.float64))
    unknown = trimap == 0.5
    assert np.abs(ours(picture, trimap) - expected)[unknown].mean() < 0.002


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_closed_form_foreground_is_pymattings() -> None:
    picture, _ = scene()
    y, x = np.mgrid[:120, :120]
    alpha = np.clip((40 - np.hypot(y - 60, x - 60)) / 12 + 0.5, 0, 1)
    ours = estimate_foreground(picture, alpha.astype(np.float32), "closed_form").foreground
    theirs = published("estimate_foreground_cf")(picture.astype(np.float64), alpha)
    soft = (alpha > 0.05) & (alpha < 1)
    assert np.abs(ours - theirs)[soft].mean() < 0.01


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_the_multilevel_foreground_is_as_good_as_pymattings(composite_of_two: tuple[np.ndarray, ...]) -> None:
    picture, alpha, truth = composite_of_two
    soft = (alpha > 0.1) & (alpha < 1)
    ours = estimate_foreground(picture, alpha, "multilevel").foreground
    theirs = published("estimate_foreground_ml")(picture, alpha)
    error = [float(np.abs(layer - truth)[soft].mean()) for layer in (ours, theirs)]
    assert error[0] < 1.05 * error[1]


@pytest.fixture
def composite_of_two() -> tuple[np.ndarray, ...]:
    front = skimage.data.astronaut()[:200, 100:300].astype(np.float32) / 255
    back = skimage.data.chelsea()[:200, :200].astype(np.float32) / 255
    y, x = np.mgrid[:200, :200]
    alpha = np.clip((60 - np.hypot(y - 100, x - 100)) / 30 + 0.5, 0, 1).astype(np.float32)
    return alpha[..., None] * front + (1 - alpha[..., None]) * back, alpha, front


@pytest.mark.parametrize("shape", [(1, 40), (2, 40), (40, 2), (3, 3), (5, 9)])
@pytest.mark.parametrize("method", [knn_alpha, learning_based_alpha])
def test_small_pictures(method: Callable[..., np.ndarray], shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(4).random((*shape, 3), dtype=np.float32)
    trimap = np.full(shape, 0.5, np.float32)
    trimap.flat[0], trimap.flat[-1] = 1, 0
    found = method(picture, trimap)
    assert found.shape == shape
    assert np.isfinite(found).all()
    assert (found.flat[0], found.flat[-1]) == (1, 0)


@pytest.mark.parametrize("knows", ["v1", "v2", "machine"])
@pytest.mark.parametrize("job", ["knn", "learning_based", "closed_form foreground"])
def test_what_does_not_fit_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, knows: str
) -> None:
    """A container, or a machine, that has one megabyte left."""
    _tell(tmp_path, monkeypatch, knows, 1 << 20)
    picture, trimap = scene()
    jobs = {
        "knn": lambda: knn_alpha(picture, trimap),
        "learning_based": lambda: learning_based_alpha(picture, trimap),
        "closed_form foreground": lambda: estimate_foreground(picture, trimap, "closed_form"),
    }
    with pytest.raises(DeviceError, match=r"GB of memory, but .* are left\. Choose"):
        jobs[job]()


@pytest.mark.parametrize("knows", ["v1", "v2", "machine"])
def test_the_memory_that_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows: str) -> None:
    _tell(tmp_path, monkeypatch, knows, 123 << 20)
    assert memory.available_memory() == 123 << 20


def test_no_limit_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tell(tmp_path, monkeypatch, "machine", 5 << 30)
    (tmp_path / "cgroup" / "memory.max").write_text("max\n")
    (tmp_path / "cgroup" / "memory.current").write_text("1000\n")
    assert memory.available_memory() == 5 << 30


def _tell(folder: Path, monkeypatch: pytest.MonkeyPatch, who: str, left: int) -> None:
    """Let the system's files say that so many bytes are left: 1 of 3 MiB in use are of files that were read."""
    group = folder / "cgroup" / "memory" if who == "v1" else folder / "cgroup" / "pod"
    group.mkdir(parents=True)
    kib = left >> 10 if who == "machine" else 1 << 32
    (folder / "meminfo").write_text(f"MemTotal: 99999999999 kB\nMemAvailable: {kib} kB\n")
    (folder / "membership").write_text("0::/pod\n")
    used, cache = 3 << 20, 1 << 20
    if who == "v2":
        (group / "memory.max").write_text(f"{left + used - cache}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon {used - cache}\ninactive_file {cache}\n")
    elif who == "v1":
        (group / "memory.limit_in_bytes").write_text(f"{left + used - cache}\n")
        (group / "memory.usage_in_bytes").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"inactive_file 7\ntotal_inactive_file {cache}\n")
    monkeypatch.setattr(memory, "_CGROUPS", folder / "cgroup")
    monkeypatch.setattr(memory, "_MEMBERSHIP", folder / "membership")
    monkeypatch.setattr(memory, "_MEMINFO", folder / "meminfo")

"""Masks beside the authors' own pipelines on the same real weights, written here from their published code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from skimage.transform import resize

from gossamer.errors import Cancelled, DeviceError
from gossamer.segmentation.loading import load_model
from gossamer.telemetry import onnxruntime
from gossamer.weights import store
from gossamer.weights.catalogue import model_card
from tests.cached_weights import weights_home
from tests.networks.sessions import bare_session


@pytest.fixture(autouse=True)
def _real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    cat, woman = skimage.data.chelsea(), skimage.data.astronaut()
    big = np.asarray(
        torch.nn.functional.interpolate(
            torch.from_numpy(woman).permute(2, 0, 1)[None].float(), (1500, 1201), mode="bicubic"
        )[0]
        .permute(1, 2, 0)
        .clamp(0, 255)
        .round()
        .to(torch.uint8)
    )
    return [cat, woman, big, np.ascontiguousarray(cat[:61, ::-3])]


def authors_isnet(picture: np.ndarray, run) -> np.ndarray:
    """IS-Net/Inference.py of xuebinqin/DIS."""
    tensor = torch.tensor(picture, dtype=torch.float32).permute(2, 0, 1)
    tensor = torch.nn.functional.interpolate(tensor[None], [1024, 1024], mode="bilinear").type(torch.uint8)
    result = run(((tensor / 255.0) - 0.5).numpy())
    result = torch.nn.functional.interpolate(torch.tensor(result), picture.shape[:2], mode="bilinear")[0, 0]
    return ((result - result.min()) / (result.max() - result.min())).numpy()


def authors_u2net(picture: np.ndarray, run) -> np.ndarray:
    """u2net_test.py and data_loader.py of xuebinqin/U-2-Net, with the result enlarged in float."""
    small = resize(picture, (320, 320), mode="constant")
    small = (small / np.max(small) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    result = run(small.transpose(2, 0, 1)[None].astype(np.float32))
    result = (result - result.min()) / (result.max() - result.min())
    return torch.nn.functional.interpolate(torch.tensor(result), picture.shape[:2], mode="bilinear")[0, 0].numpy()


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "authors", "limit"),
    [
        ("u2netp", authors_u2net, 0.02),
        ("u2net", authors_u2net, 0.02),
        ("isnet-general-use", authors_isnet, 0.02),
    ],
)
def test_masks_are_the_authors(model: str, authors, limit: float, photographs: list[np.ndarray]) -> None:
    weights = store.find(model_card(model))
    assert weights is not None
    session = bare_session(weights.path)

    def run(batch: np.ndarray) -> np.ndarray:
        return session.run(None, {session.get_inputs()[0].name: batch})[0]

    ours = load_model(model, device="cpu")
    for picture in photographs:
        difference = np.abs(ours.predict(picture) - authors(picture, run)) * 255
        assert difference.mean() <= limit, (model, picture.shape, difference.mean(), difference.max())


@pytest.mark.long
def test_the_same_picture_gives_the_same_mask() -> None:
    model = load_model("u2netp", device="cpu")
    picture = skimage.data.chelsea()
    assert np.array_equal(model.predict(picture), model.predict(picture.astype(np.float32) / 255))


@pytest.mark.long
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (3, 2, 3), (40, 4000, 3)])
def test_odd_sizes(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    mask = load_model("u2netp", device="cpu").predict(picture)
    assert mask.shape == shape[:2]
    assert np.isfinite(mask).all()


def test_a_black_picture_is_not_divided_by_zero() -> None:
    mask = load_model("u2netp", device="cpu").predict(np.zeros((50, 50, 3), np.uint8))
    assert np.isfinite(mask).all()


@pytest.mark.long
def test_a_run_can_be_cancelled_while_the_network_works() -> None:
    model = load_model("u2net", device="cpu")
    calls = []

    def stop_at_the_third(fraction: float, message: str) -> None:
        calls.append((fraction, message))
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.predict(skimage.data.astronaut(), stop_at_the_third)
    assert len(calls) == 3
    assert model.predict(skimage.data.astronaut()).shape == (512, 512)


def test_cuda_is_never_pretended() -> None:
    if "CUDAExecutionProvider" in onnxruntime().get_available_providers():
        assert load_model("u2netp", device="cuda").device == "cuda"
    else:
        with pytest.raises(DeviceError, match="onnxruntime-gpu"):
            load_model("u2netp", device="cuda")


@pytest.mark.long
def test_nothing_is_fetched_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also a script that hands over no callback learns what is fetched, how big and under which licence."""
    for name in ("GOSSAMER_HOME", "HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "new"))
    assert load_model("u2netp", device="cpu").id == "u2netp"
    said = [record.getMessage() for record in caplog.records if record.name == "gossamer"]
    assert "(4.6 MB, licence Apache-2.0)" in said[0]


@pytest.mark.long
@pytest.mark.parametrize("model", ["u2netp", "isnet-general-use"])
def test_a_page_without_a_subject_stays_empty(model: str) -> None:
    """Stretched to the full range, what a network hardly believes becomes smears."""
    loaded = load_model(model, device="cpu")
    ramp = np.linspace(255, 100, 300).astype(np.uint8)[:, None, None]
    grain = np.clip(np.random.default_rng(0).normal(250, 3, (300, 400, 3)), 0, 255).astype(np.uint8)
    for page in (*(np.full((300, 400, 3), level, np.uint8) for level in (255, 128, 0)), grain):
        assert not loaded.predict(page).any()
    assert not loaded.predict(np.broadcast_to(ramp, (300, 400, 3)), detail=model == "u2netp").any()

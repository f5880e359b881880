"""What the worker keeps warm: wishes are checked first, and new files are noticed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer.errors import GossamerError, ModelNotFound
from gossamer.matting.vitmatte.lent import unload_vitmatte
from gossamer.segmentation import loading
from gossamer.segmentation.model import SegmentationModel
from gossamer.weights import catalogue, store
from gossamer.weights.catalogue import folder_cards
from gossamer.weights.folder_card import FolderFile
from gossamer.worker.cutter import Cutter
from gossamer.worker.inventory import Inventory, NotHere
from gossamer.worker.pictures import OpenedPicture
from gossamer.worker.requests import FetchRequest, FinishRequest, OpenRequest, RefineRequest, SegmentRequest
from tests.cached_weights import weights_home
from tests.matting.tiny_vitmatte import write_model


def silent(fraction: float, message: str) -> None:
    pass


def opened(array: np.ndarray) -> OpenedPicture:
    dtype = {"uint8": "u8", "float32": "float32"}[array.dtype.name]
    size = {"width": array.shape[1], "height": array.shape[0], "channels": array.shape[2], "dtype": dtype}
    return OpenedPicture(OpenRequest.of(size), bytearray(array.tobytes()))


def cut(cutter: Cutter, array: np.ndarray, **changed: Any) -> dict[str, Any]:
    """Have a picture cut out, from opening it to its report: the mask alone, unless changed."""
    picture = opened(array)
    wish = {"picture": 1, "model": "u2netp", "options": {"matting": "none"}, **changed}
    cutter.segment(picture, SegmentRequest.of(wish), bytearray(), silent)
    return cutter.refine(picture, RefineRequest.of(wish), silent).report


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the smallest model, and nothing anywhere else."""
    for name in ("HF_HUB_CACHE", "U2NET_HOME", "XDG_DATA_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    home = tmp_path / "home"
    (home / "models").mkdir(parents=True)
    monkeypatch.setenv("GOSSAMER_HOME", str(home))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    shutil.copy(weights_home() / "models" / "u2netp.onnx", home / "models")
    return home


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that are loaded, as they are."""
    made: list[str] = []
    load = loading._Loader.__call__

    def noted(self: Any, progress: Any) -> Any:
        made.append(self.file.path.stem)
        return load(self, progress)

    monkeypatch.setattr(loading._Loader, "__call__", noted)
    return made


@pytest.mark.long
def test_a_bad_wish_leaves_what_is_warm(home: Path, photograph: np.ndarray, loads: list[str]) -> None:
    cutter = Cutter(Inventory())
    cut(cutter, photograph, device="cpu")
    cut(cutter, photograph, device="auto")  # which is the same network here
    assert loads == ["u2netp"]
    (home / "bad.onnx").write_bytes(b"no model")
    broken = photograph.astype(np.float32)
    broken[0, 0] = np.nan
    for array, wish in (
        (photograph, {"model": "no-such-model"}),
        (photograph, {"model": "u2netp,no-such-model"}),
        (photograph, {"model": "u2net"}),  # not here, and offline
        (photograph, {"model": str(home / "gone.onnx")}),
        (photograph, {"model": str(home / "bad.onnx")}),
        (photograph, {"device": "gpu"}),
        (photograph, {"options": {"matting_band": -1}}),
        (photograph, {"options": {"segmentation_resolution": 512}}),  # which its ONNX file does not take
        (photograph, {"options": {"matting": "vitmatte", "matting_model": "no-such-model"}}),
        (broken, {}),
    ):
        with pytest.raises(GossamerError):
            cut(cutter, array, **wish)
        cut(cutter, photograph, device="cpu")
    cut(cutter, photograph, device="auto")
    assert [name for name in loads if name != "bad"] == ["u2netp"]


def test_a_matting_that_is_not_here_is_told_before_the_model_runs(
    home: Path, photograph: np.ndarray, loads: list[str]
) -> None:
    with pytest.raises(ModelNotFound, match="vitmatte"):
        cut(Cutter(Inventory()), photograph, options={"matting": "vitmatte"})
    assert loads == []


def test_a_network_for_the_edge_is_fetched_when_it_was_agreed_to_and_never_before(
    home: Path, tmp_path: Path, photograph: np.ndarray, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, asked = "vitmatte-small-composition-1k", []
    served = tmp_path / "served" / name
    write_model(served)
    data = (served / "model.safetensors").read_bytes()
    files = (
        FolderFile("config.json", text=(served / "config.json").read_text()),
        FolderFile("model.safetensors", len(data), hashlib.sha256(data).hexdigest()),
    )
    cards = {card.id: dataclasses.replace(card, files=files) for card in folder_cards("vitmatte") if card.id == name}
    known = dataclasses.replace(catalogue._own(), folders=cards)
    monkeypatch.setattr(catalogue, "_own", lambda: known)
    monkeypatch.delenv("GOSSAMER_OFFLINE")

    class Noted(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Noted, directory=served.parent)) as mirror:
        thread = threading.Thread(target=mirror.serve_forever)
        thread.start()
        monkeypatch.setenv("GOSSAMER_MIRROR", f"http://127.0.0.1:{mirror.server_port}")
        monkeypatch.setenv("NO_PROXY", "*")
        cutter, wish = Cutter(Inventory()), {"options": {"matting": "vitmatte"}}
        with pytest.raises(NotHere) as caught:
            cut(cutter, photograph, **wish)
        assert caught.value.needs["id"] == name
        assert caught.value.needs["bytes"] == len(data)
        picture = opened(photograph)
        cutter.segment(picture, SegmentRequest.of({"picture": 1, "model": "u2netp"}), bytearray(), silent)
        with pytest.raises(NotHere):  # nor does a preview fetch it
            cutter.refine(picture, RefineRequest.of({"picture": 1, "scale": 0.5, "draft": True, **wish}), silent)
        with pytest.raises(NotHere):
            cutter.finish(picture, FinishRequest.of({"picture": 1, "preset": "google-merchant", **wish}), silent)
        assert asked == []
        cutter.fetch(FetchRequest.of({"model": name}), silent)
        mirror.shutdown()
        thread.join()
    assert asked == [f"/{name}/model.safetensors"]
    assert next(one for one in cutter._inventory.overview("cpu")["models"] if one["id"] == name)["installed"]
    try:
        assert cut(cutter, photograph, **wish)["model"] == "u2netp"
    finally:
        unload_vitmatte()  # other tests have none


@pytest.mark.long
def test_a_picture_beyond_the_limit_leaves_what_is_warm(
    home: Path, photograph: np.ndarray, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cutter = Cutter(Inventory())
    cut(cutter, photograph[:100], device="cpu")
    cut(cutter, photograph[:100])
    monkeypatch.setenv("GOSSAMER_MAX_PIXELS", "30000")
    with pytest.raises(GossamerError, match="more than the limit"):
        cut(cutter, photograph, model="u2netp,u2netp")
    cut(cutter, photograph[:100], device="cpu")
    assert loads == ["u2netp"]


@pytest.mark.long
def test_the_store_is_asked_once_until_a_folder_changes(
    home: Path, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    find = store.find

    def counted(card: Any, **options: Any) -> Any:
        asked.append(card.id)
        return find(card, **options)

    monkeypatch.setattr(store, "find", counted)
    inventory = Inventory()
    assert inventory.installed() == {"u2netp"}
    cutter = Cutter(inventory)
    cut(cutter, photograph)
    asked.clear()
    for _ in range(3):
        cut(cutter, photograph)
        assert inventory.installed() == {"u2netp"}
    assert asked == []
    (home / "models" / "u2netp.onnx").unlink()
    assert inventory.installed() == frozenset()
    snapshots = Path.home() / "nothing"
    assert not snapshots.exists()
    shutil.copy(weights_home() / "models" / "u2netp.onnx", home / "models")
    assert inventory.installed() == {"u2netp"}


@pytest.mark.long
def test_a_damaged_file_of_another_model_stops_nobody(home: Path, photograph: np.ndarray) -> None:
    (home / "models" / "u2net.onnx").write_bytes(b"cut off")
    inventory = Inventory()
    assert inventory.installed() == {"u2netp"}
    assert cut(Cutter(inventory), photograph)["model"] == "u2netp"


@pytest.mark.long
def test_a_further_mark_has_no_network_run_again(
    home: Path, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    predict = SegmentationModel.predict

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        looks.append(1)
        return predict(self, *args, **options)

    monkeypatch.setattr(SegmentationModel, "predict", counted)
    height, width = photograph.shape[:2]
    picture = OpenedPicture(OpenRequest.of({"width": width, "height": height}), bytearray(photograph.tobytes()))
    marks = np.full((height, width), 128, np.uint8)
    cutter, wish = Cutter(Inventory()), SegmentRequest.of({"picture": 1, "source": "scribbles"})
    masks = []
    for value, place in ((255, np.s_[60:100, 90:120]), (0, np.s_[20:60, 200:250])):
        marks[place] = value
        masks.append(cutter.segment(picture, wish, bytearray(marks.tobytes()), silent).mask)
    assert len(looks) == 1
    assert (masks[1][60:100, 90:120] > 0.5).all()
    assert (masks[1][20:60, 200:250] < 0.5).all()
    picture.close()
    assert picture.session is None


@pytest.mark.long
def test_automatic_takes_a_better_model_that_has_come(home: Path, photograph: np.ndarray, loads: list[str]) -> None:
    cutter = Cutter(Inventory())
    assert cut(cutter, photograph, model="auto")["model"] == "u2netp"
    (home / "models" / "notes.txt").write_text("no model")
    assert cut(cutter, photograph, model="auto")["model"] == "u2netp"
    assert loads == ["u2netp"]  # nothing better has come
    shutil.copy(weights_home() / "models" / "u2net.onnx", home / "models")
    assert cut(cutter, photograph, model="auto")["model"] == "u2net"
    assert loads == ["u2netp", "u2net"]

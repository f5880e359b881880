"""Sessions around the real adapters: small seeded networks of transformers' own classes, from folders."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import gossamer
from gossamer.cli import remove, segment
from gossamer.errors import InputError, ModelError
from gossamer.prompting.choice import load_prompt_model
from gossamer.prompting.grounded_sam2 import GroundedSam2
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2 import Sam2, load_sam2
from gossamer.session import Session
from gossamer.settings.recipe import Recipe
from gossamer.warm import warm
from tests.matting.tiny_vitmatte import write_model
from tests.prompting.tiny_models import picture, save_grounding_dino, save_sam2

SIZES = [(75, 131), (131, 75), (1, 40), (97, 97)]
# Scores of random weights: the small detector's boxes have about so much for any word.
EASY = {"box_threshold": 0.05, "text_threshold": 0.05}
BOXES = ((10.0, 5.0, 60.5, 70.0), (70.0, 10.0, 131.0, 60.0), (0.0, 40.0, 40.0, 75.0))
PLAIN = Recipe.of({"matting": {"method": "none"}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_sam2(root / "sam2.1-hiera-tiny")
    save_grounding_dino(root / "grounding-dino-tiny")
    return root


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost networks this small more time than they save."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see the machine's own models, or fetch any."""
    for name in ("GOSSAMER_HOME", "HF_HUB_CACHE", "U2NET_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "none" / name))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def loaded(model: Any) -> Any:
    """Return what is in memory of a model that is only lent."""
    with warm.lent(model._wanted) as found:
        return found


def counted(model: Any) -> Counter[str]:
    """Count how often each part of a model's networks runs from now on."""
    calls: Counter[str] = Counter()

    def count(layer: Any, name: str) -> None:
        layer.register_forward_pre_hook(lambda *_: calls.update([name]))

    model = loaded(model)
    segmenter = model._segmenter if isinstance(model, GroundedSam2) else model
    count(segmenter._network.module.vision_encoder, "sam encoder")
    count(segmenter._network.module.mask_decoder, "sam decoder")
    if isinstance(model, GroundedSam2):
        count(model._detector._network.module.model.backbone.conv_encoder, "dino encoder")
        count(model._detector._network.module.model.encoder, "dino text and boxes")
    return calls


@pytest.mark.long
def test_the_second_prompt_costs_only_decoders(folder: Path) -> None:
    model = load_prompt_model("grounded-sam2", device="cpu", folders=[folder])
    calls = counted(model)
    session = gossamer.open(picture(75, 131), prompt_model=model)
    first = session.cutout(Prompt(boxes=BOXES[:1]), recipe=PLAIN)
    assert calls == {"sam encoder": 1, "sam decoder": 1}  # no text: the detector does not look
    assert session.subjects(Prompt(text="lamp"), **EASY).found
    once = Counter({"sam encoder": 1, "sam decoder": 2, "dino encoder": 1, "dino text and boxes": 1})
    assert calls == once
    assert session.subjects(Prompt(text=["the cat", "red lamp"]), **EASY).found
    assert calls == once + Counter({"sam decoder": 1, "dino text and boxes": 1})
    again = session.cutout(Prompt(boxes=BOXES[:1]), recipe=PLAIN)
    np.testing.assert_allclose(again.alpha, first.alpha, atol=1e-5)
    session.unload()
    anew = session.cutout(Prompt(boxes=BOXES[:1]), recipe=PLAIN)
    np.testing.assert_allclose(anew.alpha, first.alpha, atol=1e-5)
    assert calls["sam encoder"] == 2
    other = gossamer.open(picture(75, 131, seed=1), prompt_model=model)
    assert np.abs(other.cutout(Prompt(boxes=BOXES[:1]), recipe=PLAIN).alpha - first.alpha).max() > 0.01


@pytest.mark.long
@pytest.mark.parametrize("size", SIZES)
def test_a_session_gives_what_the_adapters_give(folder: Path, size: tuple[int, int]) -> None:
    """Fractions become pixels of the picture's own size, odd as it may be, for text and for places."""
    image = picture(*size)
    session = Session(image, prompt_model="grounded-sam2", device="cpu", folders=[folder])
    model = load_prompt_model("grounded-sam2", device="cpu", folders=[folder])
    embedding = model.embed(image)
    box = Prompt(boxes=[(0.1, 0.0, 0.8, 1.0)], points=[(0.5, 0.5)], unit="fraction")
    for prompt, settings in ((box, {}), (Prompt(text=("lamp", "dog")), EASY)):
        found = session.subjects(prompt, on_empty="empty", **settings)
        expected = model.predict(embedding, prompt.in_pixels(size[1], size[0])[0], **settings)
        expected = [one for one in expected if (one.mask > 0.5).any()]
        assert len(found.subjects) == len(expected)
        for one, other in zip(found.subjects, expected, strict=True):
            assert one.mask.shape == size
            assert (one.label, one.box) == (other.label, pytest.approx(other.box))
            assert one.score == pytest.approx(other.score, abs=1e-5)
            np.testing.assert_allclose(one.mask, other.mask, atol=1e-5)


def test_a_turned_photograph_is_cut_out_as_it_is_shown(folder: Path, tmp_path: Path) -> None:
    """Stored on its side, with the tag that puts it upright: coordinates count in the upright picture."""
    image = picture(75, 131)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    PIL.Image.fromarray(np.ascontiguousarray(np.rot90(image))).save(tmp_path / "turned.png", exif=exif)
    PIL.Image.fromarray(image).save(tmp_path / "upright.png")
    model = load_sam2(folder / "sam2.1-hiera-tiny", device="cpu")
    prompt = Prompt(boxes=BOXES[:1], points=[(30, 30)], not_points=[(55, 60)])
    turned, upright = (
        gossamer.open(tmp_path / f"{name}.png", prompt_model=model).cutout(prompt) for name in ("turned", "upright")
    )
    assert turned.alpha.shape == (75, 131)
    np.testing.assert_allclose(turned.alpha, upright.alpha, atol=1e-3)
    seen = upright.alpha > 0.1
    np.testing.assert_allclose(turned.foreground[seen], upright.foreground[seen], atol=5e-3)


def test_every_thing_the_best_one_their_union_and_each(folder: Path) -> None:
    session = Session(picture(75, 131), prompt_model="grounded-sam2", device="cpu", folders=[folder])
    text = Prompt(text="lamp")
    every = session.subjects(text, **EASY).subjects
    assert len(every) > 2
    assert [one.score for one in every] == sorted((one.score for one in every), reverse=True)
    [best] = session.subjects(text, every=False, **EASY).subjects
    np.testing.assert_allclose(best.mask, every[0].mask, atol=1e-5)
    union = session.cutout(text, recipe=PLAIN, **EASY)
    np.testing.assert_allclose(union.alpha, np.max([one.mask for one in every], axis=0), atol=1e-5)
    each = session.cutouts(text, recipe=PLAIN, **EASY)
    for cutout, subject in zip(each, every, strict=True):
        np.testing.assert_allclose(cutout.alpha, subject.mask, atol=1e-5)
    three = session.subjects(Prompt(boxes=BOXES[:1]), masks="all").subjects
    assert len(three) == 3


def test_boxes_in_one_run_are_boxes_one_by_one(folder: Path) -> None:
    session = Session(picture(75, 131), prompt_model="sam2", device="cpu", folders=[folder])
    together = session.subjects(Prompt(boxes=BOXES)).subjects
    for box, subject in zip(BOXES, together, strict=True):
        [alone] = session.subjects(Prompt(boxes=[box])).subjects
        np.testing.assert_allclose(subject.mask, alone.mask, atol=1e-5)


def test_lower_precision_is_near(folder: Path) -> None:
    exact, low = (
        Session(picture(75, 131), prompt_model=load_sam2(folder / "sam2.1-hiera-tiny", device="cpu", precision=name))
        for name in ("float32", "bfloat16")
    )
    masks = [one.subjects(Prompt(boxes=BOXES[:1])).subjects[0].mask for one in (exact, low)]
    assert masks[1].dtype == np.float32
    assert 0 < np.abs(masks[0] - masks[1]).mean() < 0.05


def test_nothing_found_names_phrase_score_and_thresholds(folder: Path) -> None:
    session = Session(picture(75, 131), prompt_model="grounded-sam2", device="cpu", folders=[folder])
    prompt = Prompt(text="a red dog")
    with pytest.raises(InputError, match=r'"a red dog": the best score is \d\.\d\d; the box threshold is 1, .* 0\.2'):
        session.cutout(prompt, box_threshold=1.0, text_threshold=0.2)
    assert session.cutout(prompt, box_threshold=1.0, on_empty="empty").alpha.max() == 0
    assert session.cutout(prompt, box_threshold=1.0, on_empty="full").alpha.min() == 1


def test_auto_takes_what_the_prompt_needs_of_what_is_installed(folder: Path) -> None:
    said: list[str] = []
    session = Session(picture(75, 131), device="cpu", folders=[folder])
    box, text = Prompt(boxes=BOXES[:1]), Prompt(text="lamp")
    assert session.subjects(box, announce=said.append).model == "sam2.1-hiera-tiny"
    assert session.subjects(text, announce=said.append, **EASY).model == "grounded-sam2"
    assert session.subjects(box, announce=said.append).model == "sam2.1-hiera-tiny"
    assert said == [
        "Prompt model sam2: the best that is installed for boxes, points and masks.",
        "Prompt model grounded-sam2: the best that is installed for text.",
    ]


@pytest.mark.long
def test_a_certain_model_by_its_id_or_folder(folder: Path, tmp_path: Path) -> None:
    own = shutil.copytree(folder / "sam2.1-hiera-tiny", tmp_path / "my own")
    for name in ("sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny", str(own)):
        assert isinstance(loaded(load_prompt_model(name, device="cpu", folders=[folder])), Sam2)
    for name in (f"{folder / 'grounding-dino-tiny'},{own}", "sam2.1-hiera-tiny, grounding-dino-tiny"):
        assert isinstance(loaded(load_prompt_model(name, device="cpu", folders=[folder])), GroundedSam2)
    image = picture(75, 131)
    masks = [
        Session(image, prompt_model=name, device="cpu", folders=[folder]).subjects(Prompt(boxes=BOXES[:1])).subjects
        for name in (str(own), "sam2")
    ]
    np.testing.assert_allclose(masks[0][0].mask, masks[1][0].mask, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sam9", "There is no prompt model 'sam9'"),
        ("sam2.1-hiera-tiny,sam2.1-hiera-large", "work together"),
        ("sam3,grounding-dino-tiny", "no prompt model 'sam3'|work together"),
        ("", "There is no prompt model ''"),
        ("/nowhere/at/all", "There is no prompt model"),
    ],
)
def test_impossible_models_are_refused_before_the_work(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Session(picture(8, 8), prompt_model=name)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="holds no grounding-dino, sam2, sam3 model, but bert"):
        Session(picture(8, 8), prompt_model=str(tmp_path / "bert"))


def test_vitmatte_stays_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gossamer.matting.vitmatte.network import VitMatte

    loads: list[Any] = []
    load = VitMatte.load
    monkeypatch.setattr(VitMatte, "load", lambda model, **rest: loads.append((model, rest)) or load(model, **rest))
    matting = {"method": "vitmatte", "model": str(write_model(tmp_path / "tiny-vitmatte")), "band": 6}
    image = np.full((75, 131, 3), 0.2, np.float32)
    image[20:50, 30:90] = 0.8
    session = Session(image, prompt_model="grabcut", device="cpu")
    box = Prompt(boxes=[(20, 10, 100, 60)])
    for _ in range(2):
        session.cutout(box, recipe=Recipe.of({"matting": matting}))
    assert [(model, rest["device"]) for model, rest in loads] == [(matting["model"], "cpu")]
    session.unload()
    session.cutout(box, recipe=Recipe.of({"matting": matting}))
    assert len(loads) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("flags", "model"),
    [
        (["--text", "the lamp", "--box-threshold", "0.05", "--prompt-model", "grounded-sam2"], "grounded-sam2"),
        (["--text", "lamp", "--text", "cat", "--best-only", "--box-threshold", "0.05"], "grounded-sam2"),
        (["--box", "10,5,60,70", "--not-point", "20,60", "--prompt-model", "sam2"], "sam2.1-hiera-tiny"),
        (["--point", "40%,50%", "--prompt-model", "sam2.1-hiera-tiny"], "sam2.1-hiera-tiny"),
    ],
)
def test_the_command_line_takes_models_from_folders(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    model: str,
) -> None:
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(folder))
    PIL.Image.fromarray(picture(75, 131)).save("photo.png")
    assert remove.run(["photo.png", "out.png", "--json", "--device", "cpu", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["width"], report["height"]) == (model, 131, 75)
    with PIL.Image.open("out.png") as cutout:
        assert (cutout.mode, cutout.size) == ("RGBA", (131, 75))
    assert segment.run(["photo.png", "found", "--device", "cpu", "--quiet", *flags]) == 0
    found = json.loads(Path("found.json").read_text())
    assert found["model"] == model
    assert all(Path(subject["mask"]).is_file() for subject in found["subjects"])

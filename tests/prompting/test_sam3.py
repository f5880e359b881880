"""SAM 3 beside transformers' own model, on a small seeded one of the same class; it is in transformers since 5.0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import gossamer
from gossamer.errors import InputError, MissingExtra
from gossamer.networks.transformers_loading import quiet_transformers
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam3 import Sam3, load_sam3, preprocess
from gossamer.warm import warm
from tests.prompting.tiny_models import HAS_SAM3, picture, reference, save_sam3

needs_sam3 = pytest.mark.skipif(not HAS_SAM3, reason="this transformers has no SAM 3: the test without it runs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam3(tmp_path_factory.mktemp("models") / "sam3")


@pytest.fixture(scope="module")
def model(folder: Path) -> Sam3:
    return load_sam3(folder, device="cpu")


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    with quiet_transformers():
        return transformers.Sam3Model.from_pretrained(folder).eval()


def theirs(network: Any, folder: Path, image: np.ndarray, phrase: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (N,), boxes (N, 4) and logits (N, H, W) of the whole model, best first, as the authors' processor."""
    with quiet_transformers():
        tokenizer = transformers.CLIPTokenizerFast.from_pretrained(folder)
    tokens = tokenizer([phrase], return_tensors="pt", padding="max_length", max_length=32)
    height, width = image.shape[:2]
    with reference():
        answer = network(
            pixel_values=preprocess(image, 112),
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
        )
        scores = (answer.pred_logits.sigmoid() * answer.presence_logits.sigmoid())[0]
        logits = torch.nn.functional.interpolate(answer.pred_masks, (height, width), mode="bilinear")[0]
        boxes = answer.pred_boxes[0] * torch.tensor([width, height, width, height])
    order = torch.argsort(-scores, stable=True)
    return scores[order].numpy(), boxes[order].numpy(), logits[order].numpy()


@needs_sam3
@pytest.mark.parametrize("size", [(75, 131), (131, 75), (112, 112)])
def test_things_are_those_of_the_whole_model(model: Sam3, network: Any, folder: Path, size: tuple[int, int]) -> None:
    image = picture(*size)
    scores, boxes, logits = theirs(network, folder, image, "lamp")
    assert logits.std() > 0.05
    middle = float(scores[4] + scores[5]) / 2
    found = model.predict(model.embed(image), Prompt(text="lamp"), box_threshold=middle)
    assert len(found) == 5
    assert [subject.score for subject in found] == pytest.approx(scores[:5].tolist(), abs=1e-5)
    assert found.best_score == pytest.approx(float(scores[0]), abs=1e-5)
    limits = np.array((size[1], size[0], size[1], size[0]), np.float32)
    for subject, box, own in zip(found, boxes, logits, strict=False):
        assert subject.label == "lamp"
        assert subject.box == pytest.approx(np.clip(box, 0, limits).tolist(), abs=2e-3)
        assert subject.mask.shape == size
        assert subject.mask.dtype == np.float32
        assert np.abs(subject.mask - 1 / (1 + np.exp(-own))).max() < 1e-4
        sure = np.abs(own) > 1e-3
        assert np.array_equal(subject.mask[sure] > 0.5, own[sure] > 0)


@needs_sam3
def test_phrases_thresholds_and_the_best_alone(model: Sam3) -> None:
    embedding = model.embed(picture(75, 131))
    both = model.predict(embedding, Prompt(text=("lamp", "red table")), box_threshold=0.0)
    assert [subject.label for subject in both] == ["lamp"] * 12 + ["red table"] * 12
    best = model.predict(embedding, Prompt(text=("lamp", "red table")), box_threshold=0.0, every=False)
    assert [subject.score for subject in best] == [both[0].score, both[12].score]
    nothing = model.predict(embedding, Prompt(text="lamp"), box_threshold=1.0)
    assert list(nothing) == []
    assert nothing.best_score == both[0].score


@needs_sam3
def test_the_second_prompt_does_not_run_the_image_encoder(model: Sam3) -> None:
    calls: list[str] = []
    module = model._network.module
    hooks = [
        module.vision_encoder.register_forward_pre_hook(lambda layer, inputs: calls.append("encoder")),
        module.text_encoder.register_forward_pre_hook(lambda layer, inputs: calls.append("text")),
    ]
    try:
        embedding = model.embed(picture(75, 131))
        first = model.predict(embedding, Prompt(text="lamp"), box_threshold=0.0)
        again = model.predict(embedding, Prompt(text="lamp"), box_threshold=0.0)
    finally:
        for hook in hooks:
            hook.remove()
    assert calls == ["encoder", "text", "text"]
    assert np.array_equal(first[0].mask, again[0].mask)


@pytest.mark.long
@needs_sam3
@pytest.mark.parametrize("size", [(75, 131), (131, 75)])
def test_a_session_looks_once_and_finds_every_thing_of_every_phrase(folder: Path, size: tuple[int, int]) -> None:
    image = picture(*size)
    session = gossamer.open(image, device="cpu", folders=[folder.parent])
    calls: list[str] = []
    easy = {"box_threshold": 0.0}
    first = session.subjects(Prompt(text="lamp"), **easy)  # auto: plain text is for SAM 3 where it is installed
    assert first.model == "sam3"
    with warm.lent(session._models["sam3"]._wanted) as sam3:
        sam3._network.module.vision_encoder.register_forward_pre_hook(lambda *_: calls.append("again"))
    both = session.subjects(Prompt(text=["lamp", "dog"]), **easy)
    assert calls == []
    assert [one.label for one in both.subjects] == sorted((one.label for one in both.subjects), reverse=True)
    lamps = [one for one in both.subjects if one.label == "lamp"]
    assert len(lamps) == len(first.subjects) > 1
    for one, other in zip(lamps, first.subjects, strict=True):
        assert one.mask.shape == size
        np.testing.assert_allclose(one.mask, other.mask, atol=1e-5)
    [best] = session.subjects(Prompt(text="lamp"), every=False, **easy).subjects
    np.testing.assert_allclose(best.mask, lamps[0].mask, atol=1e-5)
    plain = gossamer.Recipe(matting={"method": "none"})
    union = session.cutout(Prompt(text="lamp"), recipe=plain, **easy)
    np.testing.assert_allclose(union.alpha, np.max([one.mask for one in lamps], axis=0), atol=1e-5)
    with pytest.raises(InputError, match=r'"lamp": the best score is \d\.\d\d; the box threshold is 1'):
        session.cutout(Prompt(text="lamp"), box_threshold=1.0)
    session.unload()
    assert len(session.subjects(Prompt(text="lamp"), **easy).subjects) == len(first.subjects)


@needs_sam3
def test_points_say_which_of_the_things_are_meant(model: Sam3) -> None:
    embedding = model.embed(picture(75, 131))
    everything = model.predict(embedding, Prompt(text="lamp"), box_threshold=0.0)
    coverage = np.stack([subject.mask > 0.5 for subject in everything])
    some = coverage.any(axis=0) & ~coverage.all(axis=0)
    y, x = (int(one[0]) for one in np.nonzero(some))
    covered = coverage[:, y, x].tolist()
    on = model.predict(embedding, Prompt(text="lamp", points=[(x, y)]), box_threshold=0.0)
    off = model.predict(embedding, Prompt(text="lamp", not_points=[(x, y)]), box_threshold=0.0)
    assert [subject.score for subject in on] == [one.score for one, has in zip(everything, covered, strict=True) if has]
    assert len(on) + len(off) == len(everything)


@needs_sam3
def test_what_it_does_not_serve_is_refused(model: Sam3) -> None:
    embedding = model.embed(picture(20, 30))
    with pytest.raises(InputError, match="finds what a text names"):
        model.predict(embedding, Prompt(points=[(3, 3)]))
    with pytest.raises(InputError, match="no boxes"):
        model.predict(embedding, Prompt(text="lamp", boxes=[(1, 1, 9, 9)]))
    with pytest.raises(InputError, match="42 tokens long, and sam3 reads 32"):
        model.predict(embedding, Prompt(text="lamp " * 10))


@needs_sam3
def test_the_published_folder_holds_the_video_model(folder: Path, network: Any, tmp_path: Path) -> None:
    """Its configuration has the detector's inside, and its weights its name before theirs."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    renamed = {f"detector_model.{name}": value for name, value in weights.items()}
    save_file({**renamed, "tracker_model.x": torch.zeros(1)}, tmp_path / "model.safetensors", {"format": "pt"})
    settings = json.loads((folder / "config.json").read_text())
    video = {"model_type": "sam3_video", "detector_config": settings, "tracker_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(video))
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    module = load_sam3(tmp_path, device="cpu")._network.module
    ours = module.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in network.state_dict().items())


@needs_sam3
def test_pictures_are_stretched_in_8_bits() -> None:
    # Measured with torchvision 0.28: the transform of the authors' Sam3Processor at 112 x 112.
    pixels = preprocess(picture(75, 131), 112)
    assert pixels.shape == (1, 3, 112, 112)
    assert torch.equal(pixels, preprocess(picture(75, 131).astype(np.float32) / np.float32(255), 112))
    assert pixels[0, :, 0, 0].tolist() == pytest.approx((-0.058823, -0.490196, 0.498039), abs=1e-5)
    assert pixels[0, :, 50, 70].tolist() == pytest.approx((0.152941, -0.145098, 0.670588), abs=1e-5)
    assert pixels[0, :, 111, 111].tolist() == pytest.approx((-0.32549, -0.560784, -0.639216), abs=1e-5)


def test_an_old_transformers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        __version__ = "4.57.6"
        utils = transformers.utils
        CLIPTokenizerFast = object

    monkeypatch.setitem(__import__("sys").modules, "transformers", Old)
    with pytest.raises(MissingExtra, match=r"5\.0.*4\.57\.6.*gossamer\[sam3\]"):
        load_sam3()

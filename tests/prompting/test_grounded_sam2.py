"""The chain of Grounding DINO and SAM 2: as its authors', with the real small models and with scripted boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gossamer.errors import InputError, ModelNotFound
from gossamer.prompting.grounded_sam2 import GroundedSam2, load_grounded_sam2, narrowed
from gossamer.prompting.grounding import Detections, load_grounding_dino
from gossamer.prompting.places import Places
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2 import Sam2, load_sam2
from tests.prompting.tiny_models import picture, save_grounding_dino, save_sam2

LAMP, TABLE, FAR = (10.0, 5.0, 60.0, 70.0), (70.0, 10.0, 131.4, 60.0), (-0.6, 60.0, 12.0, 75.2)


class Scripted:
    """A detector that finds three known boxes and keeps what it was asked."""

    warnings = ("scripted",)

    def __init__(self, scores: tuple[float, ...] = (0.9, 0.8, 0.35)) -> None:
        self.scores = np.array(scores, np.float32)
        self.asked: list[Any] = []

    def prepare(self, image: Any) -> str:
        return "remembered"

    def detect(
        self, embedding: Any, phrases: Any, *, box_threshold: float, text_threshold: float, progress: Any
    ) -> Any:
        self.asked.append((embedding, phrases, box_threshold, text_threshold))
        keep = self.scores > box_threshold
        boxes = np.array((LAMP, TABLE, FAR), np.float32)[keep]
        labels = tuple(np.array(("lamp.", "table. [SEP]", "lamp"))[keep].tolist())
        return Detections(boxes, self.scores[keep], labels, float(self.scores.max()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    save_sam2(root / "sam2.1-hiera-tiny")
    save_grounding_dino(root / "grounding-dino-tiny")
    return root


@pytest.fixture(scope="module")
def segmenter(folder: Path) -> Sam2:
    return load_sam2(folder / "sam2.1-hiera-tiny", device="cpu")


def test_boxes_go_to_the_segmenter_as_they_are_and_come_back_with_their_scores(segmenter: Sam2) -> None:
    detector = Scripted()
    model = GroundedSam2(detector, segmenter)
    embedding = model.embed(picture(75, 131))
    found = model.predict(embedding, Prompt(text=("lamp", "table")), text_threshold=0.2)
    assert detector.asked == [("remembered", ("lamp", "table"), 0.3, 0.2)]
    assert [subject.label for subject in found] == ["lamp", "table", "lamp"]
    assert [subject.score for subject in found] == pytest.approx([0.9, 0.8, 0.35])
    assert [subject.box for subject in found] == [
        pytest.approx(LAMP),
        pytest.approx((70, 10, 131, 60)),  # told within the picture, but looked for as found
        pytest.approx((0, 60, 12, 75)),
    ]
    expected = segmenter.masks(segmenter.embed(picture(75, 131)), [Places(box) for box in (LAMP, TABLE, FAR)], "one")
    for subject, [one] in zip(found, expected, strict=True):
        np.testing.assert_allclose(subject.mask, one.mask, atol=1e-5)
    assert model.warnings == ("scripted",)


def test_the_best_alone_and_all_masks(segmenter: Sam2) -> None:
    model = GroundedSam2(Scripted(), segmenter)
    embedding = model.embed(picture(75, 131))
    [best] = model.predict(embedding, Prompt(text="lamp"), every=False)
    assert (best.label, best.score) == ("lamp", pytest.approx(0.9))
    three = model.predict(embedding, Prompt(text="lamp"), every=False, masks="all")
    assert len(three) == 3
    assert [subject.score for subject in three] == pytest.approx([0.9] * 3)


def test_nothing_found_is_no_error_here_and_says_how_near_it_came(segmenter: Sam2) -> None:
    model = GroundedSam2(Scripted((0.21, 0.1, 0.1)), segmenter)
    found = model.predict(model.embed(picture(75, 131)), Prompt(text="lamp"))
    assert list(found) == []
    assert found.best_score == pytest.approx(0.21)
    assert found.warnings == ()


def test_places_choose_among_what_the_text_names(segmenter: Sam2) -> None:
    model = GroundedSam2(Scripted(), segmenter)
    embedding = model.embed(picture(75, 131))

    def labels(**places: Any) -> list[str]:
        prompt, _ = Prompt(text="things", **places).in_pixels(131, 75)
        return [f"{subject.label} {subject.score:.2f}" for subject in model.predict(embedding, prompt)]

    assert labels(points=[(100, 30)]) == ["table 0.80"]
    assert labels(boxes=[(60, 0, 131, 75)]) == ["table 0.80"]
    assert labels(boxes=[(0, 0, 65, 75)]) == ["lamp 0.90", "lamp 0.35"]
    rough = np.zeros((75, 131), np.float32)
    rough[20:40, 80:120] = 1
    assert labels(mask=rough) == ["table 0.80"]
    marks = np.full((75, 131), 0.5, np.float32)
    marks[30, 20:50] = 1
    assert labels(scribbles=marks) == ["lamp 0.90"]
    elsewhere = model.predict(embedding, Prompt(text="things", points=[(65, 2)]))
    assert list(elsewhere) == []
    assert "none is at the place" in elsewhere.warnings[0]
    assert elsewhere.best_score == pytest.approx(0.9)


def test_points_go_on_to_the_segmenter_with_the_boxes_that_hold_them(segmenter: Sam2) -> None:
    model = GroundedSam2(Scripted(), segmenter)
    image = picture(75, 131)
    [found] = model.predict(
        model.embed(image), Prompt(text="lamp", points=[(30, 30)], not_points=[(50, 60), (100, 30)])
    )
    [[expected]] = segmenter.masks(segmenter.embed(image), [Places(LAMP, ((30, 30),), ((50, 60),))], "one")
    np.testing.assert_allclose(found.mask, expected.mask, atol=1e-6)


def test_without_text_the_prompt_is_the_segmenters(segmenter: Sam2) -> None:
    detector = Scripted()
    model = GroundedSam2(detector, segmenter)
    embedding = model.embed(picture(75, 131))
    prompt = Prompt(boxes=[LAMP])
    [found] = model.predict(embedding, prompt)
    [expected] = segmenter.predict(embedding.masks, prompt)
    assert np.array_equal(found.mask, expected.mask)
    assert found.score == expected.score
    assert detector.asked == []
    with pytest.raises(InputError, match="empty"):
        model.predict(embedding, Prompt())


def test_narrowing_counts_more_than_half_of_a_box() -> None:
    boxes = [(0.0, 0.0, 10.0, 10.0), (6.0, 0.0, 16.0, 10.0)]
    assert narrowed(boxes, Prompt(text="x"), ()) == [0, 1]
    assert narrowed(boxes, Prompt(text="x", boxes=[(0, 0, 10, 10)]), ()) == [0]
    assert narrowed(boxes, Prompt(text="x", boxes=[(0, 0, 12, 10)]), ()) == [0, 1]
    assert narrowed(boxes, Prompt(text="x"), [(8.0, 8.0)]) == [0, 1]


def test_neither_is_loaded_where_one_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOSSAMER_HOME", "HF_HUB_CACHE", "GOSSAMER_MODEL_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    (tmp_path / "config.json").write_text('{"model_type": "grounding-dino"}')
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"damaged: loading it would be told")
    with pytest.raises(ModelNotFound, match=r"SAM 2\.1 tiny would have to be fetched"):
        load_grounded_sam2(tmp_path, "sam2.1-hiera-tiny", device="cpu")


def test_the_whole_chain_of_real_networks(folder: Path, segmenter: Sam2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    monkeypatch.setenv("GOSSAMER_MODEL_PATH", str(folder))
    monkeypatch.setenv("GOSSAMER_HOME", str(folder / "nowhere"))
    model = load_grounded_sam2("IDEA-Research/grounding-dino-tiny", "sam2.1-hiera-tiny", device="cpu")
    assert (model.id, model.device) == ("grounded-sam2", "cpu")
    image = picture(75, 131)
    calls: list[str] = []
    hooks = [
        model._segmenter._network.module.vision_encoder.register_forward_pre_hook(lambda *_: calls.append("masks")),
        model._detector._network.module.model.backbone.conv_encoder.register_forward_pre_hook(  # type: ignore[attr-defined]
            lambda *_: calls.append("boxes")
        ),
    ]
    try:
        embedding = model.embed(image)
        assert calls == ["masks"]
        first = model.predict(embedding, Prompt(text="lamp"), box_threshold=0.5)
        model.predict(first.embedding, Prompt(text="red cat"), box_threshold=0.5)  # type: ignore[arg-type]
        model.predict(first.embedding, Prompt(points=[(40, 40)]))  # type: ignore[arg-type]
        assert calls == ["masks", "boxes"]
    finally:
        for hook in hooks:
            hook.remove()
    detector = load_grounding_dino(folder / "grounding-dino-tiny", device="cpu")
    boxes = detector.detect(detector.embed(image), ["lamp"], box_threshold=0.5)
    masks = segmenter.masks(segmenter.embed(image), [Places(tuple(map(float, box))) for box in boxes.boxes], "one")  # type: ignore[arg-type]
    assert len(first) == len(masks) > 0
    for subject, score, [mask] in zip(first, boxes.scores, masks, strict=True):
        assert subject.score == pytest.approx(float(score))
        np.testing.assert_allclose(subject.mask, mask.mask, atol=1e-5)

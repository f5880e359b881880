"""Grounding DINO beside the processors of transformers, on a small seeded model of the same classes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from gossamer.errors import Cancelled, DeviceError, InputError
from gossamer.networks.transformers_loading import quiet_transformers
from gossamer.prompting.grounding import GroundingDino, caption, fed_size, load_grounding_dino, preprocess
from tests.prompting.tiny_models import picture, reference, save_grounding_dino

PHRASES = ("The lamp", "red tables.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_grounding_dino(tmp_path_factory.mktemp("models") / "dino")


@pytest.fixture(scope="module")
def model(folder: Path) -> GroundingDino:
    return load_grounding_dino(folder, device="cpu")


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    with quiet_transformers():
        tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)
        images = transformers.GroundingDinoImageProcessor(size={"shortest_edge": 96, "longest_edge": 160})
        return transformers.GroundingDinoProcessor(images, tokenizer)


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    with quiet_transformers():
        return transformers.GroundingDinoForObjectDetection.from_pretrained(folder).eval()


def theirs(processor: Any, network: Any, image: np.ndarray, text: Any, box: float, word: float) -> dict[str, Any]:
    """What transformers' own processor and model make of a picture."""
    with reference(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs = processor(images=image, text=text, return_tensors="pt")
        outputs = network(**inputs)
        found = processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=box, text_threshold=word, target_sizes=[image.shape[:2]]
        )
    return dict(found[0])


@pytest.mark.parametrize("size", [(97, 131), (131, 97), (400, 1000), (1001, 63), (800, 800), (900, 1600)])
def test_a_picture_is_prepared_as_by_transformers_to_the_last_rounding(size: tuple[int, int]) -> None:
    image = picture(*size)
    with quiet_transformers():
        expected = transformers.GroundingDinoImageProcessor()(images=image, return_tensors="np")["pixel_values"]
    ours = preprocess(image, 800, 1333)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() < 1e-6


def test_floats_of_8_bit_pictures_are_prepared_like_the_bytes() -> None:
    image = picture(61, 83)
    assert np.array_equal(preprocess(image, 64, 100), preprocess(image.astype(np.float32) / 255, 64, 100))


def test_sizes_of_long_pictures_stay_below_the_limit() -> None:
    assert fed_size(480, 640, 800, 1333) == (800, 1066)
    assert fed_size(640, 480, 800, 1333) == (1066, 800)
    assert fed_size(300, 1000, 800, 1333) == (400, 1333)
    assert fed_size(800, 1200, 800, 1333) == (800, 1200)


@pytest.mark.parametrize(("box", "word"), [(0.3, 0.25), (0.9, 0.9), (0.02, 0.97), (0.99999, 0.5)])
@pytest.mark.parametrize("size", [(75, 131), (131, 75)])
def test_boxes_scores_and_labels_are_those_of_transformers(
    model: GroundingDino, processor: Any, network: Any, size: tuple[int, int], box: float, word: float
) -> None:
    image = picture(*size, seed=3)
    found = model.detect(model.embed(image), PHRASES, box_threshold=box, text_threshold=word)
    expected = theirs(processor, network, image, [["The lamp", "red tables"]], box, word)
    order = np.argsort(-expected["scores"].numpy(), kind="stable")
    assert len(found.scores) == len(order)
    np.testing.assert_allclose(found.scores, expected["scores"].numpy()[order], atol=2e-6)
    np.testing.assert_allclose(found.boxes, expected["boxes"].numpy()[order], atol=2e-3)
    assert list(found.labels) == [expected["text_labels"][one] for one in order]


def test_thresholds_let_through_what_scores_more(model: GroundingDino) -> None:
    embedding = model.embed(picture(75, 131))
    everything = model.detect(embedding, ["lamp"], box_threshold=0.0)
    assert len(everything.scores) == 24
    assert np.all(np.diff(everything.scores) <= 0)
    middle = float(everything.scores[5])
    found = model.detect(embedding, ["lamp"], box_threshold=middle)
    assert np.array_equal(found.scores, everything.scores[everything.scores > middle])
    assert found.best_score == pytest.approx(float(everything.scores[0]))


def test_nothing_found_says_how_near_it_came(model: GroundingDino) -> None:
    found = model.detect(model.embed(picture(75, 131)), ["lamp"], box_threshold=1.0)
    assert found.boxes.shape == (0, 4)
    assert found.labels == ()
    assert 0 < found.best_score < 1


def test_the_best_alone(model: GroundingDino) -> None:
    embedding = model.embed(picture(75, 131))
    every = model.detect(embedding, ["lamp", "cat"], box_threshold=0.1)
    best = model.detect(embedding, ["lamp", "cat"], box_threshold=0.1, every=False)
    assert len(every.scores) > 1
    assert np.array_equal(best.boxes, every.boxes[:1])
    assert best.labels == every.labels[:1]


def test_the_second_text_does_not_run_the_image_encoder(model: GroundingDino) -> None:
    calls: list[tuple[int, ...]] = []
    encoder = model._network.module.model.backbone.conv_encoder
    hook = encoder.register_forward_pre_hook(lambda layer, inputs: calls.append(tuple(inputs[0].shape)))
    try:
        embedding = model.prepare(picture(75, 131))
        assert calls == []
        first = model.detect(embedding, ["lamp"], box_threshold=0.1)
        assert (embedding.features, first.embedding.pixels) == (None, None)  # type: ignore[union-attr]
        model.detect(first.embedding, ["cat"], box_threshold=0.1)  # type: ignore[arg-type]
        again = model.detect(first.embedding, ["lamp"], box_threshold=0.1)  # type: ignore[arg-type]
        assert calls == [(1, 3, 92, 160)]
    finally:
        hook.remove()
    assert np.array_equal(first.boxes, again.boxes)
    assert "forward" not in vars(model._network.module.model.backbone)


def test_a_caption_is_what_the_model_was_trained_on() -> None:
    assert caption(["The  Lamp", " a red TABLE. ", "the lamp"]) == "the lamp. a red table."
    assert caption(["cat. dog."]) == "cat. dog."
    for nothing in ([], [" . "]):
        with pytest.raises(InputError, match="no text"):
            caption(nothing)


def test_too_many_words_are_refused(model: GroundingDino) -> None:
    with pytest.raises(InputError, match="43 tokens long, and dino reads 32"):
        model.detect(model.prepare(picture(20, 20)), [" ".join(["lamp"] * 40)])


def test_progress_can_cancel(model: GroundingDino) -> None:
    def stop(fraction: float, message: str) -> None:
        if "Looking for" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.detect(model.prepare(picture(75, 131)), ["lamp"], progress=stop)


def test_bfloat16_runs_and_is_near(folder: Path, model: GroundingDino) -> None:
    half = load_grounding_dino(folder, device="cpu", precision="bfloat16")
    assert half.precision == "bfloat16"
    image = picture(75, 131)
    found = half.detect(half.embed(image), ["lamp"], box_threshold=0.0)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert np.isfinite(found.boxes).all()
    with pytest.raises(DeviceError, match="float16 does not run on the CPU"):
        load_grounding_dino(folder, device="cpu", precision="float16")
    with pytest.raises(InputError, match="no device"):
        load_grounding_dino(folder, device="tpu")


@pytest.mark.parametrize("image", [np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9), np.uint8), np.full((9, 9, 3), 2.0)])
def test_no_rgb_picture_is_refused(model: GroundingDino, image: np.ndarray) -> None:
    with pytest.raises(InputError):
        model.embed(image)

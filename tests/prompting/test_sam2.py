"""SAM 2 beside transformers' own model and coordinates, on a small seeded model of the same class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from gossamer.errors import Cancelled, InputError
from gossamer.networks.transformers_loading import quiet_transformers
from gossamer.prompting.places import Places, places_of, spread
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2 import Sam2, load_sam2, preprocess
from tests.prompting.tiny_models import SIDE, picture, reference, save_sam2, save_sam2_video

SIZES = [(75, 131), (131, 75), (64, 64), (33, 200)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam2(tmp_path_factory.mktemp("models") / "sam2")


@pytest.fixture(scope="module")
def model(folder: Path) -> Sam2:
    return load_sam2(folder, device="cpu")


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    with quiet_transformers():
        return transformers.Sam2Model.from_pretrained(folder).eval()


def theirs(network: Any, image: np.ndarray, multimask: bool, **places: Any) -> tuple[np.ndarray, np.ndarray]:
    """Masks as logits (N, answers, H, W) and scores (N, answers): transformers' whole model, one picture at a time."""
    size = image.shape[:2]
    scale = transformers.Sam2Processor._normalize_coordinates
    inputs: dict[str, Any] = {}
    if "boxes" in places:
        boxes = torch.tensor(places["boxes"], dtype=torch.float32)
        inputs["input_boxes"] = scale(None, SIDE, boxes, size, is_bounding_box=True)[None]
    if "points" in places:
        inputs["input_points"] = scale(None, SIDE, torch.tensor(places["points"]), size)[None, None]
        inputs["input_labels"] = torch.tensor(places["labels"])[None, None]
    if "mask" in places:
        inputs["input_masks"] = torch.from_numpy(places["mask"])[None, None]
    with reference():
        answer = network(pixel_values=preprocess(image, SIDE), multimask_output=multimask, **inputs)
        large = torch.nn.functional.interpolate(answer.pred_masks[0], size, mode="bilinear", align_corners=False)
    return large.numpy(), answer.iou_scores[0].numpy()


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))


def test_the_answers_are_not_all_the_same(network: Any) -> None:
    """Or else the tests below would prove nothing."""
    logits, scores = theirs(network, picture(75, 131), True, boxes=[(10.0, 5.0, 60.0, 70.0)])
    assert logits.std() > 0.02
    assert np.ptp(scores) > 1e-3
    other, _ = theirs(network, picture(75, 131), True, boxes=[(70.0, 5.0, 120.0, 40.0)])
    assert np.abs(logits - other).max() > 0.01


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("answers", ["one", "best", "all"])
def test_boxes_give_the_masks_of_the_whole_model(
    model: Sam2, network: Any, size: tuple[int, int], answers: Any
) -> None:
    image = picture(*size, seed=1)
    height, width = size
    boxes = [(0.0, 0.0, width / 2, height / 2), (width / 3, 2.5, float(width), float(height))]
    logits, scores = theirs(network, image, answers != "one", boxes=boxes)
    found = model.masks(model.embed(image), [Places(box) for box in boxes], answers)
    assert [subject.box for group in found for subject in group[:1]] == boxes
    for group, own_logits, own_scores in zip(found, logits, scores, strict=True):
        order = np.argsort(-own_scores)[: None if answers == "all" else 1]
        assert len(group) == len(order)
        for subject, one in zip(group, order, strict=True):
            assert subject.mask.shape == size
            assert subject.mask.dtype == np.float32
            assert subject.score == pytest.approx(float(own_scores[one]), abs=1e-5)
            assert np.abs(subject.mask - sigmoid(own_logits[one])).max() < 2e-5
            sure = np.abs(own_logits[one]) > 1e-4
            assert np.array_equal(subject.mask[sure] > 0.5, own_logits[one][sure] > 0)  # threshold 0 of the authors


@pytest.mark.parametrize("size", SIZES)
def test_points_on_and_off_the_subject(model: Sam2, network: Any, size: tuple[int, int]) -> None:
    image = picture(*size)
    height, width = size
    on, off = ((width * 0.3, height * 0.6), (2.5, 3.5)), ((width - 0.5, height - 0.5),)
    logits, scores = theirs(network, image, True, points=[*on, *off], labels=[1, 1, 0])
    [found] = model.predict(model.embed(image), Prompt(points=on, not_points=off))
    best = int(scores[0].argmax())
    assert found.score == pytest.approx(float(scores[0, best]), abs=1e-5)
    assert np.abs(found.mask - sigmoid(logits[0, best])).max() < 2e-5
    assert found.box is None


def test_a_box_with_points_and_a_mask(model: Sam2, network: Any) -> None:
    image = picture(75, 131)
    rough = np.zeros((75, 131), np.float32)
    rough[20:60, 30:90] = 1
    box, point = (25.0, 15.0, 95.0, 65.0), (50.5, 40.5)
    logits, scores = theirs(
        network, image, True, boxes=[box], points=[point], labels=[1], mask=rough * np.float32(20) - np.float32(10)
    )
    found = model.predict(model.embed(image), Prompt(boxes=[box], points=[point], mask=rough), masks="all")
    order = np.argsort(-scores[0])
    assert [subject.score for subject in found] == pytest.approx(scores[0, order].tolist(), abs=1e-5)
    for subject, one in zip(found, order, strict=True):
        assert np.abs(subject.mask - sigmoid(logits[0, one])).max() < 2e-5


def test_boxes_together_are_boxes_one_by_one(model: Sam2) -> None:
    embedding = model.embed(picture(75, 131))
    boxes = [(float(x), float(x) / 2, float(x) + 30, 70.0) for x in range(0, 100, 3)]  # more than go together
    together = model.predict(embedding, Prompt(boxes=boxes))
    assert len(together) == len(boxes) == 34
    for subject, box in list(zip(together, boxes, strict=True))[::8]:
        [alone] = model.predict(embedding, Prompt(boxes=[box]))
        assert subject.box == alone.box == box
        assert np.abs(subject.mask - alone.mask).max() < 1e-5
    best = model.predict(embedding, Prompt(boxes=boxes), every=False)
    assert [subject.score for subject in best] == [max(subject.score for subject in together)]
    assert together.best_score == best[0].score
    assert len(model.predict(embedding, Prompt(boxes=boxes[:4]), every=False, masks="all")) == 3


def test_the_second_prompt_costs_only_the_decoder(model: Sam2) -> None:
    calls = {"encoder": 0, "decoder": 0}

    def count(name: str) -> Any:
        return lambda layer, inputs: calls.__setitem__(name, calls[name] + 1)

    module = model._network.module
    hooks = [
        module.vision_encoder.register_forward_pre_hook(count("encoder")),
        module.mask_decoder.register_forward_pre_hook(count("decoder")),
    ]
    try:
        embedding = model.embed(picture(75, 131))
        assert calls == {"encoder": 1, "decoder": 0}
        first = model.predict(embedding, Prompt(points=[(30, 40)]))
        model.predict(embedding, Prompt(boxes=[(5, 5, 60, 60)]))
        again = model.predict(embedding, Prompt(points=[(30, 40)]))
        assert calls == {"encoder": 1, "decoder": 3}
    finally:
        for hook in hooks:
            hook.remove()
    assert np.array_equal(first[0].mask, again[0].mask)


def test_two_pictures_are_not_mixed_up(model: Sam2) -> None:
    one, other = (model.embed(picture(75, 131, seed)) for seed in (1, 2))
    prompt = Prompt(boxes=[(5, 5, 60, 60)])
    first = model.predict(one, prompt)[0].mask
    assert np.abs(first - model.predict(other, prompt)[0].mask).max() > 1e-3
    assert np.array_equal(first, model.predict(one, prompt)[0].mask)


def test_a_turned_picture_takes_turned_coordinates(model: Sam2, network: Any) -> None:
    upright = picture(75, 131)
    turned = np.ascontiguousarray(np.rot90(upright))  # (131, 75): x, y becomes y, width - x
    x, y = 40.5, 20.5
    point = (y, 131 - x)
    assert np.array_equal(turned[int(131 - x), int(y)], upright[int(y), int(x)])
    logits, scores = theirs(network, turned, True, points=[point], labels=[1])
    [found] = model.predict(model.embed(turned), Prompt(points=[point]))
    assert found.mask.shape == (131, 75)
    assert np.abs(found.mask - sigmoid(logits[0, int(scores[0].argmax())])).max() < 2e-5


def test_the_published_folders_hold_the_video_model(tmp_path: Path, network: Any) -> None:
    folder = save_sam2_video(tmp_path / "sam2.1-hiera-tiny")
    model = load_sam2(folder, device="cpu")
    assert model.id == "sam2.1-hiera-tiny"
    with quiet_transformers():
        whole = transformers.Sam2VideoModel.from_pretrained(folder)
    assert torch.equal(model._network.module.no_memory_embedding, whole.no_memory_embedding)
    ours, published = model._network.module.state_dict(), whole.state_dict()
    assert all(torch.equal(value, published[name]) for name, value in ours.items() if name in published)
    assert len(ours.keys() - published.keys()) == 0
    [found] = model.predict(model.embed(picture(75, 131)), Prompt(points=[(30, 40)]))
    assert found.mask.shape == (75, 131)


def test_bfloat16_is_near(folder: Path, model: Sam2) -> None:
    half = load_sam2(folder, device="cpu", precision="bfloat16")
    assert (half.device, half.precision) == ("cpu", "bfloat16")
    image, prompt = picture(75, 131), Prompt(boxes=[(10, 5, 60, 70)])
    [found] = half.predict(half.embed(image), prompt)
    assert found.mask.dtype == np.float32
    best = model.predict(model.embed(image), prompt, masks="all")
    assert min(np.abs(found.mask - subject.mask).mean() for subject in best) < 0.05


def test_pictures_are_stretched_in_float_and_antialiased() -> None:
    # Measured with torchvision 0.28: ToTensor, Resize((64, 64)), Normalize of the authors' SAM2Transforms.
    pixels = preprocess(picture(75, 131), 64)
    assert pixels.shape == (1, 3, 64, 64)
    assert torch.equal(pixels, preprocess(picture(75, 131).astype(np.float32) / np.float32(255), 64))
    measured = (
        (-0.062934, -0.910712, 1.527876),
        (0.428171, -0.207041, 2.037085),
        (-0.638456, -1.056719, -1.011451),
    )
    assert pixels[0, :, 0, 0].tolist() == pytest.approx(measured[0], abs=1e-5)
    assert pixels[0, :, 31, 40].tolist() == pytest.approx(measured[1], abs=1e-5)
    assert pixels[0, :, 63, 63].tolist() == pytest.approx(measured[2], abs=1e-5)


def test_scribbles_become_points_spread_along_them() -> None:
    marks = np.full((100, 200), 0.5, np.float32)
    marks[50, 20:180] = 1
    marks[5:8, 5:8] = 0
    [place] = places_of(Prompt(scribbles=marks))
    assert len(place.points) == 8
    assert all(marks[int(y), int(x)] == 1 for x, y in place.points)
    assert all(marks[int(y), int(x)] == 0 for x, y in place.not_points)
    columns = sorted(x for x, _ in place.points)
    assert (columns[0], columns[-1]) == (20.5, 179.5)
    assert np.diff(columns).min() > 10
    assert spread(np.zeros((3, 3), bool), 8) == ()
    assert spread(np.eye(1, dtype=bool), 8) == ((0.5, 0.5),)


def test_points_go_to_the_boxes_that_they_lie_in() -> None:
    boxes = [(0, 0, 10, 10), (20, 20, 30, 30)]
    first, second, third = places_of(Prompt(boxes=boxes, points=[(5, 5), (25, 25), (50, 50)], not_points=[(6, 6)]))
    assert (first.points, first.not_points) == (((5, 5),), ((6, 6),))
    assert (second.points, second.not_points) == (((25, 25),), ())
    assert (third.box, third.points, third.not_points) == (None, ((50, 50),), ((6, 6),))
    [one] = places_of(Prompt(boxes=boxes[:1], points=[(50, 50)]))
    assert one.points == ((50, 50),)


def test_a_mask_alone_gets_a_box() -> None:
    mask = np.zeros((40, 60), np.float32)
    mask[10:20, 30:50] = 1
    [place] = places_of(Prompt(mask=mask))
    assert place.box == (30, 10, 50, 20)
    parts = places_of(Prompt(mask=mask, boxes=[(0, 0, 40, 40), (40, 0, 60, 40)]))
    assert [float(part.mask.sum()) for part in parts if part.mask is not None] == [100, 100]


def test_what_it_does_not_serve_is_refused(model: Sam2) -> None:
    embedding = model.embed(picture(20, 30))
    with pytest.raises(InputError, match="does not read text"):
        model.predict(embedding, Prompt(text="lamp", points=[(3, 3)]))
    with pytest.raises(InputError, match="names no place"):
        model.predict(embedding, Prompt(not_points=[(3, 3)]))
    with pytest.raises(InputError):
        model.embed(np.zeros((9, 9, 4), np.uint8))


def test_progress_can_cancel(model: Sam2) -> None:
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        model.embed(picture(75, 131), progress=stop)

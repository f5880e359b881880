"""SAM 3 on clips against transformers' own propagation, with a small seeded model as it is published."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from gossamer.errors import ModelError
from gossamer.networks.recurrence import Recurrence
from gossamer.progress import Progress
from gossamer.prompting.places import Places
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2_video import Track
from gossamer.prompting.sam3 import load_sam3, preprocess
from gossamer.prompting.sam3_video import Sam3Tracker, load_sam3_tracker
from gossamer.video.clip import Clip, Frame
from gossamer.video.tags import ColourTags
from gossamer.video.timed import TimedPrompt
from gossamer.video.tracking import Tracked
from tests.prompting.tiny_models import HAS_SAM3, SAM3_SIDE, picture, reference, save_sam3, save_sam3_tracking

pytestmark = pytest.mark.skipif(not HAS_SAM3, reason="this transformers has no SAM 3")

HEIGHT, WIDTH, COUNT = 48, 80, 7
BOX = (10.0, 8.0, 50.0, 40.0)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums in one order: what is remembered of earlier frames enlarges the last digit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam3_tracking(tmp_path_factory.mktemp("sam3-video"))


@pytest.fixture(scope="module")
def tracker(folder: Path) -> Sam3Tracker:
    tracker = load_sam3_tracker(folder, device="cpu")

    def see(module: Any) -> None:  # or seeded weights say that the subject is not there, which is one number everywhere
        module.mask_decoder.pred_obj_score_head.proj_out.bias.data += 10

    tracker.network.run(see, Progress())
    return tracker


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return [picture(HEIGHT, WIDTH, seed) for seed in range(COUNT)]


def theirs(tracker: Sam3Tracker, frames: list[np.ndarray], first: int, back: bool) -> dict[int, np.ndarray]:
    """Return the logits that transformers' own propagation gives from one frame on."""
    video = torch.cat([preprocess(tracker.small(frame), SAM3_SIDE) for frame in frames])
    kind = transformers.Sam3TrackerVideoInferenceSession
    session = kind(video=video, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32)
    corners = torch.tensor(BOX).reshape(2, 2) * torch.tensor([SAM3_SIDE / WIDTH, SAM3_SIDE / HEIGHT])
    index = session.obj_id_to_idx(1)
    labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
    session.add_point_inputs(index, first, {"point_coords": corners[None, None], "point_labels": labels})
    session.obj_with_new_inputs = [1]
    with reference():
        module = tracker.network.run(lambda module: module, Progress())
        found = {first: module(session, frame_idx=first).pred_masks}
        for one in module.propagate_in_video_iterator(session, start_frame_idx=first, reverse=back):
            found[one.frame_idx] = one.pred_masks
    return {number: logits[0, 0].float().numpy() for number, logits in found.items()}


@pytest.mark.long
def test_what_is_published_holds_the_tracker_and_its_eyes(folder: Path, tracker: Sam3Tracker, tmp_path: Path) -> None:
    with reference():
        whole = transformers.Sam3VideoModel.from_pretrained(folder)
    module = tracker.network.run(lambda module: module, Progress())
    for ours, published in (
        (module.vision_encoder.backbone, whole.detector_model.vision_encoder.backbone),
        (module.vision_encoder.neck, whole.tracker_neck),
        (module.memory_attention, whole.tracker_model.memory_attention),
        (module.memory_encoder, whole.tracker_model.memory_encoder),
    ):
        wanted = published.state_dict()
        assert wanted
        assert all(torch.equal(one, wanted[name]) for name, one in ours.state_dict().items())
    with pytest.raises(ModelError, match="holds no sam3_video model, but sam3"):
        load_sam3_tracker(save_sam3(tmp_path / "pictures"), device="cpu")


@pytest.mark.long
@pytest.mark.parametrize(("first", "back"), [(0, False), (5, True)])
def test_frame_by_frame_it_is_what_transformers_propagates(
    tracker: Sam3Tracker, frames: list[np.ndarray], first: int, back: bool
) -> None:
    wanted = theirs(tracker, frames, first, back)
    track = Track(tracker, HEIGHT, WIDTH, COUNT)
    order = range(first, -1, -1) if back else range(first, COUNT)
    for number in order:
        places = [Places(BOX)] if number == first else []
        found = track.frame(number, tracker.small(frames[number]), places, Progress(), back=back)
        assert np.abs(found - wanted[number]).max() < 1e-4, number
    assert len(wanted) == len(order)
    assert np.ptp(wanted[first]) > 0.1


def test_words_are_looked_for_in_their_frame_and_followed_from_there(
    tracker: Sam3Tracker, folder: Path, frames: list[np.ndarray], tmp_path: Path
) -> None:
    looked: list[int] = []
    model = load_sam3(folder, device="cpu")

    def named(frame: Frame, prompt: Prompt) -> list[Places]:
        looked.append(frame.number)
        found = model.predict(model.embed(frame.pixels), prompt, box_threshold=0.0)
        return [Places(mask=found[0].mask), Places(mask=found[1].mask)]

    def given() -> Iterator[Frame]:
        return (Frame(number, Fraction(number, 25), pixels) for number, pixels in enumerate(frames))

    rate, tags = Fraction(25), ColourTags.of_pictures()
    clip = Clip(tmp_path, WIDTH, HEIGHT, rate, 1 / rate, COUNT / 25, 8, Fraction(1), tags, False, False, "ffv1")
    prompts = [TimedPrompt(Fraction(3, 25), Prompt(text="lamp"))]
    tracked = Tracked(tracker, prompts, clip, Fraction(0), given, Progress(), named)
    assert looked == [3]
    wanted = named(list(given())[3], Prompt(text="lamp"))
    here = tracked.matte(list(given())[3], Recurrence(), Progress()).alpha
    # What was found there is what is followed: the mask of a prompt is taken as it is.
    sure = np.abs(np.maximum(wanted[0].mask, wanted[1].mask) - 0.5) > 0.05
    assert np.mean((here > 0.5)[sure] == (np.maximum(wanted[0].mask, wanted[1].mask) > 0.5)[sure]) > 0.9
    for frame in given():
        assert tracked.matte(frame, Recurrence(), Progress()).alpha.shape == (HEIGHT, WIDTH)
    tracked.close()


@pytest.mark.long
def test_the_command_names_it_by_words(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    from gossamer.cli import main
    from gossamer.video import open_source
    from tests.video.clips import make_clip

    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    make_clip(tmp_path / "in.mkv", 3)
    given = ["video", str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv"), "--model", str(folder), "--quiet"]
    given += ["--at", "0.04", "--text", "lamp", "--matting", "none", "--device", "cpu"]
    assert main(given) != 0  # the small model is not sure of anything
    assert 'Nothing was found for "lamp" in frame 2' in capsys.readouterr().err
    assert not (tmp_path / "out.mkv").exists()
    monkeypatch.setattr("gossamer.prompting.sam3.Sam3.box_threshold", 0.0)
    assert main(given) == 0, capsys.readouterr()
    with open_source(tmp_path / "out.mkv") as made:
        assert sum(1 for _ in made.frames()) == 3

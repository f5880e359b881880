"""SAM 2.1 on clips against transformers' own processor and propagation, with a small seeded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gossamer.errors import InputError  # noqa: E402
from gossamer.networks.recurrence import Recurrence  # noqa: E402
from gossamer.progress import Progress  # noqa: E402
from gossamer.prompting.places import Places  # noqa: E402
from gossamer.prompting.prompt import Prompt  # noqa: E402
from gossamer.prompting.sam2 import preprocess  # noqa: E402
from gossamer.prompting.sam2_video import Sam2Tracker, Track, load_sam2_tracker  # noqa: E402
from gossamer.settings import ModelChoice, Recipe  # noqa: E402
from gossamer.video.clip import Clip, Frame  # noqa: E402
from gossamer.video.tags import ColourTags  # noqa: E402
from gossamer.video.timed import TimedPrompt, prompts_between  # noqa: E402
from gossamer.video.tracking import Tracked  # noqa: E402
from tests.prompting.tiny_models import SIDE, picture, reference, save_sam2_tracking  # noqa: E402

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
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Sam2Tracker:
    folder = save_sam2_tracking(tmp_path_factory.mktemp("sam2-video"))
    tracker = load_sam2_tracker(folder, device="cpu")

    def see(module: Any) -> None:  # or seeded weights say that the subject is not there, which is one number everywhere
        module.mask_decoder.pred_obj_score_head.proj_out.bias.data += 10

    tracker.network.run(see, Progress())
    return tracker


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return [picture(HEIGHT, WIDTH, seed) for seed in range(COUNT)]


def theirs(tracker: Sam2Tracker, frames: list[np.ndarray], first: int, back: bool) -> dict[int, np.ndarray]:
    """Return the logits that transformers' own propagation gives from one frame on."""
    from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

    video = torch.cat([preprocess(tracker.small(frame), SIDE) for frame in frames])
    session = Sam2VideoInferenceSession(video=video, video_height=HEIGHT, video_width=WIDTH, dtype=torch.float32)
    corners = torch.tensor(BOX).reshape(2, 2) * torch.tensor([SIDE / WIDTH, SIDE / HEIGHT])
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


@pytest.mark.parametrize(("first", "back"), [(0, False), (5, True)])
def test_frame_by_frame_it_is_what_transformers_propagates(
    tracker: Sam2Tracker, frames: list[np.ndarray], first: int, back: bool
) -> None:
    wanted = theirs(tracker, frames, first, back)
    track = Track(tracker, HEIGHT, WIDTH, COUNT)
    order = range(first, -1, -1) if back else range(first, COUNT)
    for number in order:
        places = [Places(BOX)] if number == first else []
        found = track.frame(number, tracker.small(frames[number]), places, Progress(), back=back)
        assert np.abs(found - wanted[number]).max() < 1e-4, number
    assert len(wanted) == len(order)


def test_points_on_a_later_frame_correct_what_was_followed(tracker: Sam2Tracker, frames: list[np.ndarray]) -> None:
    plain, corrected = Track(tracker, HEIGHT, WIDTH), Track(tracker, HEIGHT, WIDTH)
    differ = []
    for number, frame in enumerate(frames):
        small = tracker.small(frame)
        first = [Places(BOX)] if number == 0 else []
        point = [Places(None, (), ((60.0, 30.0),))] if number == 3 else first
        one = plain.frame(number, small, first, Progress())
        differ.append(float(np.abs(one - corrected.frame(number, small, point, Progress())).max()))
    assert differ[:3] == [0.0, 0.0, 0.0]
    assert differ[3] > 1e-6
    with pytest.raises(InputError, match="names 2 subjects"):
        plain.frame(COUNT, small, [Places(BOX), Places(BOX)], Progress())


def test_memory_holds_a_few_frames_only(tracker: Sam2Tracker, frames: list[np.ndarray]) -> None:
    track = Track(tracker, HEIGHT, WIDTH)
    for number in range(40):
        places = [Places(BOX)] if number == 0 else []
        track.frame(number, tracker.small(frames[number % COUNT]), places, Progress())
    session = track._session
    assert not any(one is not None for one in session.processed_frames.values())
    assert len(session.processed_frames) == 15
    assert len(session.output_dict_per_obj[0]["non_cond_frame_outputs"]) <= 25


def clip(path: Path) -> Clip:
    rate, tags = Fraction(25), ColourTags.of_pictures()
    return Clip(path, WIDTH, HEIGHT, rate, 1 / rate, COUNT / 25, 8, Fraction(1), tags, False, False, "ffv1")


def test_a_clip_is_followed_in_both_directions(
    tracker: Sam2Tracker, frames: list[np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossamer.video.tracking._BACK", 2)  # in several goes

    def given() -> Iterator[Frame]:
        return (Frame(number, Fraction(number, 25), pixels) for number, pixels in enumerate(frames))

    prompt = TimedPrompt(Fraction(5, 25) + Fraction(1, 100), Prompt(boxes=(BOX,)))
    tracked = Tracked(tracker, [prompt], clip(tmp_path), Fraction(0), given, Progress())
    wanted = theirs(tracker, frames, 5, True)
    for frame in given():
        mask = tracked.matte(frame, Recurrence(), Progress()).alpha
        assert mask.shape == (HEIGHT, WIDTH)
        if frame.number in wanted:
            import cv2

            true = cv2.resize(wanted[frame.number], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
            assert np.abs(mask - 1 / (1 + np.exp(-np.clip(true, -15.875, 15.875)))).max() < 0.02
    tracked.close()
    with pytest.raises(InputError, match="not named by words"):
        Tracked(
            tracker, [TimedPrompt(Fraction(0), Prompt(text=("cat",)))], clip(tmp_path), Fraction(0), given, Progress()
        )


def chunked(frames: list[np.ndarray], begin: int, end: int) -> Callable[[], Iterator[Frame]]:
    """Return what gives the frames of a chunk, numbered from 0, with the whole clip's times."""
    return lambda: (Frame(number - begin, Fraction(number, 25), frames[number % COUNT]) for number in range(begin, end))


def test_chunks_are_followed_as_the_whole_clip(tracker: Sam2Tracker, frames: list[np.ndarray], tmp_path: Path) -> None:
    box = TimedPrompt(Fraction(3, 25), Prompt(boxes=(BOX,)))
    point = TimedPrompt(Fraction(24, 25), Prompt(not_points=((60.0, 30.0),)))
    size, start, quiet = clip(tmp_path), Fraction(0), Progress()
    whole = Tracked(tracker, [box, point], size, start, chunked(frames, 0, 40), quiet)
    wanted = [whole.matte(frame, Recurrence(), quiet).alpha for frame in chunked(frames, 0, 40)()]
    whole.close()
    parts, before = [], None
    for begin, end in ((0, 20), (20, 30), (30, 40)):
        given = chunked(frames, begin, end)
        now, later = prompts_between([box, point], Fraction(begin, 25), Fraction(end, 25), before)
        assert (now, later) == {0: ([box], [point]), 20: ([point], []), 30: ([], [])}[begin]
        part = Tracked(tracker, now, size, start, given, quiet, None, before, keeps=True)
        parts += [part.matte(frame, Recurrence(), quiet).alpha for frame in given()]
        if begin == 20:  # as often as somebody likes: nothing that is remembered changes
            again = Tracked(tracker, [], size, start, given, quiet, None, before)
            assert np.abs(again.matte(next(given()), Recurrence(), quiet).alpha - parts[20]).max() < 1e-6
            other = [again.matte(frame, Recurrence(), quiet).alpha for frame in given()]
            assert np.abs(np.stack(other[4:]) - np.stack(parts[24:])).max() > 1e-4
            again.close()
        before = part.followed
        part.close()
    assert before is not None
    assert before.count == 40
    assert np.ptp(np.stack(wanted)) > 0.1
    assert np.abs(np.stack(parts) - np.stack(wanted)).max() < 1e-6


def test_what_goes_not_on_is_told(tracker: Sam2Tracker, frames: list[np.ndarray], tmp_path: Path) -> None:
    box = TimedPrompt(Fraction(0), Prompt(boxes=(BOX,)))
    begin, end = Fraction(0), Fraction(4, 25)
    given = chunked(frames, 0, 4)
    tracked = Tracked(tracker, [box], clip(tmp_path), begin, given, Progress(), keeps=True)
    tracked.close()
    before = tracked.followed
    assert before is not None
    with pytest.raises(InputError, match=r"no frame at 0\.04 s: what is cut out goes from 0\.16 s to 0\.32 s"):
        prompts_between([box, TimedPrompt(Fraction(1, 25), box.prompt)], end, 2 * end, before)
    with pytest.raises(InputError, match=r"no frame at 1 s: what is cut out goes from 0 s to 0\.16 s"):
        prompts_between([TimedPrompt(Fraction(1), box.prompt)], begin, end)
    larger = replace(clip(tmp_path), width=2 * WIDTH)
    with pytest.raises(InputError, match="before are 80 x 48 pixels, these 160 x 48"):
        Tracked(tracker, [], larger, begin, given, Progress(), None, before)
    stranger = replace(before, track=replace(before.track, network=("sam2-large", "cuda", "bfloat16")))
    with pytest.raises(InputError, match=r"followed by sam2-large \(cuda, bfloat16\), not by "):
        Tracked(tracker, [], clip(tmp_path), begin, given, Progress(), None, stranger)
    two = TimedPrompt(Fraction(4, 25), Prompt(boxes=(BOX, (60.0, 8.0, 78.0, 30.0))))
    with pytest.raises(InputError, match="names 2 subjects and the first one 1"):
        Tracked(tracker, [two], clip(tmp_path), begin, chunked(frames, 4, 8), Progress(), None, before)


def test_the_command_follows_what_a_box_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    from gossamer.cli import main
    from gossamer.video import open_source
    from tests.video.clips import make_clip

    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    make_clip(tmp_path / "in.mkv", 5)
    folder = save_sam2_tracking(tmp_path / "sam")
    given = ["video", str(tmp_path / "in.mkv"), str(tmp_path / "out.mkv"), "--model", str(folder), "--quiet"]
    prompt = ["--at", "0.08", "--box", "10,8,60,56", "--at", "0.12", "--not-point", "80,10"]
    assert main([*given, *prompt, "--matting", "none", "--device", "cpu"]) == 0, capsys.readouterr()
    with open_source(tmp_path / "out.mkv") as made:
        assert sum(1 for _ in made.frames()) == 5
    for wrong, told in (
        (["--at", "0.08"], "nothing says what"),
        (["--at", "soon", "--box", "1,2,3,4"], "is no time"),
        (["--box", "10,8,60,56", "--point", "10%,10%"], "pixels and some are percent"),
        (["--box", "10,8,60,56", "--roi", "0,0,50,50"], "Leave the region"),
    ):
        assert main([*given[:2], str(tmp_path / "new.mkv"), *given[3:], *wrong]) != 0
        assert told in capsys.readouterr().err
    assert not (tmp_path / "new.mkv").exists()


@pytest.mark.parametrize("step", ["gossamer.video.job.assemble", "gossamer.video.job.Parts.remove"])
def test_nothing_is_followed_anew_where_every_frame_is_made(tmp_path: Path, step: str) -> None:
    """Ended while the segments are joined, or while only their folder is left to remove."""
    pytest.importorskip("av")
    from gossamer.video import cut_video, open_source
    from tests.video.clips import make_clip

    make_clip(tmp_path / "in.mkv", 50)
    folder = save_sam2_tracking(tmp_path / "sam")
    prompts = [TimedPrompt(Fraction(1, 5), Prompt(boxes=((10.0, 8.0, 60.0, 56.0),)))]
    choice = ModelChoice.of(model=str(folder), device="cpu")
    recipe = Recipe.of({"matting": {"method": "none"}})

    def made(name: str, **options: Any) -> Any:
        return cut_video(tmp_path / "in.mkv", tmp_path / name, None, recipe, choice, prompts=prompts, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made("out.mkv")
    assert (tmp_path / "out.mkv.parts").is_dir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gossamer.video.tracking.Tracked", lambda *_: pytest.fail("it was followed anew"))
        report = made("out.mkv", resume=True)
    assert report.resumed == report.frames == 50
    assert not (tmp_path / "out.mkv.parts").exists()
    made("whole.mkv")
    with open_source(tmp_path / "out.mkv") as one, open_source(tmp_path / "whole.mkv") as other:
        for resumed, whole in zip(one.frames(), other.frames(), strict=True):
            assert np.array_equal(resumed.pixels, whole.pixels)
            assert np.array_equal(resumed.alpha, whole.alpha)


def test_frames_that_a_program_holds_are_followed_as_a_clip_s(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from gossamer.video import FrameCutter, cut_video, open_source
    from tests.video.clips import make_clip

    make_clip(tmp_path / "in.mkv", 6)
    folder = save_sam2_tracking(tmp_path / "sam")
    prompts = [TimedPrompt(Fraction(3, 25), Prompt(boxes=((10.0, 8.0, 60.0, 56.0),)))]
    choice = ModelChoice.of(model=str(folder), device="cpu")
    recipe = Recipe.of({"matting": {"method": "none"}, "foreground": {"method": "none"}})
    cut_video(tmp_path / "in.mkv", tmp_path / "out.mkv", None, recipe, choice, prompts=prompts)
    with open_source(tmp_path / "in.mkv") as source:
        held = list(source.frames())
    with FrameCutter(64, 96, None, recipe, choice, prompts=prompts, frames=lambda: iter(held)) as cutter:
        mattes = [one.matte for one in cutter.cut(held, len(held))]
    with open_source(tmp_path / "out.mkv") as made:
        for frame, matte in zip(made.frames(), mattes, strict=True):
            assert frame.alpha is not None
            assert np.abs(frame.alpha / np.iinfo(frame.alpha.dtype).max - matte).max() < 0.003
    with pytest.raises(InputError, match="Give frames, too"):
        FrameCutter(64, 96, None, recipe, choice, prompts=prompts)

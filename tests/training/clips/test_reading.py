"""Clips are found however they lie, looked at, and never torn apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gossamer.cli import main
from gossamer.errors import InputError
from gossamer.progress import Progress
from gossamer.settings.dataset import Data
from gossamer.training.clips.reading import find_clips, look_into_clips, read_clips, split_clips
from tests.training.clips.scenes import frame, save_clip, save_cut_clip
from tests.training.dataset.scenes import save_mask, save_picture
from tests.video.clips import make_clip

QUIET = Progress()


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for seed in range(7):
        save_clip(root, f"take{seed}", seed)
    save_cut_clip(root / "cut", 8)
    for seed in (20, 21):
        rgb, alpha = frame(seed, 0)
        save_picture(root / "images" / f"still-{seed}.png", rgb)
        save_mask(root / "masks" / f"still-{seed}.png", alpha)
    return root


def test_folders_of_numbered_pictures_are_clips_and_others_stills(many: Path) -> None:
    found = read_clips(many)
    told = {one.name: (one.source, one.length, one.is_cutout, one.size) for one in found.clips}
    assert told == {
        **{f"images/take{seed}": ("folder of frames", 6, False, (96, 72)) for seed in range(7)},
        "cut": ("folder of frames", 5, True, (96, 72)),
        **{f"images/still-{seed}": ("still", 1, False, (96, 72)) for seed in (20, 21)},
    }
    assert not found.left_out
    (clip,) = (one for one in found.clips if one.name == "images/take3")
    for place, (rgb, alpha) in enumerate(clip.read(range(2, 5)), start=2):
        expected = frame(3, place)
        assert np.array_equal(rgb, expected[0])
        assert np.abs(alpha - expected[1]).max() < 0.5 / 255 + 1e-6
    stills = find_clips(many, Data(numbered="stills"))
    assert len(stills.clips) == 7 * 6 + 5 + 2
    assert all(one.is_still for one in stills.clips)


def test_a_clip_may_hold_the_folders_of_its_frames_and_mattes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for place in range(3):
            rgb, alpha = frame(ord(name), place)
            save_picture(tmp_path / name / "frames" / f"f{place}.png", rgb)
            save_mask(tmp_path / name / "mattes" / f"f{place}.png", alpha)
    assert [(one.name, one.length) for one in read_clips(tmp_path).clips] == [("a/frames", 3), ("b/frames", 3)]


def test_foregrounds_without_a_background_are_cut_outs(tmp_path: Path) -> None:
    """As Robust Video Matting's authors keep theirs: fgr/NAME/0000.png and pha/NAME/0000.png."""
    for place in range(3):
        rgb, alpha = frame(1, place)
        save_picture(tmp_path / "fgr" / "one" / f"{place:04d}.png", rgb)
        save_mask(tmp_path / "pha" / "one" / f"{place:04d}.png", alpha)
    (clip,) = read_clips(tmp_path).clips
    assert (clip.name, clip.length, clip.is_cutout) == ("fgr/one", 3, True)


def test_what_is_wrong_with_a_clip_is_named(tmp_path: Path) -> None:
    for seed, name in enumerate(("good", "lone", "size", "turned", "empty", "gap", "broken")):
        save_clip(tmp_path, name, seed)
    (tmp_path / "masks/lone/0003.png").unlink()
    (tmp_path / "images/lone/0005.png").unlink()
    save_mask(tmp_path / "masks/size/0004.png", frame(2, 3, 60, 96)[1])
    for place in range(1, 7):
        file = tmp_path / f"masks/turned/{place:04d}.png"
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
        save_mask(tmp_path / f"masks/empty/{place:04d}.png", np.zeros((72, 96), np.float32))
    for kind in ("images", "masks"):
        (tmp_path / kind / "gap/0004.png").unlink()
    (tmp_path / "images/broken/0001.png").write_bytes(b"no picture")
    found = look_into_clips(find_clips(tmp_path, Data()), QUIET)
    assert [one.name for one in found.clips] == ["images/gap", "images/good"]
    told = dict(found.left_out)
    assert told["images/lone"] == "0003, 0005 has no matte, or is a matte without its frame."
    assert told["images/size"] == "0004.png has 96 x 60 pixels and the first frame 96 x 72."
    assert "inverted" in told["images/turned"]
    assert told["images/empty"] == "Its mask is empty."
    assert "0001.png" in told["images/broken"]
    assert [(name, note) for name, note in found.notes if "numbers" in note] == [
        ("images/gap", "Its numbers leave out 4: what follows is taken for the next frame.")
    ]
    with pytest.raises(InputError, match=r"5 of 7 clips .* cannot be used"):
        read_clips(tmp_path)
    assert len(read_clips(tmp_path, Data(left_out=100.0)).clips) == 2


def test_a_subject_that_leaves_is_no_fault_and_black_may_be_it(tmp_path: Path) -> None:
    save_clip(tmp_path, "leaves", 1)
    for place in (5, 6):
        save_mask(tmp_path / f"masks/leaves/{place:04d}.png", np.zeros((72, 96), np.float32))
    assert [one.name for one in read_clips(tmp_path).clips] == ["images/leaves"]
    for file in (tmp_path / "masks/leaves").iterdir():
        Image.fromarray(255 - np.asarray(Image.open(file))).save(file)
    (clip,) = read_clips(tmp_path, Data(white="background")).clips
    assert np.abs(clip.read([0])[0][1] - frame(1, 0)[1]).max() < 0.5 / 255 + 1e-6


def test_films_are_read_with_their_mattes(tmp_path: Path) -> None:
    pytest.importorskip("av")
    for name, count in (("a", 6), ("b", 6), ("c", 4)):
        (tmp_path / "clips").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        make_clip(tmp_path / "clips" / f"{name}.mkv", count)
        make_clip(tmp_path / "masks" / f"{name}.mkv", 6)  # a red disc before green is some matte, brighter within
    make_clip(tmp_path / "clips" / "d.mkv", 3)
    make_clip(tmp_path / "masks" / "e.mkv", 3)
    found = look_into_clips(find_clips(tmp_path, Data()), QUIET)
    told = dict(found.left_out)
    assert told["clips/c.mkv"] == "It has 4 frames, and 6 mattes."
    assert "no alpha and no mattes" in told["clips/d.mkv"]
    assert told["masks/e.mkv"] == "e.mkv has no film."
    (clip,) = (one for one in find_clips(tmp_path, Data()).clips if one.name == "clips/a.mkv")
    assert clip.film is not None
    assert clip.film.count() == (6, 6)
    every = clip.read(range(6))
    for (rgb, alpha), (one, other) in zip(clip.read([3, 4, 5]), every[3:], strict=True):
        assert np.array_equal(rgb, one)
        assert np.array_equal(alpha, other)
        assert np.abs(alpha - rgb.mean(axis=2) / 255).max() < 1e-6
    with pytest.raises(InputError, match="ends before frame 9"):
        clip.read([5, 8])


def test_a_clip_is_never_split_nor_parted_from_the_same_footage(many: Path, tmp_path: Path) -> None:
    found = read_clips(many).clips
    parts = split_clips(found, Data())
    names = [name for part in parts.as_dict().values() for name in part]
    assert sorted(names) == sorted(one.name for one in found)
    assert parts.train
    assert parts.validation
    assert parts.test
    for seed in range(4):
        save_clip(tmp_path, f"take{seed}", seed, 4)
    for place in range(4):  # another cut of the same footage: its middle is not the other's, but they share frames
        rgb, alpha = frame(0, place + 2)
        save_picture(tmp_path / "images" / "again" / f"{place}.png", rgb)
        save_mask(tmp_path / "masks" / "again" / f"{place}.png", alpha)
    for seed in range(5):
        parts = split_clips(read_clips(tmp_path).clips, Data(split_seed=seed, validation=25.0, test=25.0))
        (both,) = (part for part in parts.as_dict().values() if "images/take0" in part)
        assert "images/again" in both
    clips = read_clips(tmp_path, Data(group="(images)")).clips
    with pytest.raises(InputError, match="5 clips make 1 group of"):
        split_clips(clips, Data())


def test_the_command_line_knows_clips(many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", "check", str(many), "--clips", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "8 clips can be used (8 from a folder of frames), and 2 stills that are made to move." in told
    assert "Frames: 5 to 6, 47 in all." in told
    assert main(["dataset", "check", str(many), "--clips", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["frames"] for one in report["clips"]}["images/take0"] == 6
    assert main(["dataset", "split", str(many), "--clips", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    assert sum(len(parts[name]) for name in ("train", "validation", "test")) == 10
    assert (
        main(["dataset", "show", str(many), "--clips", "-o", str(tmp_path / "s.png"), "--count", "3", "--quiet"]) == 0
    )
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.size[0] > 400
    (tmp_path / "nothing").mkdir()
    assert main(["dataset", "check", str(tmp_path / "nothing"), "--clips"]) == 2
    assert "holds neither clips nor pictures" in capsys.readouterr().err


def test_mattes_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for name in ("clips/a.mp4", "masks/x/a.mp4", "masks/y/a.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    ((name, why),) = find_clips(tmp_path, Data()).left_out
    assert (name, why) == ("clips/a.mp4", "It has 2 possible mattes: masks/x/a.mp4, masks/y/a.mp4.")

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossamer.cli import main
from tests.video.clips import make_clip

KEYED = ["--model", "none", "--matting", "key"]


def test_a_clip_goes_in_and_a_report_comes_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(tmp_path / "in.mkv", 3)
    assert main(["video", str(tmp_path / "in.mkv"), str(tmp_path / "out.mov"), *KEYED, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["frames"], report["format"], report["width"], report["resumed"]) == (3, "prores4444", 96, 0)
    assert {"model", "matting", "hold", "colours", "write", "join", "total"} <= set(report["seconds"])
    assert (tmp_path / "out.mov").stat().st_size > 0


def test_progress_tells_rate_and_time_left() -> None:
    """As the bar shows it."""
    from fractions import Fraction

    from gossamer.settings.video import Video, read_time

    assert read_time("1:02:03.5") == Fraction(7447, 2)
    assert Video(fps=23.976).rate == Fraction(24000, 1001)
    assert Video(fps=29.97).rate == Fraction(30000, 1001)
    assert Video(fps=25.0).rate == 25
    assert Video().rate is None


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["gone.mp4", "out.mov"], 2, "gone.mp4 does not exist"),
        (["in.mkv"], 2, "Nothing says where the result goes"),
        (["in.mkv", "-"], 2, "not from or to -"),
        (["-", "out.mov"], 2, "gossamer camera"),
        (["in.mkv", "out.mp4"], 2, "cannot hold a transparent background"),
        (["in.mkv", "out.xyz"], 3, "no suffix of a video"),
        (["in.mkv", "nowhere/out.mov"], 3, "does not exist"),
        (["in.mkv", "out.mov", "--size", "big"], 2, "give e.g. 1280x720"),
        (["in.mkv", "out.mov", "--start", "noon"], 2, "seconds"),
        (["in.mkv", "out.mov", "--fps", "0.01"], 2, "0.1 to 1000"),
        (["in.mkv", "out.mov", "--canvas-size", "100x100"], 2, "keeps its canvas"),
        (["in.mkv", "out.mov", "--model", "nosuch"], 4, "There is no model"),
        (["in.mkv", "in.mkv", "--force"], 3, "is the clip itself"),
        (["in.mkv", "out.mov", "--output-quality", "50"], 2, "for pictures, not for clips"),
        (["in.mkv", "out.mov", "--at", "99", "--box", "1,2,30,40"], 2, "no frame at 99 s"),
        (["text.mp4", "out.mov"], 2, "damaged, cut off, or no video"),
    ],
)
def test_what_cannot_be_is_one_sentence_with_a_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "in.mkv", 2)
    (tmp_path / "text.mp4").write_text("not a film")
    keyed = [] if "--model" in arguments else KEYED
    assert main(["video", *arguments, *keyed, "--quiet"]) == status
    told = capsys.readouterr().err
    assert message.lower() in told.lower()
    assert len(told.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "text.mp4"]


@pytest.mark.parametrize("command", ["video", "camera"])
def test_help_shows_what_counts_for_clips(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert "--background" in told
    assert not any(flag in told for flag in ("--canvas", "--shadow", "--output-", "--preset"))


def test_a_result_in_which_nothing_was_found_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(tmp_path / "in.mkv", 2)
    away = ["--roi", "60%,0,100%,100%"]
    for place, is_empty in (([], False), (away, True)):
        told = main(["video", str(tmp_path / "in.mkv"), str(tmp_path / f"{is_empty}.mkv"), *KEYED, *place])
        assert told == 0
        assert ("Nothing was found in any frame" in capsys.readouterr().err) == is_empty

"""What is found: everything, in a sensible order, with a name for what is left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.batch.sources import find_sources
from gossamer.errors import InputError
from tests.batch.conftest import photograph
from tests.permissions import bound_by_permissions

OUT = Path("/nowhere/out")


def names(found: object) -> list[str]:
    """Return the names of all sources."""
    return [source.name for source in found.sources]  # type: ignore[attr-defined]


def test_folders_are_searched_in_the_order_of_people(tmp_path: Path) -> None:
    for name in ("p10.png", "p9.png", "B/a.png", "a/z.png", ".git/p.png", "__MACOSX/p.png"):
        photograph(tmp_path / name)
    found = find_sources([str(tmp_path)], OUT)
    assert names(found) == ["p9.png", "p10.png", "a/z.png", "B/a.png"]
    assert found.passed_over == 2


def test_a_picture_is_known_by_its_first_bytes_or_its_suffix(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png").rename(tmp_path / "download (1)")
    (tmp_path / "b.PSD").write_bytes(b"8BPS....")
    (tmp_path / "c.txt").write_text("words")
    (tmp_path / "d.jpg").write_bytes(b"")
    found = find_sources([str(tmp_path)], OUT)
    assert names(found) == ["b.PSD", "d.jpg", "download (1)"]
    assert [(each.name, each.is_skipped) for each in found.unusable] == [("c.txt", True)]


def test_outputs_are_never_searched(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png")
    photograph(tmp_path / "out" / "b.png")
    assert names(find_sources([str(tmp_path)], tmp_path / "out")) == ["a.png"]


def test_patterns_mirror_the_tree_below_their_fixed_part(tmp_path: Path) -> None:
    for name in ("s/x/a.png", "s/y/b.png", "s/y/c.txt", "t/d.png"):
        photograph(tmp_path / name if name.endswith("png") else tmp_path / "s" / "c.png")
    found = find_sources([str(tmp_path / "s" / "*" / "*.png")], OUT)
    assert names(found) == ["x/a.png", "y/b.png"]
    with pytest.raises(InputError, match="matches"):
        find_sources([str(tmp_path / "*.webp")], OUT)


def test_what_is_named_twice_is_done_once(tmp_path: Path) -> None:
    path = str(photograph(tmp_path / "a.png"))
    assert names(find_sources([path, path, str(tmp_path)], OUT)) == ["a.png"]


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path: Path) -> None:
    path = photograph(tmp_path / "a[1].png")
    assert names(find_sources([str(path)], OUT)) == ["a[1].png"]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_sources([str(tmp_path / "gone")], OUT)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_that_lead_back_end(tmp_path: Path) -> None:
    photograph(tmp_path / "a" / "p.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    found = find_sources([str(tmp_path)], OUT)
    assert names(found) == ["gone.jpg", "loop.jpg", "a/p.png"]
    (unusable,) = found.unusable
    assert "Links lead in a circle there" in unusable.failure.remedy


def test_a_folder_that_may_not_be_opened_is_named(tmp_path: Path) -> None:
    photograph(tmp_path / "a" / "p.png")
    (tmp_path / "a").chmod(0)
    look = "import sys; from pathlib import Path; from gossamer.batch.sources import find_sources"
    look += "; print([(each.name, each.is_skipped) for each in find_sources(sys.argv[1:], Path('/out')).unusable])"
    line = [*bound_by_permissions(), sys.executable, "-c", look, str(tmp_path)]
    found = subprocess.run(line, capture_output=True, text=True, check=False)
    (tmp_path / "a").chmod(0o700)
    assert found.stdout == "[('a', False)]\n", found.stderr

"""Hot folders, with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gossamer.batch.journal import Journal
from gossamer.batch.plan import Asked, Item, Planner
from gossamer.batch.sources import Unusable
from gossamer.batch.watch import watched
from tests.batch.conftest import photograph


class Watch:
    """A watched folder: each `pass_by` is some seconds of its life."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.refused: list[Unusable] = []
        asked = Asked(folder / "out", resume=True)
        folder.mkdir()
        planner = Planner(asked, Journal([], {}, {}))
        self._items: Iterator[Item | None] = watched(
            [str(folder)], folder / "out", planner, self.refused.append, lambda: self.now
        )

    def pass_by(self, seconds: float) -> list[str]:
        """Return the sources that come out meanwhile."""
        found: list[str] = []
        end = self.now + seconds
        while self.now < end:
            item = next(self._items)
            if item is None:
                self.now += 0.1
            else:
                found.append(item.source.name)
        return found


def test_a_file_is_taken_once_when_it_has_stopped_growing_and_again_when_it_changes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    watch = Watch(folder)
    assert watch.pass_by(5) == []
    whole = photograph(tmp_path / "a.png").read_bytes()
    for end in range(0, len(whole), len(whole) // 5):
        (folder / "a.png").write_bytes(whole[:end])
        assert watch.pass_by(1.5) == []
    (folder / "a.png").write_bytes(whole)
    assert watch.pass_by(1.0) == []
    assert watch.pass_by(5) == ["a.png"]
    assert watch.pass_by(10) == []
    photograph(folder / "a.png", 5)
    assert watch.pass_by(5) == ["a.png"]
    assert not watch.refused


def test_what_cannot_be_taken_is_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    watch = Watch(folder)
    photograph(folder / "a.png")
    photograph(folder / "a.jpg", 1)  # the same output
    (folder / "notes.txt").write_text("words")
    assert watch.pass_by(20) == ["a.jpg"]
    assert [each.name for each in watch.refused] == ["notes.txt", "a.png"]
    assert "a.jpg" in watch.refused[1].failure.message


def test_the_folder_may_go_and_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    watch = Watch(folder)
    folder.rename(tmp_path / "away")
    assert watch.pass_by(5) == []
    (tmp_path / "away").rename(folder)
    photograph(folder / "b.png")
    assert watch.pass_by(5) == ["b.png"]

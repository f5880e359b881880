"""The user's own presets, as a file in GIMP's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossamer_gimp.collection import FILE, Collection, Unreadable

SOFT = {"matting": "auto", "refinement-feather": 2.5, "matting-band": 12, "foreground-edge": True}


def test_what_is_saved_is_there_for_the_next(tmp_path: Path) -> None:
    assert Collection(str(tmp_path)).all() == {}
    Collection(str(tmp_path)).save("Weiches Haar", SOFT)
    Collection(str(tmp_path)).save("other", {"matting": "none"})
    Collection(str(tmp_path)).save("Weiches Haar", {**SOFT, "matting": "closed_form"})
    kept = Collection(str(tmp_path)).all()
    assert list(kept) == ["Weiches Haar", "other"]
    assert kept["Weiches Haar"] == {**SOFT, "matting": "closed_form"}
    Collection(str(tmp_path)).delete("Weiches Haar")
    assert list(Collection(str(tmp_path)).all()) == ["other"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"version": 1}', '{"version": 2, "presets": []}', '{"version": 1, "presets": [{"name": "x"}]}'],
)
def test_a_file_that_cannot_be_read_is_told_of_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    collection = Collection(str(tmp_path))
    for call in (collection.all, lambda: collection.save("new", SOFT), lambda: collection.delete("x")):
        with pytest.raises(Unreadable):
            call()
    assert (tmp_path / FILE).read_text() == text


def test_a_folder_that_cannot_be_written_to_leaves_nothing_half_done(tmp_path: Path) -> None:
    Collection(str(tmp_path)).save("one", SOFT)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(Unreadable):
        Collection(str(tmp_path / "missing")).save("two", SOFT)
    with pytest.raises(TypeError):
        Collection(str(tmp_path)).save("three", {"bad": object()})
    assert (tmp_path / FILE).read_bytes() == before
    assert json.loads(before)["version"] == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE]

"""What outputs are called: safe, and no two alike."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossamer.batch.sources import Source
from gossamer.batch.targets import check_targets, target_of
from gossamer.errors import InputError, OutputError
from gossamer.settings.batch import Batch

OUT = Path("/out")


def source(name: str, **more: object) -> Source:
    """Return a source below /in."""
    return Source(Path("/in") / name, name, "in", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{stem}{suffix}", "a/b/p.1.webp"),
        ("{stem}-cutout", "a/b/p.1-cutout.webp"),
        ("{kind}/{root}-{number}{suffix}", "a/b/jpg/in-00007.webp"),
        ("{{{stem}}}{suffix}", "a/b/{p.1}.webp"),
        ("{sku}{suffix}", "a/b/x_y_z.webp"),
        ("{dots}{suffix}", "a/b/_.webp"),
    ],
)
def test_templates(template: str, wanted: str) -> None:
    picture = source("a/b/p.1.JPG", fields={"sku": "x/y:z.", "dots": ".."})
    assert target_of(picture, 7, Batch(format="webp", name=template)) == wanted
    assert target_of(picture, 7, Batch(format="webp", name=template, flat=True)) == wanted.removeprefix("a/b/")


@pytest.mark.parametrize("template", ["{nothing}", "{stem", "{stem!r}", "{stem.__class__}", "{stem:>20}", "{0}"])
def test_what_a_template_cannot_say(template: str) -> None:
    with pytest.raises(InputError):
        target_of(source("p.jpg"), 1, Batch(name=template))


@pytest.mark.parametrize(
    "name", ["../p", "/p", "a/../../p", "C:/p", "a\\..\\p", ".gossamer/p", "set-aside/p", "nul", "a/.p"]
)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(InputError, match="cannot be called"):
        target_of(source("p.jpg", output=name), 1, Batch())


@pytest.mark.skipif(sys.platform == "win32", reason="these mean something there")
@pytest.mark.parametrize("name", ["a:b.jpg", "a\\b.jpg", "con.jpg", "nul/aux.jpg", "12:30:11.png"])
def test_a_picture_s_own_name_is_one_that_the_system_takes(name: str) -> None:
    """Or a picture of that name would keep all others from being done."""
    assert target_of(source(name), 1, Batch()) == name[: name.rindex(".")] + ".png"
    assert target_of(source(name), 1, Batch(name="{stem}-cut{suffix}")) == name[: name.rindex(".")] + "-cut.png"
    for template in ("C:{stem}{suffix}", "a\\{stem}{suffix}", "nul/{stem}{suffix}"):
        with pytest.raises(InputError, match="cannot be called"):
            target_of(source(name), 1, Batch(name=template))


def test_clashes_are_told_before_anything_starts() -> None:
    with pytest.raises(OutputError, match=r"a\.jpg and A\.png"):
        check_targets([("a.png", source("a.jpg")), ("A.png", source("A.png"))], OUT)
    with pytest.raises(OutputError, match="same name"):
        check_targets([("é.png", source("1")), ("é.png", source("2"))], OUT)
    with pytest.raises(OutputError, match="would replace"):
        check_targets([("a.png", source("a.png"))], Path("/in"))
    check_targets([("a.png", source("a.jpg")), ("b/a.png", source("b/a.jpg"))], OUT)

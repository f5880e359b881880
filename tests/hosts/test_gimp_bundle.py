"""The plug-in as a zip file: what is in it, what is refused, and that installing takes its place."""

from __future__ import annotations

import gettext
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

import gossamer
from gossamer.cli import main
from gossamer.errors import InputError, OutputExists
from gossamer.hosts import gimp
from gossamer.hosts.gimp_languages import LANGUAGES, catalogue, compiled
from tests.gimp.wheels import pack


def unzipped(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        for about in opened.infolist():
            os.chmod(opened.extract(about, folder), about.external_attr >> 16)
    return folder / "gossamer_gimp"


def test_it_holds_the_plug_in_and_the_wheel(tmp_path: Path) -> None:
    wheel = pack(tmp_path, "gossamer", gossamer.__version__, {"gossamer/x.py": b"1"})
    held = gimp.make_bundle(tmp_path / "a.zip", wheel=wheel)
    gimp.make_bundle(tmp_path / "b.zip", wheel=wheel)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    place = unzipped(tmp_path / "a.zip", tmp_path / "plug-ins")
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    assert files == set(held) == {*gimp.FILES, *gimp.TRANSLATIONS, "LICENSE", "bundle.json", wheel.name}
    assert os.access(place / "gossamer_gimp.py", os.X_OK)
    assert (place / wheel.name).read_bytes() == wheel.read_bytes()
    assert json.loads((place / "bundle.json").read_text()) == {
        "gossamer": gossamer.__version__,
        "protocol": gimp.PROTOCOL,
        "wheel": wheel.name,
    }
    assert "GNU GENERAL PUBLIC LICENSE" in (place / "LICENSE").read_text()
    assert "worker.json" not in files  # which Python works there, its set-up finds out


def test_installing_over_it_replaces_it_whole_and_uninstalling_removes_it(tmp_path: Path) -> None:
    gimp.make_bundle(tmp_path / "a.zip", wheel=pack(tmp_path, "gossamer", gossamer.__version__, {}))
    place = unzipped(tmp_path / "a.zip", tmp_path / "plug-ins")
    (found,) = gimp.status(tmp_path)
    assert found.state == "broken"
    assert "Set-up…" in found.notes[0]
    (done,) = gimp.install(tmp_path)
    assert done.kept == ()
    assert [one.state for one in gimp.status(tmp_path)] == ["installed"]
    assert not (place / "bundle.json").exists()
    gimp.uninstall(tmp_path)
    assert not place.exists()
    unzipped(tmp_path / "a.zip", tmp_path / "plug-ins")
    (place / "mine.txt").write_text("mine")
    (removed,) = gimp.uninstall(tmp_path)
    assert removed.kept == (place / "mine.txt",)
    assert [path.name for path in place.iterdir()] == ["mine.txt"]


def test_what_is_no_wheel_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_text("no wheel")
    for wheel, words in (
        (tmp_path / "text.whl", "is no wheel"),
        (pack(tmp_path, "gossamer", "99.0", {}), r"is of gossamer 99\.0, but the plug-in is of Gossamer 0\."),
        (pack(tmp_path, "numpy", gossamer.__version__, {}), "is of numpy"),
    ):
        with pytest.raises(InputError, match=words):
            gimp.make_bundle(tmp_path / "a.zip", wheel=wheel)
    assert not (tmp_path / "a.zip").exists()


def test_it_overwrites_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.zip").write_text("mine")
    with pytest.raises(OutputExists):
        gimp.make_bundle(tmp_path / "a.zip")
    with pytest.raises(InputError, match=r"\.zip"):
        gimp.make_bundle(tmp_path / "a.tar")
    assert main(["gimp", "bundle", str(tmp_path / "a.zip")]) != 0
    assert "Give another name or add --force" in capsys.readouterr().err
    assert (tmp_path / "a.zip").read_text() == "mine"
    assert main(["gimp", "bundle", str(tmp_path / "a.zip"), "--force"]) == 0
    assert "Unzip it into GIMP's folder plug-ins" in capsys.readouterr().out
    assert zipfile.is_zipfile(tmp_path / "a.zip")


PO = """# a comment
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"

#: a.py
msgid "One \\"quoted\\""
msgstr "Eins „in Anführung“"

msgid ""
"in two "
"lines"
msgstr "zwei\\nZeilen"

#, fuzzy
msgid "guessed"
msgstr "geraten"

msgid "open"
msgstr ""
"""


def test_a_translation_is_what_gettext_reads() -> None:
    read = gettext.GNUTranslations(io.BytesIO(compiled(PO)))
    assert read.gettext('One "quoted"') == "Eins „in Anführung“"
    assert read.gettext("in two lines") == "zwei\nZeilen"
    assert read.gettext("guessed") == "guessed"
    assert read.gettext("open") == "open"
    assert read.charset() == "UTF-8"


@pytest.mark.parametrize("line", ["msgid open", '"nothing before it"', "msgfoo", 'msgid "a'])
def test_a_line_that_is_none_of_a_translation(line: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        catalogue(line)


def test_every_language_is_installed(tmp_path: Path) -> None:
    (done,) = gimp.install(tmp_path)
    for language in LANGUAGES:
        folder = done.folder / "locale"
        read = gettext.translation("gossamer_gimp", folder, [language])
        assert read.gettext("Fill holes") != "Fill holes"

"""What is told of a batch: its rows, their thumbnails, the page's text and size, contact sheets, the command."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gossamer import Cancelled, InputError
from gossamer.batch.journal import journal_path
from gossamer.batch.report import make_report, make_sheets
from gossamer.batch.report.rows import read_rows, worst_first
from gossamer.batch.report.thumbnails import kept_thumbnails, make_thumbnails
from gossamer.cli import main
from gossamer.errors import OutputError, OutputExists
from gossamer.image.colour import ADOBE_RGB
from gossamer.image.profiles import icc_profile
from gossamer.settings.report import ReportChoice
from tests.batch.conftest import Batch
from tests.batch.conftest import photograph as keyed
from tests.batch.finished import BLUE, EVIL, FAULT, HEIGHT, NOTE, RED, WIDTH, Finished, cutout, disc, photograph
from tests.own_threads import wait_for_own_threads


@pytest.fixture
def finished(tmp_path: Path) -> Finished:
    made = Finished(tmp_path)
    made.begin()
    return made


def _opened(webp: str) -> np.ndarray:
    with Image.open(io.BytesIO(base64.b64decode(webp))) as picture:
        assert picture.format == "WEBP"
        return np.asarray(picture)


def _of_page(file: Path, name: str) -> object:
    """Return what an element of the page holds, found as a browser finds it."""
    found = re.search(f'<script type="application/json" id="{name}">(.*?)</script>', file.read_text("utf-8"), re.S)
    return json.loads(found[1]) if found else None


# -- thumbnails ------------------------------------------------------------------------------------------------


def _saved(folder: Path) -> tuple[Path, Path]:
    photo, cut = folder / "photo.png", folder / "cut.png"
    Image.fromarray(photograph()).save(photo)
    Image.fromarray(cutout()).save(cut)
    return photo, cut


def test_thumbnails_show_what_the_files_hold(tmp_path: Path) -> None:
    made = make_thumbnails(*_saved(tmp_path))
    before, after = _opened(made.photo), _opened(made.cutout)
    assert before.shape == (HEIGHT, WIDTH, 3)
    assert after.shape == (HEIGHT, WIDTH, 4)
    assert np.abs(after[..., 3] / 255 - disc()).max() < 0.01
    solid = disc() > 0.9
    assert np.abs(after[solid][:, :3].astype(int) - RED).max() < 12
    assert np.abs(before[~solid & (disc() == 0)].astype(int) - BLUE).max() < 40  # 4:2:0 beside the edge
    assert (made.apart, made.notes) == (False, ())
    small = _opened(made.after)
    assert max(small.shape[:2]) == 112
    soft = (small[..., 3] > 60) & (small[..., 3] < 200)
    assert soft.any()
    assert np.abs(small[soft][:, 0].astype(int) - RED[0]).max() < 40  # straight: no blue and no black in the edge
    for thumbnail in (made.before, made.after):
        assert len(base64.b64decode(thumbnail)) <= 3000


def test_a_shadow_is_shown_beside_its_cut_out_until_it_is_gone(finished: Finished, tmp_path: Path) -> None:
    record = finished.add_with_shadow("shoe.jpg")
    finished.add("plain.jpg")
    out, file = finished.close(), tmp_path / "page.html"
    make_report(out, file)
    assert record.shadow is not None
    shown = _opened(_of_page(file, "d0")["shadow"])
    with Image.open(out / record.shadow.output) as layer:
        alpha = np.asarray(layer)[..., 3].astype(int)
    assert shown.shape == (HEIGHT, WIDTH, 4)
    assert np.abs(shown[..., 3].astype(int) - alpha).max() < 4
    assert shown[alpha > 40][:, :3].max() < 12
    assert _of_page(file, "d1")["shadow"] == ""
    rows = json.loads(re.search(r'"rows":(\[.*\])}', file.read_text("utf-8"))[1])  # type: ignore[index]
    assert [row["shadowLink"] for row in rows] == ["out/1-shadow.png", ""]
    (out / record.shadow.output).write_bytes(b"damaged")
    make_report(out, file, force=True)
    assert _of_page(file, "d0")["shadow"] == ""
    _, _, (row, _) = read_rows(out)
    assert row.notes == ("Its shadow was replaced after the batch made it.",)
    (out / record.shadow.output).unlink()
    _, _, (row, _) = read_rows(out)
    assert row.shadow is None
    assert row.notes == ("Its shadow is not there any more: resume the batch to make both again.",)


def test_zooms_are_the_pixels_of_the_cut_out_at_its_edge(tmp_path: Path) -> None:
    made = make_thumbnails(*_saved(tmp_path))
    assert 1 <= len(made.zooms) <= 3
    exact = np.rint(disc() * 255)
    for zoom in made.zooms:
        crop = np.s_[zoom.top : zoom.top + zoom.side, zoom.left : zoom.left + zoom.side]
        assert np.array_equal(_opened(zoom.after)[..., 3], exact[crop])
        assert _opened(zoom.before).shape == (zoom.side, zoom.side, 3)
        assert 0 < disc()[crop].mean() < 1


def test_thumbnails_are_made_once_until_a_file_changes(tmp_path: Path) -> None:
    photo, cut = _saved(tmp_path)
    kept = tmp_path / "kept"
    first = kept_thumbnails(kept, photo, cut)
    (file,) = kept.iterdir()
    file.write_text(file.read_text().replace('"notes": []', '"notes": ["kept"]'))
    assert kept_thumbnails(kept, photo, cut) == replace(first, notes=("kept",))
    file.write_text("{cut off")
    assert kept_thumbnails(kept, photo, cut) == first
    Image.fromarray(255 - cutout()).save(cut)
    assert kept_thumbnails(kept, photo, cut).cutout != first.cutout


def test_a_cut_out_on_another_canvas_is_not_laid_over_its_photograph(tmp_path: Path) -> None:
    photo, cut = _saved(tmp_path)
    Image.fromarray(cutout()[20:160, 30:210]).save(cut)
    assert make_thumbnails(photo, cut).apart
    rolled = np.roll(cutout(), 60, axis=1)
    Image.fromarray(rolled).save(cut)  # of the same size, and yet moved
    made = make_thumbnails(photo, cut)
    assert made.apart
    assert all(not zoom.before for zoom in made.zooms)


def test_a_result_with_a_background_is_looked_at_where_it_leaves_the_photograph(tmp_path: Path) -> None:
    photo, cut = _saved(tmp_path)
    alpha = disc()[..., None]
    Image.fromarray(np.rint(alpha * np.float32(RED) + (1 - alpha) * 255).astype(np.uint8)).save(cut)
    made = make_thumbnails(photo, cut)
    assert not made.apart
    for zoom in made.zooms:
        crop = disc()[zoom.top : zoom.top + zoom.side, zoom.left : zoom.left + zoom.side]
        assert 0 < crop.mean() < 1
        assert zoom.before
    assert made.zooms


def test_on_a_canvas_of_its_own_it_is_looked_at_where_it_leaves_the_background(tmp_path: Path) -> None:
    photo, cut = _saved(tmp_path)
    alpha = np.pad(disc(), ((500, 320), (400, 360)))
    pixels = np.rint(alpha[..., None] * np.float32(RED) + (1 - alpha[..., None]) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(cut.with_suffix(".jpg"), quality=90)
    made = make_thumbnails(photo, cut.with_suffix(".jpg"))
    assert made.apart
    assert made.zooms
    for zoom in made.zooms:
        assert not zoom.before
        crop = alpha[zoom.top : zoom.top + zoom.side, zoom.left : zoom.left + zoom.side]
        assert 0 < crop.mean() < 1
    Image.fromarray(np.full((40, 50, 3), 255, np.uint8)).save(cut)  # nothing but its background
    assert make_thumbnails(photo, cut).zooms == ()


def test_thumbnails_are_in_srgb(tmp_path: Path) -> None:
    photo, cut = _saved(tmp_path)
    profile = icc_profile(ADOBE_RGB)
    picture = Image.fromarray(cutout())
    picture.save(cut, icc_profile=profile)
    shown = _opened(make_thumbnails(photo, cut).cutout)[HEIGHT // 2, WIDTH // 2, :3].astype(int)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    truth = ImageCms.profileToProfile(picture.convert("RGB"), source, ImageCms.createProfile("sRGB"))
    assert np.abs(shown - np.asarray(truth)[HEIGHT // 2, WIDTH // 2]).max() < 12
    assert np.abs(shown - RED).max() > 20


# -- rows ------------------------------------------------------------------------------------------------------


def test_rows_say_what_has_become_of_the_files(finished: Finished) -> None:
    for name in ("as it was", "photo gone", "photo changed", "output gone", "output replaced"):
        finished.add(name)
    finished.fail("failed")
    finished.intend("killed")
    (finished.photos / "2.jpg").unlink()
    (finished.photos / "3.jpg").unlink()
    (finished.photos / "3.jpg").write_bytes(b"another")
    (finished.out / "4.png").unlink()
    (finished.out / "5.png").unlink()
    (finished.out / "5.png").write_bytes(b"another")
    _, _, rows = read_rows(finished.close())
    notes = {row.record.source: " ".join(row.notes) for row in rows}
    assert notes.pop("as it was") == notes.pop("failed") == ""
    for name, word in (("photo gone", "not where"), ("photo changed", "was changed"), ("output gone", "not there")):
        assert word in notes[name]
    assert "replaced" in notes["output replaced"]
    assert [row.state for row in rows] == ["done"] * 5 + ["failed", "pending"]


def test_a_journal_names_no_output_elsewhere(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    for number, output in enumerate(("../secret.png", str(tmp_path / "secret.png"), "a/../../secret.png")):
        finished.add(f"{number}", output=output)
    assert [row.output for row in read_rows(finished.close())[2]] == [None] * 3


def test_a_journal_of_nonsense_is_read_as_far_as_it_makes_sense(finished: Finished, tmp_path: Path) -> None:
    finished.add("good.jpg")
    finished.add("odd.jpg", score=float("nan"), flags=[7, {"id": 3}], measures={"a": float("inf")}, seconds={"b": "c"})
    finished.add("oddest.jpg", score="high", source_path=None, output=5, source_mtime="yesterday", bytes="many")
    finished.add("odder.jpg", warnings=None, recipe_used={"tried": 1, "settings": {"a": {"b": 1}}}, finished=None)
    out = finished.close()
    with journal_path(out).open("ab") as journal:
        journal.write(b'[1]\nnull\n{"state": "done"}\n{"source": "cut off')
    assert make_report(out, tmp_path / "page.html").pictures == 4
    make_sheets(out, tmp_path / "sheet.pdf")
    data = _of_page(tmp_path / "page.html", "data")
    assert "3 lines" in data["notes"][0]
    assert [row["source"] for row in data["rows"]] == ["good.jpg", "odd.jpg", "oddest.jpg", "odder.jpg"]
    assert data["rows"][1]["score"] is None
    assert data["rows"][1]["flags"][1]["name"] == "3"


def test_the_worst_come_first(finished: Finished) -> None:
    finished.add("fine", score=95.0)
    finished.add("noted", [NOTE], score=80.0)
    finished.add("faulty", [FAULT, NOTE], score=85.0)
    finished.add("bad", [FAULT, FAULT], score=90.0)
    finished.add("worse", [FAULT], score=20.0)
    _, _, rows = read_rows(finished.close())
    assert [rows[number].record.source for number in worst_first(rows)] == ["worse", "faulty", "bad", "noted", "fine"]


# -- the page --------------------------------------------------------------------------------------------------


def test_the_page_holds_every_picture_and_nothing_that_could_run(finished: Finished, tmp_path: Path) -> None:
    for name in EVIL:
        finished.add(name, [{**FAULT, "name": name, "reason": name}], warnings=[name])
    finished.fail(
        "failed </script><script>window.hacked=1</script>",
        f"{finished.photos / 'broken.jpg'} </script><script>window.hacked=1</script>",
    )
    page = tmp_path / "page.html"
    made = make_report(finished.close(), page)
    assert (made.pictures, made.small, made.bytes) == (len(EVIL) + 1, 0, page.stat().st_size)
    data = _of_page(page, "data")
    assert [row["source"] for row in data["rows"][: len(EVIL)]] == list(EVIL)
    assert data["rows"][-1]["error"]["message"].startswith("broken.jpg ")  # without all folders that it is in
    text = page.read_text("utf-8")
    # The rows, what runs, two elements a picture, one of that which failed.
    assert text.count("<script") == 2 + 2 * len(EVIL) + 1
    assert text.count("hacked") == text.count("window.hacked=1")
    assert not re.search(r"<(script|img)[^>]*hacked", text)
    for row in range(len(EVIL)):
        assert _of_page(page, f"t{row}")["after"]
        assert _of_page(page, f"d{row}")["zooms"]
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", text)


@pytest.mark.long
def test_the_page_stays_within_its_size_and_shows_the_worst_large(finished: Finished, tmp_path: Path) -> None:
    for number in range(40):
        finished.add(f"{number}.jpg", [FAULT] if number % 10 == 7 else [], warnings=["x" * 18_000])
    out, page = finished.close(), tmp_path / "page.html"
    made = make_report(out, page, ReportChoice(megabytes=1))
    assert page.stat().st_size <= 1_000_000
    large = [row for row in range(40) if _of_page(page, f"d{row}")]
    assert made.small == 40 - len(large)
    assert {7, 17, 27, 37} <= set(large)
    assert made.small > 5
    assert all(_of_page(page, f"t{row}")["after"] for row in range(40))
    scores = [row["score"] for row in _of_page(page, "data")["rows"]]
    left = [score for row, score in enumerate(scores) if row not in large]
    assert min(left) >= max(scores[row] for row in large if row % 10 != 7) - 1


def test_links_lead_to_the_files_whatever_they_are_called(finished: Finished, tmp_path: Path) -> None:
    finished.add("a.jpg", target="100% #1?.png")
    finished.add("b.jpg", target="javascript:alert(1)/b.png") if os.name != "nt" else None
    out = finished.close()
    make_report(out, out / "page.html")
    links = [row["outputLink"] for row in _of_page(out / "page.html", "data")["rows"]]
    assert links[0] == "100%25%20%231%3F.png"
    assert all(re.fullmatch(r"[\w%./-]+", link) for link in links)
    make_report(out, tmp_path / "page.html")
    assert _of_page(tmp_path / "page.html", "data")["rows"][0]["outputLink"] == "out/100%25%20%231%3F.png"


def test_pictures_of_one_name_in_two_folders_are_told_apart(finished: Finished, tmp_path: Path) -> None:
    first, second = finished.add("1.jpg"), finished.add("1.jpg")
    finished.add("2.jpg")
    make_report(finished.close(), tmp_path / "page.html")
    ids = [row["id"] for row in _of_page(tmp_path / "page.html", "data")["rows"]]
    assert ids == [first.source_path, second.source_path, "2.jpg"]


def test_thumbnails_of_what_is_no_more_are_swept(finished: Finished, tmp_path: Path) -> None:
    finished.add("1.jpg")
    out = finished.close()
    make_report(out, tmp_path / "page.html")
    kept = out / ".gossamer" / "thumbnails"
    (before,) = kept.glob("*.json")
    (kept / "mine.json").write_text("{}")
    os.utime(finished.photos / "1.jpg", ns=(0, 10**18))
    make_report(out, tmp_path / "page.html", force=True)
    assert len(list(kept.glob("*.json"))) == 2
    assert not before.exists()
    assert (kept / "mine.json").exists()


def test_thumbnails_that_cannot_be_kept_are_made_nevertheless(finished: Finished, tmp_path: Path) -> None:
    finished.add("1.jpg")
    out = finished.close()
    (out / ".gossamer" / "thumbnails").write_text("a file")
    make_report(out, tmp_path / "page.html")
    assert _of_page(tmp_path / "page.html", "t0")["after"]


def test_nothing_is_replaced_unasked_and_nothing_left_half_written(finished: Finished, tmp_path: Path) -> None:
    for number in range(4):
        finished.add(f"{number}.jpg")
    out, page = finished.close(), tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(OutputExists):
        make_report(out, page)

    def leaving(limit: float) -> Callable[[float, str], None]:
        def leave(fraction: float, message: str) -> None:
            if fraction > limit:
                raise Cancelled

        return leave

    for limit in (0.3, 0.92):
        with pytest.raises(Cancelled):
            make_report(out, page, force=True, progress=leaving(limit))
        with pytest.raises(Cancelled):
            make_sheets(out, tmp_path / "sheet.pdf", progress=leaving(limit))
    wait_for_own_threads()  # what was in hand ends at its next step
    assert page.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.png", "in", "out", "page.html", "photo.jpg"]
    assert make_report(out, page, force=True).pictures == 4


def test_where_there_is_no_batch(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder, word in (("nowhere", "does not exist"), ("empty", "no journal")):
        with pytest.raises(InputError, match=word):
            make_report(tmp_path / folder, tmp_path / "page.html")
    made = Finished(tmp_path)
    made.begin()
    with pytest.raises(InputError, match="no picture"):
        make_report(made.close(), tmp_path / "page.html")


# -- contact sheets --------------------------------------------------------------------------------------------


@pytest.mark.long
def test_contact_sheets_have_every_picture_on_their_pages(finished: Finished, tmp_path: Path) -> None:
    names = [*EVIL, *(f"{number}.jpg" for number in range(10)), "中.jpg", "\udce9.jpg"]
    for number, name in enumerate(names):
        finished.add(name, [FAULT, NOTE] if number % 5 == 0 else [])
    finished.fail("broken.jpg")
    out = finished.close()
    (pdf,) = make_sheets(out, tmp_path / "sheet.pdf")
    assert re.findall(rb"/Count (\d+)", pdf.read_bytes())[-1] == b"2"  # of 15 pictures
    pngs = make_sheets(out, tmp_path / "sheet.png")
    assert [path.name for path in pngs] == [f"sheet-{number}.png" for number in (1, 2)]
    discs = 0
    for path in pngs:
        with Image.open(path) as page:
            pixels = np.asarray(page).astype(int)
        discs += int((np.abs(pixels - RED).max(axis=2) < 25).sum())
    assert discs == pytest.approx(len(names) * np.pi * 60**2, rel=0.05)  # none is enlarged
    with pytest.raises(OutputExists):
        make_sheets(out, tmp_path / "sheet.png")
    (one,) = make_sheets(out, tmp_path / "one.png", ReportChoice(columns=12))
    assert one.name == "one.png"


def test_a_sheet_is_a_pdf_or_a_png(finished: Finished, tmp_path: Path) -> None:
    finished.add("1.jpg")
    with pytest.raises(OutputError, match="no contact sheet"):
        make_sheets(finished.close(), tmp_path / "sheet.gif")


# -- the command -----------------------------------------------------------------------------------------------


def test_the_command_writes_what_the_suffix_says(finished: Finished, tmp_path: Path, capsys) -> None:
    finished.add("1.jpg", [FAULT])
    out = str(finished.close())
    page, sheet = tmp_path / "page.html", tmp_path / "sheet.pdf"
    assert main(["report", out, str(page), "--brand", "teal"]) == 0
    assert main(["report", out, str(sheet), "--columns", "3", "--quiet"]) == 0
    assert 'value="#008080"' in page.read_text("utf-8")
    assert sheet.read_bytes().startswith(b"%PDF-")
    told = capsys.readouterr().err
    assert "1 pictures" not in told
    assert "1 picture," in told
    assert "sheet" not in told
    assert main(["report", out, str(page)]) == OutputExists.exit_code
    assert main(["report", out, str(page), "--force", "--brand", "nocolour"]) == InputError.exit_code
    assert main(["report", out, str(tmp_path / "a.txt")]) == OutputError.exit_code
    assert main(["report", str(tmp_path), str(tmp_path / "a.html")]) == InputError.exit_code
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert len(told.splitlines()) == 4


def test_a_batch_writes_its_report_in_the_end_and_replaces_an_earlier_one(batch: Batch, tmp_path: Path) -> None:
    for number in range(2):
        keyed(tmp_path / "in" / f"{number}.png", number)
    page = tmp_path / "page.html"
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", "--report", page)
    assert shown.status == 0
    assert "2 pictures" in shown.err.splitlines()[-1]
    assert sorted(row["source"] for row in _of_page(page, "data")["rows"]) == ["0.png", "1.png"]
    keyed(tmp_path / "in" / "2.png", 2)
    (tmp_path / "in" / "bad.png").write_bytes(b"")
    shown = batch(tmp_path / "in", "--out", tmp_path / "out", "--resume", "--report", page)
    assert shown.status == 1
    assert len(_of_page(page, "data")["rows"]) == 4
    page.write_text("<!doctype html> mine")
    for name, word in (
        (page, "no earlier report"),
        (tmp_path / "a.pdf", "no page"),
        (tmp_path / "no" / "a.html", "no"),
    ):
        shown = batch(tmp_path / "in", "--out", tmp_path / "other", "--report", name)
        assert shown.status == OutputError.exit_code
        assert word in shown.err
        assert not (tmp_path / "other").exists()  # refused before the work
    assert page.read_text() == "<!doctype html> mine"

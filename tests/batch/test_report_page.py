"""The report in a real browser: nothing is asked of the network, nothing in a name runs, and people can decide."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from gossamer.batch.journal import read_journal
from gossamer.batch.report import make_report
from gossamer.batch.report.gathering import thumbnails_folder
from gossamer.batch.report.rows import read_rows
from gossamer.batch.report.thumbnails import kept_thumbnails, key_of
from tests.batch.conftest import Batch, photograph
from tests.batch.finished import EVIL, FAULT, NOTE, RED, Finished
from tests.comfyui.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.host

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), headless=True, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report of every kind of picture."""
    folder = tmp_path_factory.mktemp("report")
    finished = Finished(folder)
    finished.begin(pictures=20)
    for number, name in enumerate(EVIL):
        finished.add(name, [{**FAULT, "name": name, "reason": name}] if number % 2 else [], warnings=[name])
    finished.add("coats/1.jpg", [FAULT, NOTE], score=50.0)
    finished.add("coats/long/2.jpg", [NOTE], score=60.0)
    finished.add("shoes/10.jpg", score=99.0)
    finished.add("shoes/9.jpg", score=98.0, state="set-aside")
    finished.fail("broken.jpg", "</script><script>window.hacked=1</script>")
    finished.intend("killed.jpg")
    make_report(finished.close(), folder / "page.html")
    return folder / "page.html"


@contextmanager
def _page(browser: Browser, file: Path, *, script: str = "", **context: Any) -> Iterator[Page]:
    """Open a page in a new profile; nothing but itself may be asked for, and nothing go wrong in it."""
    size = context.pop("viewport", {"width": 1366, "height": 768})
    opened = browser.new_context(viewport=size, accept_downloads=True, **context)
    try:
        page = opened.new_page()
        if script:
            page.add_init_script(script)
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(error.message))
        page.on("console", lambda message: faults.append(message.text))  # also what the policy refused
        page.goto(file.as_uri())
        page.wait_for_selector(".row")
        yield page
        assert page.evaluate("window.hacked") is None
        assert faults == []
        assert {url for url in asked if not url.startswith(("data:", "blob:"))} == {file.as_uri()}
    finally:
        opened.close()


def _until(page: Page, condition: str) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own way, which is eval."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def _names(page: Page) -> list[str]:
    return page.eval_on_selector_all(
        ".row",
        "rows => rows.sort((a, b) => a.offsetTop - b.offsetTop).map(row => row.querySelector('.stem').textContent)",
    )


def _saved(page: Page, button: str) -> bytes:
    with page.expect_download() as download:
        page.click(button)
    return Path(download.value.path()).read_bytes()


def test_names_are_shown_and_do_nothing(browser: Browser, report: Path) -> None:
    with _page(browser, report) as page:
        page.select_option("#sort", "name")
        shown = "\n".join(_names(page))
        assert "<img src=x onerror=window.hacked=1>.jpg" in shown
        assert "line\\nbreak, and comma.jpg" in shown
        assert "\\u202egnp.exe.jpg" in shown
        assert "{{data}}.jpg" in shown
        for _ in range(12):
            page.keyboard.press("j")
        assert page.locator("script").count() == 2 + 2 * 10 + 2
        assert page.locator("main img").evaluate_all("all => all.every(image => image.src.startsWith('data:'))")
        assert page.evaluate("document.title").startswith("out")


def test_decisions_by_keyboard_are_kept_and_exported(browser: Browser, report: Path, tmp_path: Path) -> None:
    with _page(browser, report) as page:
        page.select_option("#sort", "name")
        page.locator("#list").focus()
        names = _names(page)
        page.keyboard.press("Home")
        page.keyboard.press("a")  # and goes on to the second
        page.keyboard.press("r")
        page.keyboard.press("j")
        page.keyboard.press("d")
        page.keyboard.press("k")
        page.keyboard.press("k")
        page.keyboard.press("a")  # the third
        page.keyboard.press("k")
        page.keyboard.press("u")
        assert page.inner_text("#tally") == "1 accepted · 1 rejected · 1 to redo"
        assert page.locator(".row[aria-selected=true] .stem").inner_text() == names[2]
        rows = json.loads(_saved(page, "#json"))
        table = _saved(page, "#csv").decode("utf-8-sig")
        again = list(csv.DictReader(table.splitlines(keepends=True)))
        assert again == sorted(rows, key=lambda row: again.index(row))
        found = {row["source"]: row["decision"] for row in rows}
        assert sorted(found.values()) == ["accept", "redo", "reject"]
        assert set(found) <= {row["source"] for row in _rows(page)}
        page.reload()
        assert page.inner_text("#tally") == "1 accepted · 1 rejected · 1 to redo"
        page.evaluate("localStorage.clear()")
        page.reload()
        assert page.inner_text("#tally") == "Nothing decided yet"
        for name, data in (("a.csv", table.encode("utf-8-sig")), ("a.json", json.dumps(rows).encode())):
            (tmp_path / name).write_bytes(data)
            page.set_input_files("#file", tmp_path / name)
            _until(page, "document.getElementById('notice').textContent.startsWith('3 decisions')")
            assert page.inner_text("#tally") == "1 accepted · 1 rejected · 1 to redo"
        (tmp_path / "b.csv").write_text("something,else\n1,2\n")
        page.set_input_files("#file", tmp_path / "b.csv")
        _until(page, "document.getElementById('notice').textContent.includes('no decisions')")


def _rows(page: Page) -> list[dict[str, Any]]:
    return page.evaluate("JSON.parse(document.getElementById('data').textContent).rows")


def test_what_was_made_again_has_to_be_judged_again(browser: Browser, report: Path, tmp_path: Path) -> None:
    copy = tmp_path / "page.html"
    text = report.read_text("utf-8")
    copy.write_text(text, "utf-8")
    with _page(browser, copy) as page:
        page.fill("#search", "shoes")
        page.locator("#list").focus()
        page.keyboard.press("a")
        page.keyboard.press("r")
        assert page.inner_text("#tally") == "1 accepted · 1 rejected"
        done = next(row["finished"] for row in _rows(page) if row["source"] == "shoes/9.jpg")
        copy.write_text(text.replace(done, "2026-11-29T00:00:00+00:00"), "utf-8")
        page.reload()
        assert page.inner_text("#tally") == "1 rejected"


def test_a_browser_that_keeps_nothing_says_so(browser: Browser, report: Path) -> None:
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
    with _page(browser, report, script=refuse) as page:
        assert "does not keep decisions" in page.inner_text("#notice")
        page.keyboard.press("r")
        assert page.inner_text("#tally") == "1 rejected"
        assert len(json.loads(_saved(page, "#json"))) == 1


def test_filters_and_orders(browser: Browser, report: Path) -> None:
    with _page(browser, report) as page:
        assert _names(page)[0] == "broken.jpg"  # the worst
        assert page.locator(".row").count() == 12
        page.get_by_role("button", name="frame").click()
        assert sorted(_names(page)) == ["1.jpg", "2.jpg"]
        page.get_by_role("button", name="halo").click()
        assert sorted(_names(page)) == ["1.jpg", "2.jpg"]
        page.get_by_role("button", name="frame").click()
        assert _names(page) == ["1.jpg"]
        page.get_by_role("button", name="halo").click()
        page.select_option("#folder", "/coats")
        assert sorted(_names(page)) == ["1.jpg", "2.jpg"]  # and the folders in it
        page.select_option("#folder", "")
        page.get_by_role("button", name="Set aside").click()
        assert _names(page) == ["9.jpg"]
        page.get_by_role("button", name="All").click()
        page.fill("#search", "shoes")
        page.select_option("#sort", "name")
        assert _names(page) == ["9.jpg", "10.jpg"]  # 9 is less than 10
        page.click("#turn")
        assert _names(page) == ["10.jpg", "9.jpg"]
        page.keyboard.press("Escape")
        page.locator("#list").focus()
        page.keyboard.press("a")
        page.select_option("#decision", "none")
        assert _names(page) == ["9.jpg"]
        page.locator("#list").focus()
        page.keyboard.press("r")
        assert _names(page) == []
        assert page.inner_text("#shown") == "0 of 12 pictures"
        assert page.locator("#picture").is_hidden()


def test_before_and_after_grounds_and_enlarged_edges(browser: Browser, report: Path, tmp_path: Path) -> None:
    with _page(browser, report) as page:
        page.fill("#search", "coats/1.jpg")
        _until(page, "document.getElementById('after').naturalWidth == 240")
        page.locator("#wipe").focus()
        for _ in range(50):
            page.keyboard.press("ArrowLeft")  # all of it cut out
        page.locator('[value="#ff00ff"]').check(force=True)
        page.mouse.move(1, 1)
        shot = tmp_path / "stage.png"
        page.locator("#stage").screenshot(path=shot)
        with Image.open(shot) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        height, width = pixels.shape[:2]
        assert np.abs(pixels[height // 2, width // 2 + 30] - RED).max() < 15
        assert np.abs(pixels[height // 8, width // 2] - (255, 0, 255)).max() < 5
        page.locator("#wipe").focus()
        for _ in range(100):
            page.keyboard.press("ArrowRight")  # the photograph
        page.locator("#stage").screenshot(path=shot)
        with Image.open(shot) as picture:
            pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert np.abs(pixels[height // 8, width // 2] - (30, 60, 200)).max() < 25
        grounds = []
        for _ in range(5):
            page.keyboard.press("b")
            grounds.append(page.locator("[name=ground]:checked").get_attribute("value"))
        assert grounds == ["brand", "checker", "#000000", "#ffffff", "#ff00ff"]
        zoom = page.locator("#zooms .layer").first
        side = page.evaluate("JSON.parse(document.getElementById('d6').textContent).zooms[0].side")
        for scale in ("2", "3", "4"):
            page.select_option("#scale", scale)
            assert zoom.bounding_box()["width"] == side * int(scale)
        page.locator("#list").focus()
        assert not zoom.locator(".behind").is_visible()
        page.keyboard.press("f")
        assert zoom.locator(".behind").is_visible()
        page.keyboard.press("s")
        assert page.locator("#stage.beside #before").is_visible()


def test_a_shadow_is_seen_beside_its_cut_out(browser: Browser, tmp_path: Path) -> None:
    finished = Finished(tmp_path)
    finished.begin()
    finished.add_with_shadow("shoe.jpg")
    finished.add("plain.jpg")
    make_report(finished.close(), tmp_path / "page.html")
    with _page(browser, tmp_path / "page.html") as page:
        page.fill("#search", "shoe")
        _until(page, "document.getElementById('shadow').naturalWidth == 240")
        page.locator('[value="#ffffff"]').check(force=True)
        assert page.locator("#files").inner_text().split("\n")[0].startswith("Open the cut-out")
        assert "1-shadow.png" in page.get_by_text("Open its shadow").get_attribute("href")
        stage, shade = page.locator("#stage").bounding_box(), page.locator("#shade .layer").bounding_box()
        assert shade["x"] >= stage["x"] + stage["width"]
        page.locator("#shade .layer").screenshot(path=tmp_path / "shade.png")
        with Image.open(tmp_path / "shade.png") as picture:
            pixels = np.asarray(picture.convert("L")).astype(int)
        height, width = pixels.shape
        assert pixels[round(height * 0.8), width // 2] < 120
        assert pixels[height // 8, width // 8] == 255
        page.fill("#search", "plain")
        _until(page, "document.getElementById('shade').hidden")


def test_thousands_of_rows_are_there_and_few_exist(browser: Browser, tmp_path: Path) -> None:
    finished = Finished(tmp_path)
    finished.begin()
    for number in range(3000):
        finished.add(f"folder {number % 7}/{number}.jpg", [FAULT] if number % 50 == 0 else [])
    out = finished.close()
    folder, _, rows = read_rows(out)
    with thumbnails_folder(folder) as place:  # all are links to the same two files
        kept_thumbnails(place, rows[0].source, rows[0].output)
        (first,) = place.iterdir()
        for row in rows[1:]:
            (place / f"{key_of(row.source, row.output)}.json").hardlink_to(first)
    made = make_report(out, tmp_path / "page.html")
    assert made.pictures == 3000
    with _page(browser, tmp_path / "page.html") as page:
        page.select_option("#sort", "name")
        assert page.locator(".row").count() < 40
        page.locator("#list").focus()
        page.keyboard.press("End")
        assert page.locator(".row[aria-selected=true] .stem").inner_text() == "2999.jpg"
        assert page.locator(".row[aria-selected=true]").get_attribute("aria-posinset") == "3000"
        _until(page, "[...document.querySelectorAll('.row img')].every(image => image.naturalWidth == 112)")
        page.evaluate("document.getElementById('list').scrollTop = 76 * 1500")
        _until(page, "document.querySelector('.row .stem') && document.getElementById('row-1500')")
        assert page.locator(".row").count() < 40
        page.get_by_role("button", name="halo").click()
        assert page.inner_text("#shown") == "60 of 3,000 pictures"
        page.fill("#search", "no such thing")
        assert page.locator(".row").count() == 0


def test_who_hears_the_page_knows_what_everything_is(browser: Browser, report: Path) -> None:
    with _page(browser, report) as page:
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, [role]')].filter(element =>
                !['presentation', 'status'].includes(element.getAttribute('role')) && element.type != 'file'
                && !(element.getAttribute('aria-label') || element.labels?.[0]?.textContent.trim()
                     || element.textContent.trim())).map(element => element.outerHTML)"""
        )
        assert unnamed == []
        label = page.locator(".row").first.get_attribute("aria-label")
        assert label == "broken.jpg, Failed"
        page.keyboard.press("j")
        active = page.locator("#list").get_attribute("aria-activedescendant")
        assert page.locator(f"#{active}").get_attribute("aria-selected") == "true"
        page.keyboard.press("a")
        assert page.inner_text("#said").endswith(": Accepted.")
        page.evaluate("document.activeElement.blur()")
        stops = []
        for _ in range(30):
            page.keyboard.press("Tab")
            stops.append(page.evaluate("document.activeElement.id || document.activeElement.dataset.decision || ''"))
        wanted = ["theme", "keys", "search", "folder", "decision", "sort", "turn", "list", "accept", "reject", "redo"]
        assert [stop for stop in stops if stop in wanted] == wanted
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        assert "--only decisions.csv" in page.inner_text("#again")
        page.keyboard.press("Escape")
        assert not page.locator("#help").is_visible()


def test_light_dark_and_little_motion(browser: Browser, report: Path) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with _page(browser, report, color_scheme="dark") as page:
        assert page.evaluate(paper) == "rgb(23, 22, 20)"
        page.click("#theme")
        assert page.evaluate(paper) == "rgb(250, 249, 247)"
        page.reload()
        assert page.evaluate(paper) == "rgb(250, 249, 247)"  # what was chosen stays
    moves = "getComputedStyle(document.querySelector('.row')).transitionDuration"
    with _page(browser, report, color_scheme="light", reduced_motion="reduce") as page:
        assert page.evaluate(paper) == "rgb(250, 249, 247)"
        assert page.evaluate(moves) == "0s"


def test_on_a_telephone_one_picture_takes_the_place_of_the_list(browser: Browser, report: Path) -> None:
    with _page(browser, report, viewport={"width": 390, "height": 844}) as page:
        assert page.locator("#picture").is_hidden()
        page.locator(".row").nth(3).click()
        assert page.locator("#picture").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator("#stage").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        page.get_by_role("button", name="Accept").click()
        page.get_by_role("button", name="All pictures").click()
        assert page.locator("#picture").is_hidden()
        assert page.inner_text("#tally") == "1 accepted"


def test_what_is_rejected_is_made_again_by_one_command(browser: Browser, batch: Batch, tmp_path: Path) -> None:
    names = ["a/plain.png", "a/comma, and 'quotes'.png", "b/ü 中.png", "b/kept.png"]
    if os.name == "posix":
        names.append('b/"line\nbreak".png')
    for number, name in enumerate(names):
        photograph(tmp_path / "in" / name, number)
    out, page_file = tmp_path / "out", tmp_path / "page.html"
    assert batch(tmp_path / "in", "--out", out, "--report", page_file).status == 0
    before = read_journal(out).records
    with _page(browser, page_file) as page:
        page.locator("#list").focus()
        page.keyboard.press("Home")
        for name in _names(page):
            page.keyboard.press("a" if name == "kept.png" else "r" if "comma" in name else "d")
        for button, file in (("#csv", "review.csv"), ("#json", "review.json")):
            (tmp_path / file).write_bytes(_saved(page, button))
    for file in ("review.csv", "review.json"):
        assert batch("--out", out, "--only", tmp_path / file).status == 0
        after = read_journal(out).records
        again = {record.source for key, record in after.items() if record.finished != before[key].finished}
        assert again == set(names) - {"b/kept.png"}
        before = after

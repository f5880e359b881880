"""The page in a real browser: a picture dropped, cut out, looked at over any background, with other settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from PIL import Image

from gossamer.service.fields import known_fields
from gossamer.service.keys import line_of
from tests.comfyui.browser import chromium
from tests.service.conftest import Client, Server, pixels, png

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

KEY = "0123456789abcdef0123"
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


def test_the_page_shows_settings_that_requests_may_have_and_loads_nothing(client: Client) -> None:
    answered = client().get("/")
    assert answered.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answered.headers["content-security-policy"]
    text = answered.text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "{{" not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    shown = [field for group in data["groups"] for field in group["fields"]]
    known = known_fields()
    for field in shown:
        assert field["default"] == known[field["name"]].default
        assert field["help"] == known[field["name"]].help
    names = [field["name"] for field in shown]
    assert len(names) == len(set(names)) > 30
    assert {"matting", "refinement_feather", "foreground_despill", "canvas_margin", "shadow", "model"} <= set(names)


def test_the_page_is_shown_without_a_key_and_nothing_else(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(line_of("shop", KEY) + "\n")
    service = client(keys=str(file))
    assert json.loads(re.search(r'id="data">(.*?)</script>', service.get("/").text, re.S)[1])["keyed"] is True
    assert service.get("/v1/models").status_code == 401


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), headless=True, args=_FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(tmp_path_factory.mktemp("served"))
    yield started
    started.end()


@contextmanager
def _page(browser: Browser, server: Server, *, faults_expected: bool = False, **context: Any) -> Iterator[Page]:
    """Open the page in a new profile; nothing but the service may be asked, and nothing go wrong in it."""
    size = context.pop("viewport", {"width": 1366, "height": 768})
    opened = browser.new_context(viewport=size, accept_downloads=True, **context)
    try:
        page = opened.new_page()
        asked: list[str] = []
        faults: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(error.message))
        page.on("console", lambda message: faults.append(message.text))
        page.goto(f"{server.url}/")
        _until(page, "document.querySelectorAll('#field-model option').length > 1")
        yield page
        assert faults_expected or faults == []
        assert {url for url in asked if not url.startswith(("data:", "blob:", server.url))} == set()
    finally:
        opened.close()


def _until(page: Page, condition: str) -> None:
    """Wait until an expression is true; the page's policy forbids Playwright's own way, which is eval."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{condition}: {page.inner_text('#said')}")


def _count(server: Server, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", httpx.get(f"{server.url}/metrics", timeout=60).text, re.M)
    return float(found[1]) if found else 0.0


def _shot(page: Page, path: Path) -> np.ndarray:
    page.mouse.move(1, 1)
    page.locator("#stage").screenshot(path=path)
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.host
def test_a_picture_is_cut_out_tried_and_saved(
    browser: Browser, server: Server, photograph: np.ndarray, tmp_path: Path
) -> None:
    name = "it's a, photo.png"  # for the shell and for curl
    (tmp_path / name).write_bytes(png(photograph.repeat(4, 0).repeat(4, 1)))  # 1024 x 1024: shown smaller
    done = "document.getElementById('said').textContent.startsWith('Cut out with u2netp')"
    with _page(browser, server) as page:
        segmented = _count(server, 'gossamer_stage_seconds_count{stage="segment"}')
        page.evaluate(
            """window.seen = [];
            new MutationObserver(() => seen.push([said.textContent, bar.value])).observe(said, {childList: true})"""
        )
        page.set_input_files("#file", tmp_path / name)
        _until(page, done)
        seen = page.evaluate("seen")
        assert any("Finding the subject" in text for text, _ in seen)
        values = [value for _, value in seen[:-1]]
        assert values == sorted(values)
        assert page.locator("#bar").is_hidden()
        page.locator('[value="#ff00ff"]').check(force=True)
        shot = _shot(page, tmp_path / "stage.png")
        assert np.abs(shot[10, -10] - (255, 0, 255)).max() < 3  # background
        person = shot[shot.shape[0] // 2, shot.shape[1] // 2]
        page.locator("#wipe").focus()
        for _ in range(100):
            page.keyboard.press("ArrowRight")  # the photograph
        shot = _shot(page, tmp_path / "stage.png")
        assert np.abs(shot[10, -10] - (255, 0, 255)).max() > 60
        assert np.abs(shot[shot.shape[0] // 2, shot.shape[1] // 2] - person).max() < 12
        page.locator("#wipe").press("Home")
        # Another setting: the mask is not found again.
        page.evaluate("document.getElementById('said').textContent = ''")
        page.locator("summary", has_text="Mask").click()
        page.locator("#field-refinement_invert").check()
        _until(page, done)
        shot = _shot(page, tmp_path / "stage.png")
        assert np.abs(shot[shot.shape[0] // 2, shot.shape[1] // 2] - (255, 0, 255)).max() < 3
        assert _count(server, 'gossamer_stage_seconds_count{stage="segment"}') == segmented + 1
        assert page.inner_text("summary >> nth=2").endswith("1 changed")
        # The file is made from the picture itself, and so it is by the line.
        page.locator("#flat").check()
        page.select_option("#format", "webp")
        with page.expect_download() as download:
            page.click("#save")
        saved = pixels(Path(download.value.path()).read_bytes())
        assert download.value.suggested_filename == "it's a, photo.cutout.webp"
        assert saved.shape == (1024, 1024, 3)
        line = page.inner_text("#curl")
        assert "refinement_invert=true" in line
        assert "'background=#ff00ff'" in line
        if shutil.which("curl") and os.name == "posix":
            subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, capture_output=True, timeout=120)
            assert np.array_equal(pixels((tmp_path / "it's a, photo.cutout.webp").read_bytes()), saved)
        page.evaluate("document.getElementById('said').textContent = ''")
        page.click("#reset")
        _until(page, done)
        assert "refinement" not in page.inner_text("#curl")


@pytest.mark.host
def test_what_goes_wrong_is_said_and_work_can_be_stopped(
    browser: Browser, server: Server, photograph: np.ndarray, tmp_path: Path
) -> None:
    rubbish, file = tmp_path / "rubbish.png", tmp_path / "photo.png"
    rubbish.write_bytes(b"rubbish")
    file.write_bytes(png(photograph.repeat(3, 0).repeat(3, 1)))
    with _page(browser, server, faults_expected=True) as page:  # the browser's console tells of the refusal, too
        page.select_option("#field-matting", "closed_form")
        page.fill("#field-matting_band", "300")
        page.wait_for_timeout(500)  # settings are tried a little later: nothing but the picture is to begin any work
        page.set_input_files("#file", rubbish)
        _until(page, "document.getElementById('said').classList.contains('wrong')")
        assert "is not of a kind that Gossamer reads" in page.inner_text("#said")
        left = _count(server, "gossamer_clients_left_total")
        page.set_input_files("#file", file)
        _until(page, "!document.getElementById('bar').hidden && document.getElementById('bar').value > 0.15")
        page.locator("#cancel").click()
        _until(page, "document.getElementById('said').textContent == 'Stopped.'")
        for _ in range(100):
            if _count(server, "gossamer_clients_left_total") > left:
                break
            page.wait_for_timeout(50)
        assert _count(server, "gossamer_clients_left_total") > left
        assert page.locator("#cancel").is_hidden()


@pytest.mark.host
def test_who_hears_the_page_light_dark_and_telephones(browser: Browser, server: Server) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with _page(browser, server, color_scheme="dark") as page:
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, progress, [role]')].filter(element =>
                !['status'].includes(element.getAttribute('role')) && !(element.getAttribute('aria-label')
                    || element.labels?.[0]?.textContent.trim() || element.textContent.trim()))
                .map(element => element.outerHTML)"""
        )
        assert unnamed == []
        described = "document.getElementById(document.getElementById('field-matting').getAttribute('aria-describedby'))"
        assert "closed_form" in page.evaluate(f"{described}.textContent")
        stops = []
        for _ in range(24):
            page.keyboard.press("Tab")
            stops.append(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
        wanted = ["theme", "file", "ground", "own", "zoom", "reset", "field-model", "field-quality", "field-matting"]
        assert [stop for stop in stops if stop in wanted] == wanted
        assert page.evaluate(paper) == "rgb(23, 22, 20)"
        page.click("#theme")
        assert page.evaluate(paper) == "rgb(250, 249, 247)"
        page.reload()
        assert page.evaluate(paper) == "rgb(250, 249, 247)"  # what was chosen stays
        # A slider by the keyboard goes in steps that are seen.
        slider = page.locator('[aria-label="Matting band, slider"]')
        slider.focus()
        slider.press("ArrowRight")
        assert page.input_value("#field-matting_band") == "11"
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390

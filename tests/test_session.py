"""A session: embed once, prompt many times, from a prompt to a matte; with a scripted model that knows the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gossamer.errors import Cancelled, InputError
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import Subject, Subjects
from gossamer.session import Session
from gossamer.session import open as open_session
from gossamer.settings.recipe import Recipe

HEIGHT, WIDTH = 240, 320


def soft_disc(x: float, y: float, radius: float, softness: float = 6.0) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.clip((radius - np.hypot(columns - x, rows - y)) / softness + 0.5, 0, 1).astype(np.float32)


LAMP, CAT = soft_disc(90, 120, 50), soft_disc(240, 120, 40)
BOXES = {"lamp": (40, 70, 140, 170), "cat": (200, 80, 280, 160)}


def picture() -> np.ndarray:
    ground = np.random.default_rng(1).normal(0, 0.02, (HEIGHT, WIDTH, 3)) + np.array((0.2, 0.3, 0.6))
    for alpha, colour in ((LAMP, (0.9, 0.7, 0.1)), (CAT, (0.7, 0.2, 0.2))):
        ground += alpha[:, :, None] * (np.array(colour) - ground)
    return np.clip(ground, 0, 1).astype(np.float32)


class Scripted:
    """A detector that finds what it was told, and draws masks as coarse as SAM's: 64 cells, hard, too large."""

    id, device = "scripted", "cpu"
    warnings = ("Scripted.",)

    box_threshold = 0.3

    def __init__(self) -> None:
        self.embedded = 0
        self.prompts: list[Prompt] = []
        self.settings: list[dict[str, Any]] = []

    def embed(self, image: np.ndarray, progress: Any = None) -> tuple[int, ...]:
        assert image.dtype == np.float32
        self.embedded += 1
        return image.shape

    def predict(self, embedding: tuple[int, ...], prompt: Prompt, *, progress: Any = None, **settings: Any) -> Subjects:
        assert embedding == (HEIGHT, WIDTH, 3)
        self.prompts.append(prompt)
        self.settings.append(settings)
        wanted: Sequence[str] = prompt.text or ("lamp",)
        truth = {"lamp": LAMP, "cat": CAT}
        found = [Subject(self._coarse(truth[name]), 0.9, name, BOXES[name]) for name in wanted if name in truth]
        return Subjects(found, best_score=0.9 if found else 0.21)

    def _coarse(self, alpha: np.ndarray) -> np.ndarray:
        import cv2

        small = cv2.resize(alpha, (64, 48), interpolation=cv2.INTER_AREA)
        return (cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST) > 0.3).astype(np.float32)


class Automatic:
    """An automatic model that finds everything there is, softly."""

    id, device, warnings = "automatic", "cpu", ()
    calls = resolution = 0

    def __init__(self) -> None:
        self.asked: list[int] = []

    def at(self, resolution: int) -> Automatic:
        self.asked.append(resolution)
        self.resolution = resolution
        return self

    def predict(self, image: np.ndarray, progress: Any = None) -> np.ndarray:
        self.calls += 1
        return np.maximum(LAMP, CAT)


def error(mask: np.ndarray, truth: np.ndarray) -> float:
    return float(np.abs(mask - truth).mean())


def test_the_second_prompt_costs_only_the_decoder() -> None:
    model = Scripted()
    session = open_session(picture(), prompt_model=model)
    for name in ("lamp", "cat"):
        cutout = session.cutout(Prompt(text=name))
        assert cutout.report.model == "scripted"
        assert {"embed", "segment", "matting", "foreground"} <= set(cutout.report.seconds)
        assert "Scripted." in cutout.report.warnings
    assert model.embedded == 1
    assert len(model.prompts) == 2
    assert session.cutout(Prompt(text="cat"), prompt_model=(other := Scripted())).report.model == "scripted"
    assert other.embedded == 1


def test_coarse_masks_become_mattes() -> None:
    model = Scripted()
    session = Session(picture(), prompt_model=model)
    coarse = session.subjects(Prompt(text="lamp")).subjects[0].mask
    cutout = session.cutout(Prompt(text="lamp"))
    assert error(cutout.alpha, LAMP) < 0.4 * error(coarse, LAMP)
    assert cutout.recipe.matting.method == "auto"
    edge = (LAMP > 0.2) & (LAMP < 0.8)
    assert np.abs(cutout.foreground[edge] - (0.9, 0.7, 0.1)).mean() < 0.1
    plain = session.cutout(Prompt(text="lamp"), recipe=Recipe.of({"matting": {"method": "none"}}))
    assert np.array_equal(plain.alpha, coarse)


def test_several_subjects_together_and_each_by_itself() -> None:
    session = Session(picture(), prompt_model=Scripted())
    both = session.cutout(Prompt(text=["lamp", "cat"]))
    each = session.cutouts(Prompt(text=["lamp", "cat"]))
    assert len(each) == 2
    assert each[0].alpha[120, 90] > 0.99 > 0.01 > each[0].alpha[120, 240]
    assert each[1].alpha[120, 240] > 0.99 > 0.01 > each[1].alpha[120, 90]
    assert error(both.alpha, np.maximum(LAMP, CAT)) < 0.01
    assert [subject.label for subject in session.subjects(Prompt(text=["lamp", "cat"])).subjects] == ["lamp", "cat"]


def test_the_settings_reach_the_model() -> None:
    model = Scripted()
    session = Session(picture(), prompt_model=model)
    box = Prompt(boxes=[(0.1, 0.1, 0.5, 0.9)], unit="fraction")
    session.subjects(box, every=False, masks="all", box_threshold=0.5, text_threshold=0.4)
    assert model.settings == [{"every": False, "masks": "all", "box_threshold": 0.5, "text_threshold": 0.4}]
    assert model.prompts[0].boxes == ((32, 24, 160, 216),)


def test_the_intersection_takes_hair_from_the_automatic_model() -> None:
    automatic = Automatic()
    session = Session(picture(), prompt_model=Scripted(), model=automatic)
    for _ in range(2):
        cutout = session.cutout(Prompt(text="lamp"), combine="intersection", recipe=Recipe())
        assert error(cutout.alpha, LAMP) < 1e-3
    assert cutout.report.model == "scripted and automatic"
    assert automatic.calls == 1
    assert np.array_equal(session.automatic(), np.maximum(LAMP, CAT))
    assert cutout.report.resolution == 0
    sized = Recipe.of({"segmentation": {"resolution": 512}})
    for _ in range(2):
        cutout = session.cutout(Prompt(text="lamp"), combine="intersection", recipe=sized)
        assert (cutout.report.resolution, automatic.asked) == (512, [512])
    assert automatic.calls == 2


def test_an_empty_intersection_is_nothing_found() -> None:
    class Blind(Automatic):
        def predict(self, image: np.ndarray, progress: Any = None) -> np.ndarray:
            return np.zeros_like(LAMP)

    session = Session(picture(), prompt_model=Scripted(), model=Blind())
    with pytest.raises(InputError, match="finds nothing where the prompt points"):
        session.cutout(Prompt(text="lamp"), combine="intersection")
    assert session.cutout(Prompt(text="lamp"), combine="intersection", on_empty="empty").alpha.max() == 0


def test_nothing_found() -> None:
    session = Session(picture(), prompt_model=Scripted())
    prompt = Prompt(text="a unicorn")
    with pytest.raises(InputError) as raised:
        session.cutout(prompt, box_threshold=0.35)
    for part in ('"a unicorn"', "0.21", "0.35", "0.25"):
        assert part in raised.value.message
    empty = session.cutout(prompt, on_empty="empty")
    assert empty.alpha.max() == 0
    assert any("unicorn" in warning and "empty" in warning for warning in empty.report.warnings)
    assert session.cutout(prompt, on_empty="full").alpha.min() == 1
    assert session.cutouts(prompt, on_empty="empty") == []
    assert len(session.cutouts(prompt, on_empty="full")) == 1


def test_scribbles_are_kept_to_the_pixel() -> None:
    marks = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    marks[10:20, 10:60] = 1  # on the ground: nothing else would take it for the subject
    marks[110:130, 85:95] = 0  # in the lamp
    cutout = Session(picture(), prompt_model=Scripted()).cutout(Prompt(text="lamp", scribbles=marks))
    assert cutout.alpha[marks == 1].min() == 1
    assert cutout.alpha[marks == 0].max() == 0


def test_an_existing_alpha_multiplies() -> None:
    rgba = np.dstack([picture(), np.full((HEIGHT, WIDTH), 0.5, np.float32)])
    cutout = Session(rgba, prompt_model=Scripted()).cutout(Prompt(text="lamp"))
    assert abs(cutout.alpha[120, 90] - 0.5) < 0.01


def test_what_was_put_right_is_in_the_report() -> None:
    cutout = Session(picture(), prompt_model=Scripted()).cutout(Prompt(text="lamp", boxes=[(-10, 50, 150, 180)]))
    assert any("cut off at its border" in warning for warning in cutout.report.warnings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_empty": "none"}, "answer to an empty result 'none'"),
        ({"combine": "union"}, "combination 'union'"),
        ({"prompt_model": "sam9"}, "prompt model"),
        ({"box_threshold": 7.0}, "box_threshold cannot be 7.0"),
        ({"text_threshold": float("nan")}, "text_threshold cannot be nan"),
        ({"box_threshold": "0.3"}, "box_threshold cannot be"),
        ({"on_empty": None}, "answer to an empty result None"),
        ({"prompt_model": 3}, "3 is no prompt model"),
    ],
)
def test_impossible_settings(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Session(picture(), prompt_model=Scripted()).cutout(Prompt(text="lamp"), **arguments)


def test_auto_says_what_it_took(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOSSAMER_HOME", "HF_HUB_CACHE", "U2NET_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    said: list[str] = []
    session = Session(picture())
    cutout = session.cutout(Prompt(boxes=[BOXES["lamp"]]), announce=said.append)
    assert cutout.report.model == "grabcut"
    assert said == ["Prompt model grabcut: it needs no weights, and SAM 2 is not installed."]
    assert any("colours alone" in warning for warning in cutout.report.warnings)
    assert error(cutout.alpha, LAMP) < 0.01


def test_cancelling() -> None:
    def stop(fraction: float, message: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        Session(picture(), prompt_model=Scripted()).cutout(Prompt(text="lamp"), progress=stop)


@pytest.mark.parametrize("prompt", ["lamp", {"text": "lamp"}, None])
def test_what_is_no_prompt_is_told(prompt: Any) -> None:
    with pytest.raises(InputError, match=r"The prompt is no Prompt, but .*Give gossamer\.Prompt"):
        Session(picture(), prompt_model=Scripted()).cutout(prompt)


def test_unloading_forgets_what_was_seen() -> None:
    model, automatic = Scripted(), Automatic()
    session = Session(picture(), prompt_model=model, model=automatic)
    for _ in range(2):
        session.cutout(Prompt(text="lamp"), combine="intersection", recipe=Recipe())
        session.unload()
    assert (model.embedded, automatic.calls) == (2, 2)

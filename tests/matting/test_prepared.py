"""A matting that cannot be had is refused before any model is looked for, loaded or run, whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import gossamer
from gossamer.batch.plan import Asked
from gossamer.batch.run import estimate, planned, run_batch
from gossamer.cli import main
from gossamer.errors import GossamerError, ModelNotFound
from gossamer.pipeline import Pipeline
from gossamer.progress import Progress
from gossamer.settings.service import Service
from gossamer.video.frames import FrameCutter

pytestmark = pytest.mark.usefixtures("alone")

RECIPE = gossamer.Recipe.of({"matting": {"method": "vitmatte"}})
MODEL = "u2net"  # which is not here either, and would be missed next
PICTURE = np.full((40, 50, 3), 90, np.uint8)
BOX = gossamer.Prompt(boxes=((5, 5, 30, 30),))


class NeverAsked:
    """A prompted model that must not be run."""

    id, device, box_threshold, warnings = "never", "cpu", 0.3, ()

    def embed(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("the model ran")

    predict = embed


def picture(folder: Path) -> Path:
    path = folder / "picture.png"
    PIL.Image.fromarray(PICTURE).save(path)
    return path


def batch(folder: Path, work: Callable[..., Any], **more: Any) -> None:
    asked = Asked(folder / "out", recipe=RECIPE, choice=gossamer.ModelChoice(model=MODEL))
    work(planned([str(picture(folder))], [], asked), asked, Pipeline(choice=asked.choice), announce=print, **more)


def served(folder: Path, **more: Any) -> None:
    pytest.importorskip("fastapi")
    from gossamer.service.wish import Wish
    from gossamer.service.work import Workshop

    made, prompt = picture(folder).read_bytes(), {"boxes": [[5, 5, 30, 30]]}
    wish = Wish(made, RECIPE, gossamer.ModelChoice(model="none"), gossamer.Finding(), prompt, "png", **more)
    Workshop.of(Service()).cut(wish, Progress())


WAYS: dict[str, Callable[[Path], object]] = {
    "a picture": lambda folder: gossamer.remove_background(PICTURE, RECIPE, MODEL),
    "a prompt": lambda folder: gossamer.open(PICTURE, prompt_model=NeverAsked()).cutout(BOX, recipe=RECIPE),
    "prompts": lambda folder: gossamer.open(PICTURE, prompt_model=NeverAsked()).cutouts(BOX, recipe=RECIPE),
    "frames": lambda folder: FrameCutter(40, 50, recipe=RECIPE, choice=MODEL),
    "a batch": lambda folder: batch(folder, run_batch, arguments=[], told=print, seen=print),
    "an estimate": lambda folder: batch(folder, estimate, progress=lambda *_: None),
    "a request": served,
    "a request with a picture behind": lambda folder: served(folder, backdrop=picture(folder).read_bytes()),
}


@pytest.mark.parametrize("way", WAYS)
def test_vitmatte_is_refused_before_the_model(way: str, tmp_path: Path) -> None:
    told = "The matting vitmatte is not served here" if "request" in way else "vitmatte-small"
    with pytest.raises(ModelNotFound, match=told):
        WAYS[way](tmp_path)
    assert not (tmp_path / "out").exists()


def test_a_prompt_s_automatic_model_is_refused_before_the_prompted_one() -> None:
    session = gossamer.open(PICTURE, prompt_model=NeverAsked(), model=MODEL, combine="intersection")
    with pytest.raises(GossamerError, match=r"U²-Net|u2net"):
        session.cutout(BOX)


def test_the_command_line_compares_nothing_in_vain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[matting]\nmethod = "vitmatte"\n')
    sheet = tmp_path / "sheet.png"
    assert main(["compare", str(sheet), str(picture(tmp_path)), "--recipe", str(recipe), "--model", MODEL]) == 4
    said = capsys.readouterr().err
    assert "vitmatte-small" in said
    assert said.count("\n") == 1
    assert not sheet.exists()

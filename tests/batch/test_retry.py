"""What is tried where the checks find a fault, and that the best by the checks is kept."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest
import skimage.data

from gossamer.batch import job, retry
from gossamer.batch.journal import read_journal
from gossamer.batch.retry import Attempt, attempts
from gossamer.cli import main
from gossamer.settings import ModelChoice, Recipe
from tests.batch.conftest import Batch, photograph
from tests.cached_weights import weights_home


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the three small models be all that is installed."""
    monkeypatch.setenv("GOSSAMER_HOME", str(weights_home()))
    for name in ("HF_HUB_CACHE", "U2NET_HOME"):
        monkeypatch.setenv(name, str(weights_home() / "nowhere"))


def test_better_recipes_come_in_turn_and_nothing_is_fetched() -> None:
    found = [each.what for each in attempts(Recipe(), ModelChoice(model="u2netp"), "u2netp", prompted=False)]
    assert found == ["detail", "model isnet-general-use", "model u2net"]
    plain = Recipe.of({"matting": {"method": "none"}, "segmentation": {"detail": True}})
    first = next(attempts(plain, ModelChoice(model="u2netp"), "u2netp", prompted=False))
    assert first.what == "matting auto"
    assert first.recipe.matting.method == "auto"
    assert first.recipe.segmentation.detail
    sized = Recipe.of({"segmentation": {"resolution": 512}})
    resolutions = [
        each.recipe.segmentation.resolution for each in attempts(sized, ModelChoice(), "u2netp", prompted=False)
    ]
    assert resolutions == [512, 0, 0]  # it was meant for the model that was asked for
    assert not list(attempts(Recipe(), ModelChoice(), "sam2.1-hiera-tiny", prompted=True))


def test_what_cannot_be_tried_costs_no_picture(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_OFFLINE", "1")
    missing = Attempt("vitmatte", Recipe.of({"matting": {"method": "vitmatte"}}), ModelChoice(model="u2netp"), {})
    monkeypatch.setattr(job, "attempts", lambda *_, **__: [missing])
    strict = tmp_path / "strict.toml"
    strict.write_text("[checks]\nempty = 50.0\n")
    source = photograph(tmp_path / "in" / "a.png")
    shown = batch(source, "--out", tmp_path / "out", "--recipe", strict, "--on-flag", "retry", "--json")
    record = read_journal(tmp_path / "out").records["a.png"]
    assert (shown.status, record.state) == (0, "done")
    assert any("The retry with vitmatte failed" in warning for warning in record.warnings), record.warnings


@pytest.mark.long
def test_the_best_by_the_checks_is_kept_and_said(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_MODELS", 0)
    photograph = tmp_path / "cat.jpg"
    PIL.Image.fromarray(skimage.data.chelsea()).resize((225, 150)).save(photograph, quality=95)
    strict = tmp_path / "strict.toml"
    strict.write_text("[matting]\nmethod = 'none'\n[checks]\njagged = 0.0\n")  # every edge is a fault
    options = ("--model", "u2netp", "--recipe", strict)
    kept = batch(photograph, "--out", tmp_path / "kept", *options, "--json", keyed=False)
    assert (kept.status, kept.summary["flagged"]) == (0, 1)
    once = read_journal(tmp_path / "kept").records["cat.png"]
    assert batch(photograph, "--out", tmp_path / "again", *options, "--on-flag", "retry", keyed=False).status == 0
    record = read_journal(tmp_path / "again").records["cat.png"]
    assert record.score is not None
    assert once.score is not None
    assert record.score > once.score
    assert record.recipe_used is not None
    tried = record.recipe_used["tried"]
    assert tried[0]["score"] == once.score
    assert max(each["score"] for each in tried) == record.score
    assert any(record.recipe_used["what"] in warning for warning in record.warnings)
    # It is what `remove` makes with what the journal says was used.
    again = Recipe.load(strict).model_dump(exclude_unset=True)
    for stage, values in record.recipe_used["settings"].items():
        again[stage] = {**again.get(stage, {}), **values}
    used = tmp_path / "used.json"
    used.write_text(Recipe.of(again).model_dump_json(exclude_unset=True))
    command = ["remove", str(photograph), str(tmp_path / "one.png"), "--recipe", str(used)]
    assert main([*command, "--model", record.recipe_used["model"], "--quiet"]) == 0
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "again" / "cat.png").read_bytes()

"""How strongly mattes are held still where nobody says it: those of a screen less than those of a model."""

from __future__ import annotations

import gossamer
from gossamer.settings.video import Video
from gossamer.video.strength import holding_strength

KEY = gossamer.Recipe.of({"matting": {"method": "key"}})
AUTO = gossamer.Recipe()


def strength(recipe: gossamer.Recipe, *, remembers: bool = False, **given: object) -> float:
    return holding_strength(Video.of(None, **given), recipe, remembers=remembers)


def test_what_is_keyed_is_held_less_where_nobody_says_how_much() -> None:
    assert strength(AUTO) == 0.9
    assert strength(KEY) == 0.5
    assert strength(AUTO, remembers=True) == strength(KEY, remembers=True) == 0


def test_what_is_asked_for_is_done() -> None:
    assert strength(KEY, hold_strength=0.9) == 0.9
    assert strength(KEY, hold_strength=0.2) == 0.2
    assert strength(KEY, hold="flow") == strength(KEY, hold="flow", remembers=True) == 0.9
    assert strength(KEY, hold="none", hold_strength=0.9) == 0

"""Edges to choose from: what each sets, and what it does to a mask."""

from __future__ import annotations

import numpy as np

import gossamer
from gossamer.settings import Recipe, parameters, recipe_from_flat
from gossamer.settings.edges import EDGES


def test_each_sets_the_same_things_and_the_first_is_the_default() -> None:
    flats = {edge.id: edge.flat() for edge in EDGES}
    assert list(flats) == ["hair", "clean", "soft", "as_found"]
    assert len({tuple(flat) for flat in flats.values()}) == 1
    assert set(flats["hair"]) <= {parameter.name for parameter in parameters()}
    assert len({tuple(flat.values()) for flat in flats.values()}) == 4
    defaults = Recipe()
    hair = recipe_from_flat(flats["hair"])
    assert (hair.refinement, hair.matting.method) == (defaults.refinement, defaults.matting.method)
    assert hair.foreground.method == defaults.foreground.method
    for edge in EDGES:
        assert edge.title
        assert edge.help.endswith(".")


def test_they_do_what_they_say() -> None:
    down, across = np.mgrid[0:96, 0:96]
    noise = np.random.default_rng(1).normal(0, 0.5, (96, 96))
    mask = np.clip(0.5 + (30 + noise - np.hypot(down - 48, across - 48)) / 6, 0, 1).astype(np.float32)
    picture = np.where(mask[..., None] > 0.5, np.float32([0.8, 0.2, 0.1]), np.float32([0.1, 0.3, 0.7]))
    soft = {}
    for edge in EDGES:
        flat = {**edge.flat(), "matting": "none", "foreground": "none"}  # the edge's shape alone
        alpha = gossamer.refine(picture, mask, recipe_from_flat(flat)).alpha
        soft[edge.id] = float(((alpha > 0.02) & (alpha < 0.98)).sum())
    assert np.array_equal(gossamer.refine(picture, mask, recipe_from_flat(EDGES[3].flat())).alpha, mask)
    assert soft["clean"] < 0.9 * soft["as_found"] < soft["soft"]

"""Learning curves show what there is, and nothing else."""

from __future__ import annotations

import numpy as np

from gossamer.training.curves import curves

PANELS = (("loss", ("loss",)), ("validation", ("iou", "general_iou")), ("flicker", ("dtssd", "general_dtssd")))


def test_what_no_row_has_is_neither_drawn_nor_named() -> None:
    rows: list[dict[str, float]] = [{"step": 0, "iou": 0.5}, {"step": 1, "loss": 2.0}, {"step": 2, "iou": 0.7}]
    sheet = curves(rows, PANELS)
    assert sheet.shape[1] == 960
    assert np.array_equal(sheet, curves(rows, PANELS[:2]))  # nothing flickers
    assert np.array_equal(sheet, curves(rows, (PANELS[0], ("validation", ("iou",)))))
    of_clips = curves([*rows, {"step": 2, "dtssd": 3.0}], PANELS)
    assert of_clips.shape[0] * 2 == sheet.shape[0] * 3
    assert np.array_equal(of_clips[: len(sheet)], sheet)


def test_a_curve_goes_up_where_its_numbers_do_and_keeps_its_colour() -> None:
    rows: list[dict[str, float]] = [{"step": step, "iou": step / 4, "general_iou": 1 - step / 4} for step in range(5)]
    (panel,) = np.split(curves(rows, PANELS[1:2]), 1)
    inside = panel[35:-35, 90:-35]
    blue = inside[..., 2] - inside[..., 0] > 0.2
    red = inside[..., 0] - inside[..., 2] > 0.2
    for mask, rising in ((blue, True), (red, False)):
        rows_of = [np.flatnonzero(mask[:, column]).mean() for column in (100, 700)]
        assert bool(rows_of[0] > rows_of[1]) == rising
    alone = curves([{name: row[name] for name in ("step", "general_iou")} for row in rows], PANELS[1:2])
    shown = alone[35:-35, 90:-35]
    assert ((shown[..., 0] - shown[..., 2] > 0.2).any(), (shown[..., 2] - shown[..., 0] > 0.2).any()) == (True, False)

"""Measuring masks and mattes against the truth, with the field's measures."""

from __future__ import annotations

from gossamer.evaluation.boundary import boundary_iou
from gossamer.evaluation.folder import Evaluation, Row, evaluate_folder
from gossamer.evaluation.mask import MaskScores, evaluate_mask
from gossamer.evaluation.matte import MatteScores, evaluate_matte
from gossamer.evaluation.measures import KINDS, MEASURES, Kind, Measure
from gossamer.evaluation.pairs import Pair, find_pairs, read_opacity

__all__ = [
    "KINDS",
    "MEASURES",
    "Evaluation",
    "Kind",
    "MaskScores",
    "MatteScores",
    "Measure",
    "Pair",
    "Row",
    "boundary_iou",
    "evaluate_folder",
    "evaluate_mask",
    "evaluate_matte",
    "find_pairs",
    "read_opacity",
]

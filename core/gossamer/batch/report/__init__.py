"""What a batch made, to be looked at: one page that works offline, and contact sheets."""

from __future__ import annotations

from gossamer.batch.report.page import is_report, make_report
from gossamer.batch.report.sheet import make_sheets

__all__ = ["is_report", "make_report", "make_sheets"]

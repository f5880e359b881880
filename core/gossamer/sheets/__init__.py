"""Pictures of pictures: contact sheets, differences, the worst predictions, what a prompt found."""

from __future__ import annotations

from gossamer.sheets.annotations import annotate
from gossamer.sheets.contact_sheet import Entry, contact_sheet
from gossamer.sheets.differences import difference_picture
from gossamer.sheets.worst import worst_sheet

__all__ = ["Entry", "annotate", "contact_sheet", "difference_picture", "worst_sheet"]

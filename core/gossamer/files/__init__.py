"""Files that are there whole or not at all, whatever becomes of their writer; and what a killed one left, swept."""

from __future__ import annotations

from gossamer.files.drafts import abandon, staging_folder, sweep
from gossamer.files.names import move_into_place
from gossamer.files.shared import change_json, folder_lock, lock_alone, lock_file, make_folder, read_json
from gossamer.files.writing import check_folder, check_place, write_bytes, write_together
from gossamer.platform import exchange, share

__all__ = [
    "abandon",
    "change_json",
    "check_folder",
    "check_place",
    "exchange",
    "folder_lock",
    "lock_alone",
    "lock_file",
    "make_folder",
    "move_into_place",
    "read_json",
    "share",
    "staging_folder",
    "sweep",
    "write_bytes",
    "write_together",
]

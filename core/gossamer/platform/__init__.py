"""What differs between systems, in this one place: users, files, locks, memory, sockets, signals, processes.

No other file of the library names what exists on one system only (a test keeps it so).
"""

from __future__ import annotations

from gossamer.platform.cameras import binary_stream, camera_of, is_video_device, may_open_windows, usual_camera
from gossamer.platform.listening import listen
from gossamer.platform.locks import BINARY, folders_have_locks, hold, is_abandoned, open_files_can_move, wait_for
from gossamer.platform.memory import (
    addresses_left,
    available_memory,
    bring_in,
    physical_memory,
    resident_memory,
    return_memory,
    share_heaps,
)
from gossamer.platform.names import exchange, is_planted, links_are_followed_for_others, rename_new, settle_names
from gossamer.platform.permissions import inherit, share
from gossamer.platform.processes import (
    application_folders,
    core_count,
    end_group,
    has_local_sockets,
    has_posix_shell,
    in_forked_child,
    is_of_this_user,
    is_socket,
    keep_rights,
    keep_to_cores,
    local_socket,
    make_private_folder,
    new_group,
    privacy_fault,
    runtime_folder,
    write_private,
)
from gossamer.platform.processors import processor_flags, processor_kind
from gossamer.platform.signals import catch_ends, hear_ends, ignore_interrupts

__all__ = [
    "BINARY",
    "addresses_left",
    "application_folders",
    "available_memory",
    "binary_stream",
    "bring_in",
    "camera_of",
    "catch_ends",
    "core_count",
    "end_group",
    "exchange",
    "folders_have_locks",
    "has_local_sockets",
    "has_posix_shell",
    "hear_ends",
    "hold",
    "ignore_interrupts",
    "in_forked_child",
    "inherit",
    "is_abandoned",
    "is_of_this_user",
    "is_planted",
    "is_socket",
    "is_video_device",
    "keep_rights",
    "keep_to_cores",
    "links_are_followed_for_others",
    "listen",
    "local_socket",
    "make_private_folder",
    "may_open_windows",
    "new_group",
    "open_files_can_move",
    "physical_memory",
    "privacy_fault",
    "processor_flags",
    "processor_kind",
    "rename_new",
    "resident_memory",
    "return_memory",
    "runtime_folder",
    "settle_names",
    "share",
    "share_heaps",
    "usual_camera",
    "wait_for",
    "write_private",
]

# SPDX-License-Identifier: GPL-3.0-or-later
"""Our nodes in the place of other packs', in workflows of people who have not got those."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Replacement", "read", "register"]

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Replacement:
    """One of our nodes for one of another pack.

    Attributes
    ----------
    old, new : str
        Ids of nodes: theirs and ours.
    widgets : tuple of str
        Their widgets, in the order of saved workflows.
    inputs : dict of str to str
        Our inputs and theirs; theirs are required there.
    values : dict
        What other inputs of ours are set to.
    outputs : tuple of (int, int)
        Theirs and ours, counted from 0.
    """

    old: str
    new: str
    widgets: tuple[str, ...]
    inputs: dict[str, str]
    values: dict[str, Any]
    outputs: tuple[tuple[int, int], ...]

    def input_mapping(self) -> list[dict[str, Any]]:
        """Return the inputs as ComfyUI wants them."""
        mapped = [{"new_id": new, "old_id": old} for new, old in self.inputs.items()]
        return [*mapped, *({"new_id": new, "set_value": value} for new, value in self.values.items())]

    def output_mapping(self) -> list[dict[str, int]]:
        """Return the outputs as ComfyUI wants them."""
        return [{"old_idx": old, "new_idx": new} for old, new in self.outputs]


def read() -> list[Replacement]:
    """Return all of them, from the file beside this one."""
    return [
        Replacement(
            old=old,
            new=one["new"],
            widgets=tuple(one.get("widgets", ())),
            inputs=one.get("inputs", {}),
            values=one.get("values", {}),
            outputs=tuple((theirs, ours) for theirs, ours in one.get("outputs", ())),
        )
        for old, one in tomllib.loads(FILE.read_text(encoding="utf-8")).items()
    ]


async def register() -> None:
    """Tell ComfyUI of them, where it replaces nodes: 0.3 does not."""
    from comfy_api.latest import ComfyAPI, io

    if not hasattr(io, "NodeReplace"):
        return
    told = ComfyAPI().node_replacement
    for one in read():
        await told.register(
            io.NodeReplace(
                new_node_id=one.new,
                old_node_id=one.old,
                old_widget_ids=list(one.widgets) or None,
                input_mapping=one.input_mapping(),
                output_mapping=one.output_mapping(),
            )
        )

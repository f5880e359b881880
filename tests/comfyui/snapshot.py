# SPDX-License-Identifier: GPL-3.0-or-later
"""What saved workflows rely on: ``python -m tests.comfyui.snapshot`` writes it where nothing but additions came."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.cached_weights import weights_home
from tests.comfyui.install import comfyui
from tests.comfyui.server import Server

FILE = Path(__file__).with_name("object_info.json")
COMMAND = "python -m tests.comfyui.snapshot"

Snapshot = dict[str, dict[str, Any]]


def of(object_info: dict[str, Any]) -> Snapshot:
    """Return of our nodes what workflows hold: ids, inputs in their order, what they may be, and outputs."""
    taken: Snapshot = {}
    for name, info in sorted(object_info.items()):
        if not name.startswith("Gossamer"):
            continue
        inputs = []
        for kind in ("required", "optional"):
            for key in info["input_order"].get(kind, []):
                sort, fields = info["input"][kind][key]
                one = {"name": key, "type": "STRING" if sort == "COLOR" else sort, "required": kind == "required"}
                if "default" in fields:
                    one["default"] = fields["default"]
                if "options" in fields:  # files of weights are whatever lies there
                    one["options"] = [option for option in fields["options"] if "/" not in option]
                inputs.append(one)
        taken[name] = {"inputs": inputs, "outputs": info["output"]}
    return taken


def faults(before: Snapshot, now: Snapshot) -> list[str]:
    """Return what of a snapshot has changed otherwise than by additions at the end, a sentence each."""
    found = []
    for name, node in before.items():
        if name not in now:
            found.append(f"The node {name} is gone.")
            continue
        inputs = now[name]["inputs"]
        for number, old in enumerate(node["inputs"]):
            new = inputs[number] if number < len(inputs) else None
            same = new is not None and all(new.get(key) == old.get(key) for key in ("name", "required", "default"))
            if not same or not _kinds(old) <= _kinds(new):  # it may take more kinds than it did
                found.append(f"Input {number + 1} of {name} was {old['name']} {old}, and is {new}.")
            elif lost := [option for option in old.get("options", []) if option not in new["options"]]:
                found.append(f"{old['name']} of {name} cannot be {', '.join(lost)} any more.")
        for new in inputs[len(node["inputs"]) :]:
            if new["required"]:
                found.append(f"The new input {new['name']} of {name} is required.")
        if now[name]["outputs"][: len(node["outputs"])] != node["outputs"]:
            found.append(f"The outputs of {name} were {node['outputs']}, and are {now[name]['outputs']}.")
    return found


def _kinds(taken: dict[str, Any]) -> set[str]:
    return set(str(taken["type"]).split(","))


def read() -> Snapshot:
    """Return the committed snapshot."""
    snapshot: Snapshot = json.loads(FILE.read_text(encoding="utf-8"))
    return snapshot


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = Server(comfyui(), Path(folder), weights_home())
        try:
            server.wait()
            now = of(server.get("/object_info"))
        finally:
            server.stop()
    if wrong := faults(read(), now) if FILE.exists() else []:
        sys.exit("\n".join([*wrong, "Saved workflows would break: append, never change."]))
    FILE.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(FILE)

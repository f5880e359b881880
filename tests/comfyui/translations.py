# SPDX-License-Identifier: GPL-3.0-or-later
"""The texts for translators, made from the nodes themselves: ``python -m tests.comfyui.translations``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.cached_weights import weights_home
from tests.comfyui.install import REPOSITORY, comfyui
from tests.comfyui.server import Server

FILE = REPOSITORY / "comfyui_nodes" / "locales" / "en" / "nodeDefs.json"
COMMAND = "python -m tests.comfyui.translations"


def definitions(object_info: dict[str, Any]) -> dict[str, Any]:
    """Return what ComfyUI's ``nodeDefs.json`` says of our nodes."""
    texts = {}
    for name, info in sorted(object_info.items()):
        if name.startswith("Gossamer"):
            inputs = {**info["input"]["required"], **info["input"].get("optional", {})}
            texts[name] = {
                "display_name": info["display_name"],
                "description": info["description"],
                "inputs": {
                    key: {"name": spec[1].get("display_name", key), "tooltip": spec[1]["tooltip"]}
                    for key, spec in inputs.items()
                },
                "outputs": {
                    str(i): {"name": title, "tooltip": tooltip}
                    for i, (title, tooltip) in enumerate(zip(info["output_name"], info["output_tooltips"], strict=True))
                },
            }
    return texts


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server = Server(comfyui(), Path(folder), weights_home())
        try:
            server.wait()
            texts = definitions(server.get("/object_info"))
        finally:
            server.stop()
    FILE.write_text(json.dumps(texts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(FILE)

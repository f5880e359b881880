# SPDX-License-Identifier: GPL-3.0-or-later
"""What ComfyUI finds when this repository lies in its ``custom_nodes`` folder.

Nothing is imported until ComfyUI calls :func:`comfy_entrypoint`: test runners import this file too.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

# ComfyUI serves this folder; the nodes' help pages are in its docs/.
WEB_DIRECTORY = "./comfyui_nodes/web"


async def comfy_entrypoint() -> Any:
    """Return the extension with the nodes; `gossamer` is taken from this very checkout."""
    core = str(Path(__file__).resolve().parent / "core")
    if core in sys.path:
        sys.path.remove(core)
    sys.path.insert(0, core)  # first: an older Gossamer in ComfyUI's environment must not be taken
    from .comfyui_nodes.extension import comfy_entrypoint

    return await comfy_entrypoint()

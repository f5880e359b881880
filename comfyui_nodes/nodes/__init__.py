# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes, one file a family.

Ids and names of inputs are permanent, since saved workflows refer to them: append, never rename or reorder.
"""

from comfy_api.latest import io

__all__ = ["CATEGORY", "AnyModel", "Model"]

CATEGORY = "Gossamer"
Model = io.Custom("GOSSAMER_MODEL")
# ComfyUI's own loader of models for background removal (0.21 and later) gives the second kind.
AnyModel = io.Custom("GOSSAMER_MODEL,BACKGROUND_REMOVAL")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes, one file a family.

Ids and names of inputs are permanent, since saved workflows refer to them: append, never rename or reorder.
"""

from comfy_api.latest import io

__all__ = ["CATEGORY", "Model"]

CATEGORY = "Gossamer"
Model = io.Custom("GOSSAMER_MODEL")

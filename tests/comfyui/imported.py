# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by test_registry.py in ComfyUI's own Python: prints what loading the pack imports."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys

import launch

root, pack = sys.argv[1:3]
os.chdir(root)
sys.path[0] = root
sys.argv[1:] = ["--cpu"]
launch.declare_missing_operators()

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

import comfy.model_management  # noqa: E402
import comfy_api.latest  # noqa: E402, F401
import nodes  # noqa: E402, F401

before = set(sys.modules)
place = os.path.join(pack, "__init__.py")
spec = importlib.util.spec_from_file_location("pack", place, submodule_search_locations=[pack])
module = importlib.util.module_from_spec(spec)
sys.modules["pack"] = module
spec.loader.exec_module(module)
extension = asyncio.run(module.comfy_entrypoint())
for node in asyncio.run(extension.get_node_list()):
    node.GET_SCHEMA()
print(*sorted(set(sys.modules) - before))

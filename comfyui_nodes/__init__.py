# SPDX-License-Identifier: GPL-3.0-or-later
"""Gossamer's nodes for ComfyUI: a thin face over the library."""

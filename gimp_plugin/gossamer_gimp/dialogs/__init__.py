# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's windows: what is cut out and how, and what has to be agreed to first."""

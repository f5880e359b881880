# SPDX-License-Identifier: GPL-3.0-or-later
"""The GIMP 3 plug-in: `gossamer gimp install` copies these files into GIMP's folder."""

# SPDX-License-Identifier: GPL-3.0-or-later
"""Planes of bytes, a byte a pixel, row by row: standard library only, for GIMP's own Python has no numpy.

What takes a step a pixel would take seconds; slices, tables and very long whole numbers are as fast as need be.
"""

_BLOCK = 256  # pixels of the side of what is looked at for changes
_LIGHT = bytes(255 if value >= 230 else 0 for value in range(256))
_DARK = bytes(255 if value <= 25 else 0 for value in range(256))
_SEEN = bytes(255 if value >= 128 else 0 for value in range(256))


def marked(values, opacity):
    """Return what marks say: 255 where they are white, 0 where black, 128 where between, or hardly there."""
    bright = int.from_bytes(values.translate(_LIGHT), "big")
    dark = int.from_bytes(values.translate(_DARK), "big")
    said = (bright | dark) & int.from_bytes(opacity.translate(_SEEN), "big")  # all bits of a byte, or none
    between = int.from_bytes(b"\x80" * len(values), "big")
    return ((bright & said) | (between & ~said)).to_bytes(len(values), "big")


def changed(before, after, width, height):
    """Yield boxes (left, top, width, height) that hold all bytes in which two planes differ, from top to bottom.

    A slider moves an edge: to write what it changed takes GIMP a fraction of the time that the whole would.
    """
    for top in range(0, height, _BLOCK):
        bottom = min(top + _BLOCK, height)
        if before[top * width : bottom * width] == after[top * width : bottom * width]:
            continue
        blocks = [left for left in range(0, width, _BLOCK) if _differ(before, after, width, left, top, bottom)]
        right = min(blocks[-1] + _BLOCK, width)
        yield blocks[0], top, right - blocks[0], bottom - top


def cut_out(plane, width, box):
    """Return the bytes of a box of a plane that is `width` wide."""
    left, top, wide, high = box
    if wide == width:
        return plane[top * width : (top + high) * width]
    starts = range(top * width + left, (top + high) * width + left, width)
    return b"".join([plane[start : start + wide] for start in starts])


def _differ(before, after, width, left, top, bottom):
    wide = min(_BLOCK, width - left)
    starts = range(top * width + left, bottom * width + left, width)
    return any(before[start : start + wide] != after[start : start + wide] for start in starts)

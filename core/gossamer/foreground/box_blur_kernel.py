"""The compiled kernel of blur fusion: both passes in one sweep over a strip of rows.

Rows are worked on in planes: loops over single contiguous arrays are what the compiler turns into SIMD.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64

from gossamer.foreground.compiled import IMAGE, IMAGE_OUT, PLANE, compiled

__all__ = ["strip"]

EPSILON = np.float32(1e-5)  # the published method's
ZERO, ONE = np.float32(0), np.float32(1)


@compiled()
def reflect(i: int, n: int) -> int:
    """Return where index `i` falls in [0, n) when borders reflect without repeating the edge."""
    if n == 1:
        return 0
    i = i % (2 * (n - 1))
    return i if i < n else 2 * (n - 1) - i


@compiled()
def split(image: Any, y: int, colours: Any) -> None:
    """Take row `y` of a picture apart into three planes."""
    for x in range(colours.shape[1]):
        colours[0, x] = image[y, x, 0]
        colours[1, x] = image[y, x, 1]
        colours[2, x] = image[y, x, 2]


@compiled()
def weigh(front: Any, back: Any, alpha: Any, row: Any) -> None:
    """Write seven planes: alpha, the foreground times alpha, the background times (1 - alpha)."""
    out = row[0]
    for x in range(alpha.size):  # not row[0] = alpha: numba compiles that for seconds
        out[x] = alpha[x]
    for k in range(front.shape[0]):
        colour, out = front[k], row[1 + k]
        for x in range(alpha.size):
            out[x] = colour[x] * alpha[x]
        colour, out = back[k], row[4 + k]
        for x in range(alpha.size):
            out[x] = colour[x] * (ONE - alpha[x])


@compiled()
def add(sums: Any, left: int, weight: float, row: Any) -> None:
    """Add `weight` times a row to the column sums, which begin behind `left` spare columns."""
    for plane in range(row.shape[0]):
        total, new = sums[plane, left:], row[plane]
        for x in range(new.size):
            total[x] += weight * np.float64(new[x])


@compiled()
def times(row: Any, factor: Any) -> None:
    """Multiply a row in place."""
    for x in range(row.size):
        row[x] *= factor[x]


@compiled()
def invert(row: Any) -> None:
    """Replace means by their reciprocals, in place."""
    for x in range(row.size):
        row[x] = ONE / (row[x] + EPSILON)


@compiled()
def means(sums: Any, side: int, out: Any) -> None:
    """Write the layers' blurred colours, foreground in planes 1 to 3 and background in 4 to 6 of `out`.

    The sums slide along the row in float64: what they lose there is 1e-12 at most, far below the epsilon that
    decides where next to nothing is left. What alpha lacks to 1 is taken in float64 for the same reason.
    """
    width = out.shape[1]
    # Reflecting borders repeat a row with a period, and every full period has the same sum.
    period = max(1, 2 * (width - 1))
    left, rest, full = side // 2 % period, side % period, side // period
    start = np.zeros(7)
    for plane in range(sums.shape[0]):
        row = sums[plane]
        for k in range(left):
            row[k] = row[left + reflect(k - left, width)]
        for k in range(left + width, width + rest):
            row[k] = row[left + reflect(k - left, width)]
        if full > 0:
            total = 0.0
            for x in range(width):
                total += row[left + x]
            if width > 1:
                total += total - row[left] - row[left + width - 1]
            start[plane] = total * full
        for k in range(rest):
            start[plane] += row[k]
    scale = 1.0 / (np.float64(side) * np.float64(side))
    entering = sums[:, rest:]
    s0, s1, s2, s3 = start[0] * scale, start[1] * scale, start[2] * scale, start[3] * scale
    s4, s5, s6 = start[4] * scale, start[5] * scale, start[6] * scale
    for x in range(width):
        out[0, x] = s0
        out[1, x] = s1
        out[2, x] = s2
        out[3, x] = s3
        out[4, x] = s4
        out[5, x] = s5
        out[6, x] = s6
        out[7, x] = 1.0 - s0
        s0 += (entering[0, x] - sums[0, x]) * scale
        s1 += (entering[1, x] - sums[1, x]) * scale
        s2 += (entering[2, x] - sums[2, x]) * scale
        s3 += (entering[3, x] - sums[3, x]) * scale
        s4 += (entering[4, x] - sums[4, x]) * scale
        s5 += (entering[5, x] - sums[5, x]) * scale
        s6 += (entering[6, x] - sums[6, x]) * scale
    invert(out[0])
    invert(out[7])
    for k in range(1, sums.shape[0]):
        times(out[k], out[0 if k < 4 else 7])


@compiled()
def explain(colour: Any, alpha: Any, front: Any, back: Any, out: Any) -> None:
    """Write the foreground that explains the picture's colour, given both layers' blurred colours."""
    for x in range(out.size):
        rest = colour[x] - alpha[x] * front[x] - (ONE - alpha[x]) * back[x]
        out[x] = min(max(front[x] + alpha[x] * rest, ZERO), ONE)


@compiled()
def event(k: int, row: int, side: int, n: int, opening: bool) -> tuple[int, float]:
    """Return the row that event `k` of moving the window to `row` adds to the sums, and its weight.

    Opening the window takes full periods of reflected rows, if any, then the rows that remain; sliding it takes
    the row that enters and the one that leaves.
    """
    before = side // 2
    if not opening:
        if k == 0:
            return reflect(row + side - before - 1, n), 1.0
        return reflect(row - 1 - before, n), -1.0
    period = max(1, 2 * (n - 1))
    rest, full = side % period, side // period
    if k < rest:
        return reflect(row - before + k, n), 1.0
    k -= rest
    return k, float(full if k == 0 or k == n - 1 else 2 * full)


@compiled(IMAGE, PLANE, int64, int64, int64, int64, IMAGE_OUT, IMAGE_OUT)
def strip(
    image: Any,
    alpha: Any,
    side: int,
    fine_side: int,
    top: int,
    bottom: int,
    foreground: Any,
    background: Any,
) -> None:
    """Write rows `top` to `bottom` of the foreground, and of the background unless that is empty."""
    height, width = alpha.shape
    period, period_x = max(1, 2 * (height - 1)), max(1, 2 * (width - 1))

    # Room for a window of reflected columns, rounded up so that planes lie an odd number of cache lines apart:
    # a power of two apart they would push one another out of the cache.
    wide = max(side % period_x + side // 2 % period_x, fine_side % period_x + fine_side // 2 % period_x)
    sums = np.zeros((2, 7, (width + wide) // 16 * 16 + 24), np.float64)
    loaded = np.empty((7, width), np.float32)
    colours = np.empty((3, width), np.float32)
    blurred = np.empty((8, width), np.float32)
    # Of the first pass only the rows that the second one's window touches are kept.
    reach = fine_side // 2
    kept = min(height, 2 * reach + 2)
    ring = np.empty((kept, 7, width), np.float32)

    first = 0 if height <= fine_side else max(0, top - reach)
    coarse, y = first, top
    # The code of both passes is written once and taken in turns: it compiles in half the time.
    while y < bottom:
        fine = coarse > min(height - 1, y + reach)
        row = y if fine else coarse
        span = fine_side if fine else side
        total = sums[1 if fine else 0]
        opening = row == (top if fine else first)
        events = 2
        if opening:
            events = span % period + (height if span >= period else 0)
        for k in range(events):
            r, weight = event(k, row, span, height, opening)
            source = loaded
            if fine:
                source = ring[r % kept]
            else:
                split(image, r, colours)
                weigh(colours, colours, alpha[r], loaded)
            add(total, span // 2 % period_x, weight, source)
        means(total, span, blurred)
        split(image, row, colours)
        for k in range(colours.shape[0]):
            explain(colours[k], alpha[row], blurred[1 + k], blurred[4 + k], colours[k])
        if not fine:
            weigh(colours, blurred[4:7], alpha[row], ring[row % kept])
            coarse += 1
            continue
        for x in range(width):
            foreground[row, x, 0] = colours[0, x]
            foreground[row, x, 1] = colours[1, x]
            foreground[row, x, 2] = colours[2, x]
        if background.size > 0:
            for x in range(width):
                background[row, x, 0] = min(max(blurred[4, x], ZERO), ONE)
                background[row, x, 1] = min(max(blurred[5, x], ZERO), ONE)
                background[row, x, 2] = min(max(blurred[6, x], ZERO), ONE)
        y += 1

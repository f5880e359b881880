"""The compiled kernel of blur fusion: both passes in one sweep over a strip of rows."""

from __future__ import annotations

import numpy as np
from numba import types

from gossamer.foreground.compiled import compiled

EPSILON = np.float32(1e-5)
ZERO, ONE = np.float32(0), np.float32(1)


@compiled()
def reflect(i, n):
    """Return where index `i` falls in [0, n) when borders reflect without repeating the edge."""
    if n == 1:
        return 0
    i = i % (2 * (n - 1))
    return i if i < n else 2 * (n - 1) - i


@compiled()
def load(image, alpha, y, row):
    """Write alpha, alpha times the colours and (1 - alpha) times them into the seven planes of `row`."""
    for x in range(alpha.shape[1]):
        a = alpha[y, x]
        b = ONE - a
        row[0, x] = a
        row[1, x] = image[y, x, 0] * a
        row[2, x] = image[y, x, 1] * a
        row[3, x] = image[y, x, 2] * a
        row[4, x] = image[y, x, 0] * b
        row[5, x] = image[y, x, 1] * b
        row[6, x] = image[y, x, 2] * b


@compiled()
def add(sums, left, weight, row):
    """Add `weight` times a row to the column sums, which begin behind `left` spare columns."""
    for plane in range(7):
        total, new = sums[plane, left:], row[plane]
        for x in range(new.size):
            total[x] += weight * np.float64(new[x])


@compiled()
def slide(sums, left, entering, leaving):
    """Move the window of the column sums down by one row."""
    for plane in range(7):
        total, new, old = sums[plane, left:], entering[plane], leaving[plane]
        for x in range(new.size):
            total[x] += np.float64(new[x]) - np.float64(old[x])


@compiled()
def means(sums, side, out):
    """Turn column sums into means over squares of `side`, the first plane and what it lacks to 1 inverted.

    The sums slide along the row in float64: what they lose there is a millionth of a millionth, far below the
    epsilon that decides where next to nothing is left.
    """
    width = out.shape[1]
    # Borders that reflect repeat a row with a period, and every full period has the same sum.
    period = max(1, 2 * (width - 1))
    left = side // 2 % period
    rest = side % period
    full = side // period
    start = np.zeros(7)
    for plane in range(7):
        row = sums[plane]
        for k in range(left):
            row[k] = row[left + reflect(k - left, width)]
        for k in range(left + width, width + rest):
            row[k] = row[left + reflect(k - left, width)]
        if full > 0:
            for x in range(width):
                start[plane] += row[left + x]
            if width > 1:
                start[plane] += start[plane] - row[left] - row[left + width - 1]
            start[plane] *= full
        for k in range(rest):
            start[plane] += row[k]
    scale = 1.0 / (np.float64(side) * np.float64(side))
    s0, s1, s2, s3, s4, s5, s6 = start[0], start[1], start[2], start[3], start[4], start[5], start[6]
    entering = sums[:, rest:]
    for x in range(width):
        alpha = s0 * scale
        out[0, x] = ONE / (np.float32(alpha) + EPSILON)
        out[7, x] = ONE / (np.float32(1.0 - alpha) + EPSILON)
        out[1, x] = s1 * scale
        out[2, x] = s2 * scale
        out[3, x] = s3 * scale
        out[4, x] = s4 * scale
        out[5, x] = s5 * scale
        out[6, x] = s6 * scale
        s0 += entering[0, x] - sums[0, x]
        s1 += entering[1, x] - sums[1, x]
        s2 += entering[2, x] - sums[2, x]
        s3 += entering[3, x] - sums[3, x]
        s4 += entering[4, x] - sums[4, x]
        s5 += entering[5, x] - sums[5, x]
        s6 += entering[6, x] - sums[6, x]


@compiled()
def solve(image, alpha, y, blurred, plane, out):
    """Write one channel's foreground of row `y` in `out`; its blurred background replaces its sum."""
    front, back = blurred[1 + plane], blurred[4 + plane]
    for x in range(out.size):
        a = alpha[y, x]
        f = front[x] * blurred[0, x]
        b = back[x] * blurred[7, x]
        colour = f + a * (image[y, x, plane] - a * f - (ONE - a) * b)
        out[x] = min(max(colour, ZERO), ONE)
        back[x] = b


@compiled()
def reach_of(side, period):
    """Return how many columns the sums need besides the row's own, padded to an odd number of cache lines."""
    return ((side % period + side // 2 % period) // 16 * 2 + 3) * 8


@compiled(
    "image", "plane", types.int64, types.int64, types.int64, types.int64,
    types.float32[:, :, ::1], types.float32[:, :, ::1],
)
def strip(image, alpha, side, fine_side, top, bottom, foreground, background):
    """Write rows `top` to `bottom` of the foreground (and of the background unless that is empty)."""
    height, width = alpha.shape
    before, fine_before = side // 2, fine_side // 2
    after, fine_after = side - before - 1, fine_side - fine_before - 1
    period = max(1, 2 * (height - 1))
    reach = max(1, 2 * (width - 1))
    left, fine_left = before % reach, fine_before % reach

    # A window's worth of reflected columns around the row, and a little more so that planes do not lie a power
    # of two apart, where they would push one another out of the cache.
    sums = np.zeros((7, width + reach_of(side, reach)), np.float64)
    fine_sums = np.zeros((7, width + reach_of(fine_side, reach)), np.float64)
    entering = np.empty((7, width), np.float32)
    leaving = np.empty((7, width), np.float32)
    ring_rows = min(height, 2 * fine_before + 2)
    ring = np.empty((ring_rows, 7, width), np.float32)
    blurred = np.empty((8, width), np.float32)

    first_coarse = 0 if height <= fine_side else max(0, top - fine_before)
    next_coarse = first_coarse
    for y in range(top, bottom):
        while next_coarse <= min(height - 1, y + fine_before):
            c = next_coarse
            next_coarse += 1
            if c == first_coarse:
                full = side // period
                if full > 0:
                    for row in range(height):
                        load(image, alpha, row, entering)
                        add(sums, left, float(full if row % (height - 1 if height > 1 else 1) == 0 else 2 * full), entering)
                for k in range(side % period):
                    load(image, alpha, reflect(c - before + k, height), entering)
                    add(sums, left, 1.0, entering)
            else:
                load(image, alpha, reflect(c + after, height), entering)
                load(image, alpha, reflect(c - 1 - before, height), leaving)
                slide(sums, left, entering, leaving)
            means(sums, side, blurred)
            into = ring[c % ring_rows]
            for k in range(3):
                solve(image, alpha, c, blurred, k, into[1 + k])
            for x in range(width):
                into[0, x] = alpha[c, x]
            for k in range(3):
                for x in range(width):
                    into[1 + k, x] *= alpha[c, x]
                for x in range(width):
                    into[4 + k, x] = blurred[4 + k, x] * (ONE - alpha[c, x])
        if y == top:
            full = fine_side // period
            if full > 0:
                for row in range(height):
                    add(fine_sums, fine_left, float(full if row % (height - 1 if height > 1 else 1) == 0 else 2 * full), ring[row])
            for k in range(fine_side % period):
                add(fine_sums, fine_left, 1.0, ring[reflect(y - fine_before + k, height) % ring_rows])
        else:
            slide(
                fine_sums,
                fine_left,
                ring[reflect(y + fine_after, height) % ring_rows],
                ring[reflect(y - 1 - fine_before, height) % ring_rows],
            )
        means(fine_sums, fine_side, blurred)
        for k in range(3):
            solve(image, alpha, y, blurred, k, entering[k])
        for x in range(width):
            foreground[y, x, 0] = entering[0, x]
            foreground[y, x, 1] = entering[1, x]
            foreground[y, x, 2] = entering[2, x]
        if background.size > 0:
            for x in range(width):
                background[y, x, 0] = min(blurred[4, x], ONE)
                background[y, x, 1] = min(blurred[5, x], ONE)
                background[y, x, 2] = min(blurred[6, x], ONE)

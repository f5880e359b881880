"""Which side of a mask the colours near its edge belong to, as tables of colour and place.

The pixels on either side of the edge vote by colour for the pixels that look like them. Colours are counted along the
principal axes of the picture's own colours, which keeps the tables small, in tiles that overlap; a count is spread to
the neighbouring cells, so that a look-up is a vote weighted by likeness. Votes answer "which side", not "how much".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.native import COUNT, NUMBER, PLACE, function
from gossamer.resampling import wide_blur

__all__ = ["BAND", "Palette"]

# Lengths are in units (see signed_distance).
BAND = 40.0  # how far from the edge pixels are decided at all
NEAR, FAR = 4.0, 30.0  # between these distances the mask itself is trusted enough to judge the colours by
TRUST = 6.0  # a voter counts fully from this far inside its own side
TILE = 150.0  # spacing of the places at which colours are counted
CELL = 24.0  # judges and judged lie in different cells of this checkerboard
AROUND = 25.0  # sigma of the neighbourhood over which the judgement is averaged
STEP = 1 / 32  # spacing of colours
WIDE, TIGHT = (0.25, 0.5), (0.125, 0.75)  # how a count is spread to its neighbours: for votes, and for look-alikes
UNHEARD, UNJUDGED = 0.01, 0.001  # counts on either side that are there without any voter
GUESSED, ACCEPTED = 0.35, 0.10  # error of the judged votes at which colours are not believed, and fully
CALM = 0.2  # share of a neighbourhood that must be judged before it outweighs the whole picture's judgement
DISCORD = 0.02  # variance of the look-alikes' alpha at which they have lost most of their weight
MANY = 40.0  # look-alikes that are company enough
LEAST, MOST, BLIND = 1.5, 12.0, 2.5  # limits of the mask's error, and what it is where colours cannot tell
SURROUNDINGS = 28.0  # where votes differ this far from the edge, beyond hair and any mask's error, they are wrong


class Palette:
    """The colours around the edge of a mask.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    distance : (H, W) float32 ndarray
        Signed distance to the mask's edge in units, positive inside.
    heard : (H, W) float32 ndarray or None
        How much the mask's word counts, in [0, 1]; the same everywhere without it.
    unit : float
        Pixels in a unit.

    Attributes
    ----------
    gate : (H, W) float32 ndarray
        0 where colours do not tell inside from outside here, 1 where they do.
    """

    def __init__(self, image: Array, distance: Array, heard: Array | None, unit: float) -> None:
        import cv2

        self._distance, self._unit = distance, unit
        near = np.abs(distance)
        self._among = near < BAND
        rows, columns = self._place_pixels()
        self._near, self._inside = self._of(near), self._of(distance) > 0
        self._sure: Array = (self._near < FAR).astype(np.float32)
        if heard is not None:
            self._sure *= self._of(heard)
        self._trust: Array = self._sure * np.minimum(self._near / TRUST, 1) ** 2
        self._sort_colours(image.reshape(-1, 3).take(self._place, axis=0))
        edge = cv2.morphologyEx((distance > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        # Length of edge per area; the gradient is two pixels wide.
        self._edge = self._around(np.asarray(edge, np.float32)) / 2 + np.float32(1e-3)
        down, across = ((np.arange(n, dtype=np.float32) // (CELL * unit)).astype(np.int32) for n in distance.shape)
        self.gate = self._judge((down[rows] + across[columns]) % 2 == 0)

    def _place_pixels(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the pixels to look at, sorted by the tile that they lie in, and where there; return (rows, columns)."""
        height, width = self._among.shape
        side = TILE * self._unit
        self._corners = int((height - 1) / side) + 2, int((width - 1) / side) + 2
        y, x = (np.arange(n, dtype=np.float32) / np.float32(side) for n in (height, width))
        top, left = y.astype(np.int32), x.astype(np.int32)
        rows, columns = np.nonzero(self._among)
        tile = (top * self._corners[1])[rows] + left[columns]
        many = self._corners[0] * self._corners[1]
        order = np.argsort(tile.astype(np.min_scalar_type(many)), kind="stable")  # small numbers are sorted at once
        rows, columns = rows[order], columns[order]
        self._begin: NDArray[np.int64] = np.concatenate(([0], np.cumsum(np.bincount(tile, minlength=many))))
        self._place = rows * width + columns
        y -= top
        x -= left
        self._down, self._across = y[rows], x[columns]
        return rows, columns

    def _sort_colours(self, colours: Array) -> None:
        """Find every pixel's colour among those that are told apart."""
        colours = np.ascontiguousarray(colours.T)  # NumPy is quick along rows
        colours -= colours.mean(axis=1, keepdims=True)
        # In doubles, and turned without BLAS: what is rounded differs between processors, and so would the bins.
        doubles = colours.astype(np.float64)
        axes = np.linalg.eigh(doubles @ doubles.T)[1][:, ::-1].astype(np.float32)
        turned = np.stack([sum(share * row for share, row in zip(axis, colours, strict=True)) for axis in axes.T])
        turned -= turned.min(axis=1, keepdims=True)
        code = (turned / np.float32(STEP)).astype(np.int32)
        depth = self._depth = tuple(int(n) + 1 for n in code.max(axis=1))
        self._colour: NDArray[np.int32] = (code[0] * depth[1] + code[1]) * depth[2] + code[2]

    def _judge(self, even: NDArray[np.bool_]) -> Array:
        """Let the two halves of a checkerboard foretell each other's side of the mask (cross-validation)."""
        worth = self._trust * (self._near > NEAR)
        foretold = [self._share(worth * half, self._inside, UNJUDGED, ~half) for half in (even, ~even)]
        plane = self._spread(np.where(even, foretold[1], foretold[0]))
        inside, near = self._distance > 0, np.abs(self._distance)
        error = np.abs(plane - inside)
        zone = self._among & (near > NEAR) & (near < FAR)
        heard = self._spread(self._sure)
        worst = np.zeros_like(plane)
        # Each side for itself: a thin subject in the background's colours must not be outvoted by the background.
        for side in (zone & inside, zone & ~inside):
            share = np.where(side, heard, 0).astype(np.float32)
            overall = float((error * share).sum() / share.sum()) if share.any() else GUESSED
            local = self._around(error * share) + np.float32(CALM * overall)
            np.maximum(worst, local / (self._around(share) + np.float32(CALM)), out=worst)
        gate: Array = np.clip((GUESSED - worst) / np.float32(GUESSED - ACCEPTED), 0, 1)
        return gate

    def vote(self, alpha: Array | None = None) -> Array:
        """Return the share of foreground among what looks alike, (H, W); 0.5 where nobody is heard.

        Parameters
        ----------
        alpha : (H, W) float32 ndarray, optional
            What is known of the voters so far; the mask itself if None.
        """
        if alpha is None:
            return self._spread(self._share(self._trust, self._inside, UNHEARD))
        known = 2 * self._of(alpha) - 1
        worth = np.where(np.abs(known) > 0.8, known**2, 0) * self._sure
        return self._spread(self._share(worth, known > 0, UNHEARD))

    def look_alikes(self, alpha: Array) -> tuple[Array, Array]:
        """Return the mean alpha of what looks nearly the same, and how far it agrees: (H, W) in [0, 1].

        Parameters
        ----------
        alpha : (H, W) float32 ndarray
            What is known so far.
        """
        value, here = self._of(alpha), (self._near < FAR).astype(np.float32)
        count, sums, squares = self._consult(np.stack([here, here * value, here * value**2]), TIGHT)
        least = np.maximum(count, np.float32(1e-3))
        mean = sums / least
        spread = squares / least - mean**2
        agreement = np.minimum(count / MANY, 1) * np.exp(np.maximum(spread, 0) / -DISCORD)
        return self._spread(np.clip(mean, 0, 1)), self._spread(agreement, 0.0)

    def mask_error(self, vote: Array) -> Array:
        """Return how far the mask's edge is from the vote's, in units, (H, W).

        The area in which mask and vote differ, divided by the length of the edge that runs through it. Where both sides
        share a colour the vote is wrong far from the edge too; that much of the difference is not the mask's.
        """
        differs = np.where(self._among, np.abs(vote - (self._distance > 0)), 0).astype(np.float32)
        near = np.abs(self._distance) <= SURROUNDINGS
        far = (self._among & ~near).astype(np.float32)
        usual = float(differs[far > 0].mean()) if far.any() else 0.0
        base = (self._around(differs * far) + np.float32(CALM * usual)) / (self._around(far) + np.float32(CALM))
        excess = self._around(np.where(self._among & near, differs - base, 0).astype(np.float32))
        error = np.clip(excess / self._edge / np.float32(self._unit), LEAST, MOST)
        result: Array = self.gate * error + (1 - self.gate) * np.float32(BLIND)
        return result

    def _share(
        self, worth: Array, side: NDArray[np.bool_], doubt: float, asked: NDArray[np.bool_] | None = None
    ) -> Array:
        """Return the share of foreground that the pixels give to those `asked`, by what the word of each is worth."""
        ayes, noes = self._consult(np.stack([worth * side, worth * ~side]).astype(np.float32, copy=False), WIDE, asked)
        result: Array = (ayes + np.float32(doubt)) / (ayes + noes + np.float32(2 * doubt))
        return result

    def _consult(self, worth: Array, spread: tuple[float, float], asked: NDArray[np.bool_] | None = None) -> Array:
        """Count what pixels are `worth`, (M, N), by place and colour; return what those `asked` find there, (M, N).

        Neighbouring colours have a part of each other's. For pixels that are not asked it is whatever comes of it.
        """
        compiled = function("consult", *6 * (PLACE,), *7 * (COUNT,), NUMBER, NUMBER, PLACE, PLACE)
        if compiled is None:
            return np.stack([self._look_up(self._count(one, spread)) for one in worth])
        found = np.zeros_like(worth)
        sheet = self._depth[1] * self._depth[2]
        room = np.empty(len(worth) * ((self._depth[0] + 2) * sheet + 2), np.float32)
        pixels, sizes = (self._colour, self._down, self._across), (*worth.shape, *self._corners, *self._depth)
        compiled(*pixels, worth, asked, self._begin, *sizes, *spread, room, found)
        return found

    def _count(self, worth: Array, spread: tuple[float, float]) -> Array:
        """Count one row of `worth` in tables of place and colour, where the kernel was not compiled."""
        cells, shares = self._cells()
        shape = *self._corners, *self._depth
        total = np.bincount(cells.reshape(-1), (shares * worth).reshape(-1), int(np.prod(shape)))
        table = total.astype(np.float32).reshape(shape)
        aside, kept = (np.float32(share) for share in spread)
        for axis in (2, 3, 4):  # the tiles overlap already
            other, part = table * kept, table * aside
            first, last = [slice(None)] * 5, [slice(None)] * 5
            first[axis], last[axis] = slice(None, -1), slice(1, None)
            other[tuple(last)] += part[tuple(first)]
            other[tuple(first)] += part[tuple(last)]
            table = other
        return table

    def _look_up(self, table: Array) -> Array:
        cells, shares = self._cells()
        result: Array = np.einsum("ij,ij->j", table.reshape(-1)[cells], shares)
        return result

    def _cells(self) -> tuple[NDArray[np.int64], Array]:
        """Return the four cells of the tables that every pixel is counted in, and its share of each, (4, N)."""
        tile = np.repeat(np.arange(len(self._begin) - 1), np.diff(self._begin))
        size, y, x = int(np.prod(self._depth)), self._down, self._across
        corners = [(down, right) for down in (0, 1) for right in (0, 1)]
        cells = [(tile + down * self._corners[1] + right) * size + self._colour for down, right in corners]
        shares = [(y if down else 1 - y) * (x if right else 1 - x) for down, right in corners]
        return np.stack(cells), np.stack(shares)

    def _of(self, plane: Array) -> Array:
        """Return a plane's values at the pixels that are looked at."""
        values: Array = plane.reshape(-1)[self._place]
        return values

    def _spread(self, values: Array, other: float = 0.5) -> Array:
        """Return a plane of the pixels' values; elsewhere it is `other`."""
        plane = np.full(self._among.shape, other, np.float32)
        plane.reshape(-1)[self._place] = values
        return plane

    def _around(self, plane: Array) -> Array:
        return wide_blur(plane, AROUND * self._unit)

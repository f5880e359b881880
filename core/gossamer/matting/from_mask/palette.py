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
        rows, columns = (a.astype(np.float32) for a in np.nonzero(self._among))
        self._near, self._inside = near[self._among], distance[self._among] > 0
        self._sure: Array = (self._near < FAR).astype(np.float32)
        if heard is not None:
            self._sure *= heard[self._among]
        self._trust: Array = self._sure * np.minimum(self._near / TRUST, 1) ** 2
        self._locate(image[self._among], rows, columns)
        edge = cv2.morphologyEx((distance > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        # Length of edge per area; the gradient is two pixels wide.
        self._edge = self._around(np.asarray(edge, np.float32)) / 2 + np.float32(1e-3)
        cells = ((rows // (CELL * unit)) + (columns // (CELL * unit))).astype(np.int32) % 2
        self.gate = self._judge(cells)

    def _locate(self, colours: Array, rows: Array, columns: Array) -> None:
        """Find the four cells of the tables that every pixel is counted in, and its share of each."""
        colours = colours - colours.mean(axis=0)
        axes = np.linalg.eigh(colours.T @ colours)[1][:, ::-1].astype(np.float32)
        turned = colours @ axes
        code = ((turned - turned.min(axis=0)) / np.float32(STEP)).astype(np.int32)
        depth = tuple(int(n) + 1 for n in code.max(axis=0))
        colour = (code[:, 0] * depth[1] + code[:, 1]) * depth[2] + code[:, 2]
        y, x = rows / np.float32(TILE * self._unit), columns / np.float32(TILE * self._unit)
        top, left = y.astype(np.int32), x.astype(np.int32)
        y -= top
        x -= left
        shape = self._among.shape
        tiles = tuple(int((n - 1) / (TILE * self._unit)) + 2 for n in shape)
        self._shape = tiles + depth
        corners = [(down, right) for down in (0, 1) for right in (0, 1)]
        size = int(np.prod(depth))
        self._cells: NDArray[np.int32] = np.stack(
            [((top + down) * tiles[1] + left + right) * size + colour for down, right in corners], axis=1
        )
        self._shares: Array = np.stack(
            [(y if down else 1 - y) * (x if right else 1 - x) for down, right in corners], axis=1
        )

    def _judge(self, cells: NDArray[np.int32]) -> Array:
        """Let the two halves of a checkerboard foretell each other's side of the mask (cross-validation)."""
        vote = np.full(len(cells), 0.5, np.float32)
        worth = self._trust * (self._near > NEAR)
        for which in (0, 1):
            judges, judged = (np.flatnonzero(half).astype(np.int32) for half in (cells == which, cells != which))
            vote[judged] = self._share(worth, self._inside, UNJUDGED, judges, judged)
        plane, inside, near = self._spread(vote), self._distance > 0, np.abs(self._distance)
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
        known = 2 * alpha[self._among] - 1
        worth = np.where(np.abs(known) > 0.8, known**2, 0) * self._sure
        return self._spread(self._share(worth, known > 0, UNHEARD))

    def look_alikes(self, alpha: Array) -> tuple[Array, Array]:
        """Return the mean alpha of what looks nearly the same, and how far it agrees: (H, W) in [0, 1].

        Parameters
        ----------
        alpha : (H, W) float32 ndarray
            What is known so far.
        """
        value, here = alpha[self._among], (self._near < FAR).astype(np.float32)
        count = self._ask(self._table(here, TIGHT))
        least = np.maximum(count, np.float32(1e-3))
        mean = self._ask(self._table(here * value, TIGHT)) / least
        spread = self._ask(self._table(here * value**2, TIGHT)) / least - mean**2
        agreement = np.zeros(self._among.shape, np.float32)
        agreement[self._among] = np.minimum(count / MANY, 1) * np.exp(np.maximum(spread, 0) / -DISCORD)
        return self._spread(np.clip(mean, 0, 1)), agreement

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
        self,
        worth: Array,
        side: NDArray[np.bool_],
        doubt: float,
        voters: NDArray[np.int32] | None = None,
        asked: NDArray[np.int32] | None = None,
    ) -> Array:
        """Return the share of foreground that `voters` give to `asked`."""
        ayes, noes = (
            self._ask(self._table((worth * part).astype(np.float32), WIDE, voters), asked) for part in (side, ~side)
        )
        result: Array = (ayes + np.float32(doubt)) / (ayes + noes + np.float32(2 * doubt))
        return result

    def _table(self, worth: Array, spread: tuple[float, float], which: NDArray[np.int32] | None = None) -> Array:
        """Count `worth` by place and colour, and let neighbouring cells have a part of it."""
        tiles, depth = int(np.prod(self._shape[:2])), self._shape[2:]
        compiled = function("tally", *4 * (PLACE,), *5 * (COUNT,), NUMBER, NUMBER, PLACE, PLACE)
        if compiled is not None:
            table = np.zeros(tiles * int(np.prod(depth)), np.float32)
            count = len(self._cells) if which is None else len(which)
            room = np.empty(2 * depth[1] * depth[2] + 2, np.float32)
            compiled(self._cells, self._shares, worth, which, count, tiles, *depth, *spread, room, table)
            return table
        cells, shares = self._located(which)
        counts = shares * (worth if which is None else worth[which])[:, None]
        total = np.bincount(cells.reshape(-1), counts.reshape(-1), tiles * int(np.prod(depth)))
        table = total.astype(np.float32).reshape(self._shape)
        aside, kept = (np.float32(share) for share in spread)
        for axis in (2, 3, 4):  # the tiles overlap already
            other, part = table * kept, table * aside
            first, last = [slice(None)] * 5, [slice(None)] * 5
            first[axis], last[axis] = slice(None, -1), slice(1, None)
            other[tuple(last)] += part[tuple(first)]
            other[tuple(first)] += part[tuple(last)]
            table = other
        return table.reshape(-1)

    def _ask(self, table: Array, which: NDArray[np.int32] | None = None) -> Array:
        compiled = function("look_up", *4 * (PLACE,), COUNT, PLACE)
        if compiled is not None:
            out = np.empty(len(self._cells) if which is None else len(which), np.float32)
            compiled(self._cells, self._shares, table, which, len(out), out)
            return out
        cells, shares = self._located(which)
        result: Array = np.einsum("ij,ij->i", table[cells], shares)
        return result

    def _located(self, which: NDArray[np.int32] | None) -> tuple[NDArray[np.int32], Array]:
        return (self._cells, self._shares) if which is None else (self._cells[which], self._shares[which])

    def _spread(self, values: Array) -> Array:
        plane = np.full(self._among.shape, 0.5, np.float32)
        plane[self._among] = values
        return plane

    def _around(self, plane: Array) -> Array:
        return wide_blur(plane, AROUND * self._unit)

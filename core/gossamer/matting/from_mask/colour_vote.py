"""What the colours say about each pixel near a mask's edge, and how far they can be believed.

The pixels on either side of the edge vote by colour for the pixels that look like them. Votes are kept at half the
working resolution: they answer "which side", not "how much". Every pixel's voters are found once; the vote is taken
again whenever the voters' own sides become better known.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gossamer.arrays import Array
from gossamer.matting.closed_form.layout import Team
from gossamer.matting.from_mask.nearest import Nearest
from gossamer.native import COUNT, NUMBER, PLACE, function
from gossamer.resampling import bilinear

__all__ = ["ColourVote", "shrink", "wide_blur"]

# Lengths are in pixels of a picture of 0.48 megapixels (800 x 600) and scaled with the picture.
BAND = 40.0  # how far from the edge pixels are decided at all
NEAR, FAR = 4.0, 30.0  # between these distances the mask itself is trusted enough to judge the colours by
TRUST = 6.0  # a voter counts fully from this far inside its own side
CELL = 24.0  # judges and judged lie in different cells of this checkerboard
COARSE = 4.0  # wide blurs are made of pixels of which sigma has so many
AROUND = 25.0  # sigma of the neighbourhood over which the judgement is averaged
VOTERS = 40
AWAY = 0.0002  # how much a pixel of distance counts beside colours in [0, 1]
KERNEL = 0.04  # sigma of the colour kernel
THIN = 5  # every fifth pixel may vote
GUESSED, ACCEPTED = 0.35, 0.10  # error of the judged votes at which colours are not believed, and fully
CALM = 0.2  # share of a neighbourhood that must be judged before it outweighs the whole picture's judgement
ALIKE = 4  # power of the weights: look-alikes have half the vote's sigma
DISCORD = 0.02  # variance of their alpha at which look-alikes have lost most of their weight
NARROW, WIDE, BLIND = 1.5, 12.0, 2.5  # limits of the mask's error in pixels, and what it is where colours cannot tell
SURROUNDINGS = 28.0  # where votes differ this far from the edge, beyond hair and any mask's error, they are wrong


def shrink(plane: Array, size: tuple[int, int]) -> Array:
    """Average a picture or mask down to (width, height); OpenCV's sums may exceed 1 by a rounding, this does not."""
    import cv2

    result: Array = np.clip(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), 0, 1)
    return result


def wide_blur(plane: Array, sigma: float) -> Array:
    """Blur a plane with a Gaussian much wider than a pixel: what it leaves has room in far fewer pixels."""
    import cv2

    height, width = plane.shape
    step = int(min(max(sigma // COARSE, 1), height, width))
    if step == 1:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)
    small = cv2.resize(plane, (-(-width // step), -(-height // step)), interpolation=cv2.INTER_AREA)
    # Averaging and interpolating blur by themselves, by a variance of 1/12 and of 1/6 of the step's square.
    blurred = np.asarray(cv2.GaussianBlur(small, (0, 0), float(np.sqrt((sigma / step) ** 2 - 0.25))), np.float32)
    return bilinear(blurred, height, width)


class ColourVote:
    """The colour vote around the edge of a mask.

    Parameters
    ----------
    image : (H, W, 3) float32 ndarray
        RGB in [0, 1].
    distance : (H, W) float32 ndarray
        Signed distance to the mask's edge in pixels, positive inside.
    scale : float
        Length of the unit that this module's constants are in, in pixels.
    team : Team
        The threads to work with.

    Attributes
    ----------
    step : int
        2, or 1 where the picture is too small to be halved.
    image, distance : float32 ndarray
        At half size; the distance in units.
    gate : (h, w) float32 ndarray
        At half size: 0 where colours do not tell inside from outside here, 1 where they do.
    """

    def __init__(self, image: Array, distance: Array, scale: float, team: Team) -> None:
        import cv2

        height, width = distance.shape
        self.step = 2 if min(height, width) >= 64 else 1
        size = (max(width // self.step, 1), max(height // self.step, 1))
        small = shrink(image, size) if self.step > 1 else image
        self.image = small
        self._unit = np.float32(scale / self.step)  # pixels of the half-size planes
        self.distance = cv2.resize(distance, size, interpolation=cv2.INTER_AREA) / np.float32(scale)
        near = np.abs(self.distance)
        ys, xs = np.indices(near.shape, dtype=np.float32) / self._unit
        self._asked = near < BAND
        # A lattice that hits every row and column alike: deterministic, and no two voters side by side.
        rows, columns = np.ogrid[: near.shape[0], : near.shape[1]]
        self._voters = (near < FAR) & ((columns + 2 * rows) % THIN == 0)
        if not self._voters.any():
            self._voters = self._asked
        features = np.dstack([small, np.float32(AWAY) * xs, np.float32(AWAY) * ys])
        samples, queries = features[self._voters], features[self._asked]
        count = min(VOTERS, len(samples))
        tree = Nearest(samples)
        self._index = np.empty((len(queries), count), np.int32)
        self._weight = np.empty((len(queries), count), np.float32)

        def find(start: int, stop: int) -> None:
            weight = self._weight[start:stop]
            tree.find(queries, start, stop, self._index, self._weight)
            np.multiply(weight, np.float32(-0.5 / KERNEL**2), out=weight)
            np.exp(weight, out=weight)
            np.add(weight, np.float32(1e-6), out=weight)

        cuts = np.linspace(0, len(queries), max(len(queries) // 2000, 1) + 1).astype(int)
        self._tasks = [(int(a), int(b)) for a, b in pairwise(cuts)]
        self._team = team
        team.run(find, self._tasks)
        edge = cv2.morphologyEx((self.distance > 0).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        # Length of edge per area; the gradient is two pixels wide.
        self._edge = self._around(edge.astype(np.float32)) / 2 + np.float32(1e-3)
        cells = ((ys // CELL).astype(np.uint8) + (xs // CELL).astype(np.uint8)) % np.uint8(2)
        self.gate = self._judge(cells)

    def _judge(self, cells: NDArray[np.uint8]) -> Array:
        """Let the two halves of a checkerboard foretell each other's side of the mask (cross-validation)."""
        inside, near = self.distance > 0, np.abs(self.distance)
        voter = self.distance[self._voters]
        worth = np.minimum(np.abs(voter) / TRUST, 1) ** 2 * (np.abs(voter) > NEAR)
        vote = self._spread(self._count(worth, voter > 0, 1e-6, (cells[self._asked], cells[self._voters])))
        error = np.abs(vote - inside)
        judged = self._asked & (near > NEAR) & (near < FAR)
        worst = np.zeros_like(vote)
        # Each side for itself: a thin subject in the background's colours must not be outvoted by the background.
        for side in (judged & inside, judged & ~inside):
            share = side.astype(np.float32)
            overall = float(error[side].mean()) if side.any() else GUESSED
            local = self._around(error * share) + np.float32(CALM * overall)
            np.maximum(worst, local / (self._around(share) + np.float32(CALM)), out=worst)
        gate: Array = np.clip((GUESSED - worst) / np.float32(GUESSED - ACCEPTED), 0, 1)
        return gate

    def vote(self, alpha: Array | None = None) -> Array:
        """Return the share of foreground among the pixels that look alike, (h, w) at half size.

        Parameters
        ----------
        alpha : (H, W) float32 ndarray, optional
            What is known of the voters so far; the mask itself if None.
        """
        if alpha is None:
            voter = self.distance[self._voters]
            side, worth = voter > 0, np.minimum(np.abs(voter) / TRUST, 1) ** 2
        else:
            small = shrink(alpha, self.gate.shape[::-1])[self._voters]
            side, worth = small > 0.5, np.where(np.abs(2 * small - 1) > 0.8, (2 * small - 1) ** 2, 0)
        return self._spread(self._count(worth, side, 1e-4))

    def look_alikes(self, alpha: Array) -> tuple[Array, Array]:
        """Return the mean alpha of the voters that look nearly the same, and how far they agree; at half size.

        Parameters
        ----------
        alpha : (H, W) float32 ndarray
            What is known so far.

        Returns
        -------
        mean, agreement : (h, w) float32 ndarray
            Both in [0, 1].
        """
        value = shrink(alpha, self.gate.shape[::-1])[self._voters]
        mean, spread, total = (np.empty(len(self._index), np.float32) for _ in range(3))
        compiled = function("look_alikes", PLACE, PLACE, COUNT, PLACE, COUNT, COUNT, *3 * (PLACE,))

        def look(start: int, stop: int) -> None:
            if compiled is not None:
                compiled(self._index, self._weight, count, value, start, stop, mean, spread, total)
                return
            weight, values = self._weight[start:stop] ** ALIKE, value[self._index[start:stop]]
            total[start:stop] = weight.sum(axis=1)
            mean[start:stop] = np.einsum("ij,ij->i", weight, values) / total[start:stop]
            off = (values - mean[start:stop, None]) ** 2
            spread[start:stop] = np.einsum("ij,ij->i", weight, off) / total[start:stop]

        count = self._index.shape[1]
        self._team.run(look, self._tasks)
        agreement = np.zeros(self.gate.shape, np.float32)
        agreement[self._asked] = total / count * np.exp(-spread / DISCORD)
        return self._spread(mean), agreement

    def mask_error(self, vote: Array) -> Array:
        """Return how far the mask's edge is from the vote's, in units, (h, w) at half size.

        The area in which mask and vote differ, divided by the length of the edge that runs through it. Where both sides
        share a colour the vote is wrong far from the edge too; that much of the difference is not the mask's.
        """
        differs = np.where(self._asked, np.abs(vote - (self.distance > 0)), 0).astype(np.float32)
        near = np.abs(self.distance) <= SURROUNDINGS
        far = (self._asked & ~near).astype(np.float32)
        usual = float(differs[far > 0].mean()) if far.any() else 0.0
        base = (self._around(differs * far) + np.float32(CALM * usual)) / (self._around(far) + np.float32(CALM))
        excess = self._around(np.where(self._asked & near, differs - base, 0).astype(np.float32))
        error = np.clip(excess / self._edge / self._unit, NARROW, WIDE)
        result: Array = self.gate * error + (1 - self.gate) * np.float32(BLIND)
        return result

    def _count(
        self,
        worth: NDArray[np.floating],
        side: NDArray[np.bool_],
        doubt: float,
        cells: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
    ) -> Array:
        """Return the weighted share of foreground voters; one half where nobody votes.

        With the cells of the pixels asked and of the voters, only voters of another cell count.
        """
        value = worth.astype(np.float32)
        ayes = value * side
        result = np.empty(len(self._index), np.float32)
        compiled = function("vote", PLACE, PLACE, COUNT, *4 * (PLACE,), NUMBER, COUNT, COUNT, PLACE)
        own, theirs = cells or (None, None)

        def count(start: int, stop: int) -> None:
            if compiled is not None:
                voters = self._index, self._weight, self._index.shape[1]
                compiled(*voters, value, ayes, own, theirs, doubt, start, stop, result)
                return
            index, weight = self._index[start:stop], self._weight[start:stop]
            if own is not None and theirs is not None:
                weight = weight * (own[start:stop, None] != theirs[index])
            total, share = (np.einsum("ij,ij->i", weight, table[index]) for table in (value, ayes))
            result[start:stop] = (share + np.float32(doubt)) / (total + np.float32(2 * doubt))

        self._team.run(count, self._tasks)
        return result

    def _spread(self, values: Array) -> Array:
        plane = np.full(self._asked.shape, 0.5, np.float32)
        plane[self._asked] = values
        return plane

    def _around(self, plane: Array) -> Array:
        return wide_blur(plane, float(AROUND * self._unit))

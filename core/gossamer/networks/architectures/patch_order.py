"""Which order of the picture's patches a BiRefNet was trained with, told by its weights.

Its authors changed the order in November 2024. Files of both kinds have the same names and shapes, so a wrong order
loads and only makes the masks worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from gossamer.networks.architectures.birefnet import PatchOrder

__all__ = ["patch_order"]

_BLOCKS = tuple(f"decoder.ipt_blk{level}.conv1.weight" for level in (5, 4, 3, 2))

# The least contrast that counts, as a correlation. Small trainings ended at 0.03 (after 30 steps) to 0.15 (after 100)
# for their order, and below zero for the other one.
_CLEAR = 0.01
# ... and in standard errors, as small blocks of random weights have contrasts of their own: once in a billion.
_ERRORS = 6.0
# Evidence for both is evidence for neither.
_RATIO = 3.0


def patch_order(entries: Mapping[str, Tensor]) -> PatchOrder | None:
    """Return the order in which weights expect the picture's tiles.

    The three colours of one place are nearly equal in natural pictures. Training therefore moves the three weights
    that a filter has for them alike, and more alike than those of two colours of neighbouring places. In the order
    ``"rows"`` the colours of a tile are as many channels apart as there are tiles; in ``"columns"`` they are
    neighbours in a triple. For each order, the correlation of the weights of channels so far apart is compared with
    that of channels that would be neighbouring tiles: at one channel more and one less, or at the same distance but
    across the seam of two triples. Under the other order both are the same, whatever filters were learnt, smooth
    ones or such that mind colours, or the comparison falls below zero.

    Proved on small trainings only (up to 250 steps, 64 and 256 tiles, three tasks, either order), not on published
    weights.

    Parameters
    ----------
    entries : mapping of str to Tensor
        State dict of a BiRefNet; only ``decoder.ipt_blk{2..5}.conv1.weight``, (C, 3 * tiles, kh, kw), are read.

    Returns
    -------
    {"rows", "columns"} or None
        None where the evidence is not clear: below a correlation of 0.01, below six standard errors, or where the
        other order has a third as much. Random weights give None.
    """
    rows = columns = 0.0
    count = 0
    for name in _BLOCKS:
        if name not in entries:
            continue
        weights = entries[name].detach().float().flatten(2)
        tiles = weights.shape[1] // 3
        weights = weights - weights.mean(1, keepdim=True)
        power = float(weights.square().mean())
        if tiles < 2 or not power > 0:
            continue
        near = _products(weights, 1)
        within, across = (near[0::3].mean() + near[1::3].mean()) / 2, near[2::3].mean()
        same = _products(weights, tiles).mean()
        beside = (_products(weights, tiles - 1).mean() + _products(weights, tiles + 1).mean()) / 2
        # Every block counts as much as it has weights, which is as much as its contrast is exact.
        rows += weights.numel() * float(same - beside) / power
        columns += weights.numel() * float(within - across) / power
        count += weights.numel()
    if not count:
        return None
    rows, columns = rows / count, columns / count
    # Of the columns' contrast: two means, over two thirds and over one third of all pairs. The rows' is smaller.
    error = (4.5 / count) ** 0.5
    best, other = max(rows, columns), min(rows, columns)
    if best < max(_CLEAR, _ERRORS * error) or other > best / _RATIO:
        return None
    return "rows" if rows > columns else "columns"


def _products(weights: Tensor, distance: int) -> Tensor:
    """Return the mean products of the weights of channels `distance` apart, by the first channel."""
    return (weights[:, :-distance] * weights[:, distance:]).mean((0, 2))

"""Whether a cut-out is good, without knowing the truth: measures, flags with reasons, and one score.

What can be seen in alpha and colours alone is measured of every cut-out; with the photograph also whether the outline
follows it, whether its background is left in the edge, and what its colours would change; with the mask it was made of,
what was lost of that; with another opinion, whether both mean the same. What none of these shows, such as a well-cut
thing that nobody asked for, cannot be known.
"""

from __future__ import annotations

from gossamer.quality.checking import Check, CutoutSource, check
from gossamer.quality.flags import Flag
from gossamer.quality.measures import Measures

__all__ = ["Check", "CutoutSource", "Flag", "Measures", "check"]

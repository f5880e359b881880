"""What is said of frames, and which of it counts where a clip comes in chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from gossamer.errors import InputError
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.sam2_video import TrackState

__all__ = ["Followed", "TimedPrompt", "prompts_between"]


@dataclass(frozen=True, eq=False)
class TimedPrompt:
    """What is said of a frame.

    Attributes
    ----------
    at : Fraction
        Seconds of the clip: the frame that is shown then.
    prompt : Prompt
        Boxes, points, a mask, scribbles, or words, which a model of pictures looks for in that frame.
    """

    at: Fraction
    prompt: Prompt

    @property
    def sign(self) -> bytes:
        """What it hashes to: the same prompt at the same time is known by it."""
        one, state = self.prompt, hashlib.sha256()
        state.update(repr((self.at, one.text, one.boxes, one.points, one.not_points, one.unit)).encode())
        for plane in (one.mask, one.scribbles):
            state.update(b"" if plane is None else repr(plane.shape).encode() + plane.tobytes())
            state.update(b"|")
        return state.digest()


@dataclass(frozen=True, eq=False)
class Followed:
    """What is remembered of a clip's chunks in which prompts were followed: whoever goes on gives it back.

    Attributes
    ----------
    track : TrackState
        Of the network.
    count : int
        Frames so far.
    said : frozenset of bytes
        The signs of the prompts that were taken in.
    """

    track: TrackState
    count: int
    said: frozenset[bytes]


def prompts_between(
    prompts: Sequence[TimedPrompt], begin: Fraction, end: Fraction, before: Followed | None = None
) -> tuple[list[TimedPrompt], list[TimedPrompt]]:
    """Return those prompts that are for a chunk of a clip, and those that are for frames after it.

    Parameters
    ----------
    prompts : sequence of TimedPrompt
    begin, end : Fraction
        Times of the chunk's first frame, and of the first one after it, in seconds of the whole clip.
    before : Followed, optional
        What is remembered of the chunks before. What it has taken in is passed over.

    Raises
    ------
    InputError
        A prompt is for a frame before the chunk and was not taken in there; or the first one is for a frame after it,
        from where nothing can be followed back.
    """
    known = frozenset[bytes]() if before is None else before.said
    new = sorted((one for one in prompts if one.sign not in known), key=lambda one: one.at)
    span = f"{float(begin):g} s to {float(end):.4g} s"
    if new and new[0].at < begin:
        raise InputError(
            f"There is no frame at {float(new[0].at):g} s: what is cut out goes from {span}.",
            "Give a prompt with the chunk that holds its frame: subjects are followed from there on.",
        )
    now = [one for one in new if one.at < end]
    if before is None and new and not now:
        raise InputError(
            f"There is no frame at {float(new[0].at):g} s: what is cut out goes from {span}.",
            "Give a time of it. Of a clip in chunks the first prompt has to be for a frame of the first chunk.",
        )
    return now, new[len(now) :]

"""What the service refuses, each with its HTTP status, and what of an error a stranger is told."""

from __future__ import annotations

import logging
import re

from gossamer.errors import GossamerError, is_lack_of_memory
from gossamer.remedies import without_flags

__all__ = [
    "Busy",
    "Forbidden",
    "Late",
    "Malformed",
    "TooLarge",
    "TooSlow",
    "Unauthorised",
    "foreseen",
    "without_paths",
    "worded",
]


class Malformed(GossamerError):
    """A request that is not what its content type says."""

    http_status = 400


class Unauthorised(GossamerError):
    """No key, or one that is not in the file."""

    http_status = 401


class Forbidden(GossamerError):
    """What nobody may ask for over the network."""

    http_status = 403


class TooLarge(GossamerError):
    """More bytes than the service takes."""

    http_status = 413


class Busy(GossamerError):
    """The queue is full, or a key has had its share.

    Attributes
    ----------
    seconds : int
        When to come again.
    most : int
        How often a minute the key may come, where it is that which was used up; else 0.
    """

    http_status = 429

    def __init__(self, message: str, seconds: int, most: int = 0) -> None:
        super().__init__(message, f"Try again in {seconds} s.")
        self.seconds, self.most = seconds, most


class Late(GossamerError):
    """A request that did not arrive in time."""

    http_status = 408


class TooSlow(GossamerError):
    """The work took longer than the service allows."""

    http_status = 504


# Of two parts at least, after what is no part of a word: image/png is none.
_PATH = re.compile(r"(?<![\w.:/])(?:~|/|[A-Za-z]:[\\/])[^\s'\"(),;]*[\\/][^\s'\"(),;]*")
_ADDRESS = re.compile(r"/v1(?:\.0)?/[a-z]+")  # one's own, which remedies name
_LIMIT = re.compile(r",? or set GOSSAMER_MAX_PIXELS[^.]*")


def without_paths(sentence: str) -> str:
    """Return a sentence without the paths of this machine."""

    def hidden(found: re.Match[str]) -> str:
        path = found[0].rstrip(".")
        end = found[0][len(path) :]  # of the sentence
        return found[0] if _ADDRESS.fullmatch(path) else f"(a file of the service){end}"

    return _PATH.sub(hidden, sentence)


def worded(error: GossamerError) -> tuple[str, str]:
    """Return an error's message and remedy in words for somebody who has neither this machine nor flags."""
    remedy = _LIMIT.sub("", without_flags(error.remedy))
    return without_paths(error.message), without_paths(remedy)


def foreseen(error: Exception, id: str) -> GossamerError:
    """Return an error that a stranger may hear of: what nobody foresaw is told to the log alone.

    Parameters
    ----------
    error : Exception
    id : str
        The request's number, by which it is found there.
    """
    if isinstance(error, GossamerError):
        return error
    if is_lack_of_memory(error):
        short = GossamerError("There is not enough memory for this picture.", "Send a smaller one.")
        short.http_status = 507
        return short
    logging.getLogger("gossamer.service").error("request %s failed", id, exc_info=error)
    return GossamerError("The service has failed.", f"Tell whoever keeps it the number of this request: {id}.")

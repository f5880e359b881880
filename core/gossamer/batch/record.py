"""What became of one picture of a batch: a line of its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gossamer.errors import GossamerError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Failure", "Layer", "Record", "known", "shadow_name"]

State = Literal["done", "failed", "set-aside", "skipped"]

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True)
class Failure:
    """Why a picture has no output.

    Attributes
    ----------
    message, remedy : str
        One sentence each.
    kind : str
        The error's class, such as ``"InputError"``.
    exit_code : int
        What ``gossamer remove`` would have ended with.
    """

    message: str
    remedy: str = ""
    kind: str = "InputError"
    exit_code: int = 2

    @classmethod
    def of(cls, error: GossamerError) -> Failure:
        """Return what an error says."""
        return cls(error.message, error.remedy, type(error).__name__, error.exit_code)


@dataclass(frozen=True)
class Layer:
    """A second file of one picture: the photograph's shadow, to lie beneath the cut-out.

    Attributes
    ----------
    output : str
        Where it is, below OUT, with ``/``.
    bytes : int
    sha256 : str
    mtime, tag
        As a record's `output_mtime` and `output_tag`.
    """

    output: str
    bytes: int
    sha256: str
    mtime: int = 0
    tag: str = ""


@dataclass(frozen=True)
class Record:
    """What became of one picture.

    Attributes
    ----------
    source : str
        Its name below the folder that was given, with ``/`` between folders on every system.
    source_path : str
        Its absolute path, or its address in a store. Names that are no UTF-8 hold lone surrogates, as
        :func:`os.fsdecode` makes them.
    target : str or None
        Where its output belongs, below OUT, with ``/``: what tells the records of one picture from those of others.
        None for what was never meant to have one.
    output : str or None
        Where its output is, below OUT, with ``/``: the target, or a place in the folder of what was set aside. None
        without one.
    state : {"done", "failed", "set-aside", "skipped"}
        Skipped is what is no picture and was not asked for by name.
    error : Failure or None
        Of what failed or was skipped.
    warnings : list of str
        What ``gossamer remove`` would have warned of.
    score : float or None
        Of the checks, 0 to 100; None where they were not run.
    flags : list of dict
        Of the checks: ``{"name", "reason", "severity", "remedy"}``, severity ``"fault"`` or ``"note"``.
    measures : dict
        Of the checks, by name.
    model : str
        Id of the model that found the subject, or "".
    recipe : str
        Hash of recipe and choice of a model (and prompt) that were asked for: see ``gossamer.batch.identity``.
    recipe_used : dict or None
        Where a retry won: ``{"settings": {...}, "model": id, "tried": [{"what", "score", "flags"}, ...]}``.
    seconds : dict of str to float
        Of each stage.
    width, height : int
        Of the output, in pixels; 0 without one.
    bytes : int
        Of the output's file.
    sha256 : str
        Of the output's file, or "".
    output_mtime : int
        When the output was last changed, in nanoseconds: what need not be hashed again.
    source_bytes, source_mtime : int
        Of the source when it was read, the latter in nanoseconds.
    finished : str
        When, ISO 8601 in UTC.
    source_tag : str
        What a store called this state of the source (its ETag); "" for a file.
    output_tag : str
        What a store called the output (its ETag): what need not be read again; "" for a file.
    shadow : Layer or None
        The file beside the output that holds the photograph's shadow; None where there is none.
    """

    source: str
    source_path: str
    target: str | None
    output: str | None
    state: State
    error: Failure | None = None
    warnings: list[str] = field(default_factory=list)
    score: float | None = None
    flags: list[dict[str, Any]] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    recipe: str = ""
    recipe_used: dict[str, Any] | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    width: int = 0
    height: int = 0
    bytes: int = 0
    sha256: str = ""
    output_mtime: int = 0
    source_bytes: int = 0
    source_mtime: int = 0
    finished: str = ""
    source_tag: str = ""
    output_tag: str = ""
    shadow: Layer | None = None

    @property
    def key(self) -> str:
        """What records of the same picture have in common."""
        return self.target if self.target is not None else f"\0{self.source_path}"

    def files(self) -> list[Record]:
        """Return a record of each of its files by itself, the output first: what is asked about is one file."""
        shadow = self.shadow
        if shadow is None:
            return [] if self.output is None else [self]
        layer = replace(
            self,
            output=shadow.output,
            bytes=shadow.bytes,
            sha256=shadow.sha256,
            output_mtime=shadow.mtime,
            output_tag=shadow.tag,
            shadow=None,
        )
        return [replace(self, shadow=None), layer]

    def with_files(self, output: Record, shadow: Record | None) -> Record:
        """Return the record with what is known by now of its files, given by themselves as :meth:`files` has them."""
        layer = None
        if shadow is not None and shadow.output is not None:
            layer = Layer(shadow.output, shadow.bytes, shadow.sha256, shadow.output_mtime, shadow.output_tag)
        return replace(self, output_mtime=output.output_mtime, output_tag=output.output_tag, shadow=layer)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Record:
        """Return the record that a line holds; raises TypeError or ValueError where it is none."""
        made = known(cls, values)
        if made.state not in ("done", "failed", "set-aside", "skipped") or not isinstance(made.source, str):
            raise ValueError("no record")
        error: Any = made.error
        shadow: Any = made.shadow
        return replace(
            made,
            error=None if error is None else Failure(**error),
            shadow=None if shadow is None else known(Layer, shadow),
        )


def shadow_name(output: str) -> str:
    """Return the name of the layer that lies beside an output and holds the photograph's shadow."""
    path = PurePosixPath(output)
    return path.with_name(f"{path.stem}-shadow{path.suffix}").as_posix()


def known(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a dataclass of what is known of values: a later version may have written more."""
    names = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in values.items() if name in names})

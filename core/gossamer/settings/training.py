"""How a network is trained on one's own pictures, and what its authors trained it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from gossamer.settings.base import Settings, validated

__all__ = ["LOSSES", "TEACHINGS", "LossName", "LossWeights", "Teaching", "Training", "teaching_of"]

LossName: TypeAlias = Literal[
    "auto", "u2net", "isnet", "birefnet_dis", "birefnet_general", "birefnet_matting", "toonout", "thin", "rvm"
]
ScheduleName: TypeAlias = Literal["auto", "constant", "cosine", "halved"]


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What each term of a loss counts; what it is changed by in each of the last epochs.

    Attributes
    ----------
    bce, iou, ssim, mae, mse : float
        Of every map that a network gives; see :mod:`gossamer.training.terms`.
    gradient : float
        Of the gradient maps, where a network gives them.
    matting : float
        Of Robust Video Matting's terms, where a network gives colours and alpha of frames.
    tail : int
        How many epochs at the end are the last.
    tail_factors : mapping of str to float
        What a term is multiplied by in each of them, over and over.
    reference : str
        The code that it is from.
    """

    bce: float = 0.0
    iou: float = 0.0
    ssim: float = 0.0
    mae: float = 0.0
    mse: float = 0.0
    gradient: float = 0.0
    matting: float = 0.0
    tail: int = 0
    tail_factors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reference: str = ""


_BIREFNET = "https://github.com/ZhengPeng7/BiRefNet (config.py, loss.py, train.py)"
_TAIL = MappingProxyType({"bce": 0.0, "iou": 0.5, "mae": 0.9})

LOSSES: Mapping[str, LossWeights] = MappingProxyType(
    {
        "u2net": LossWeights(bce=1, reference="https://github.com/xuebinqin/U-2-Net (u2net_train.py)"),
        "isnet": LossWeights(bce=1, reference="https://github.com/xuebinqin/DIS (IS-Net/models/isnet.py)"),
        "birefnet_dis": LossWeights(
            bce=30, iou=0.5, ssim=10, gradient=1, tail=40, tail_factors=_TAIL, reference=_BIREFNET
        ),
        "birefnet_general": LossWeights(
            bce=30, iou=0.5, ssim=10, mae=100, gradient=1, tail=20, tail_factors=_TAIL, reference=_BIREFNET
        ),
        # No IoU: of a matte it is not 1 even where prediction and truth are the same.
        "birefnet_matting": LossWeights(
            bce=30,
            ssim=10,
            mae=100,
            gradient=1,
            tail=10,
            tail_factors=MappingProxyType({"mse": 0.9, "ssim": 0.9}),
            reference=_BIREFNET,
        ),
        "toonout": LossWeights(
            iou=0.25, ssim=10, mae=90, gradient=1, reference="https://github.com/MatteoKartoon/BiRefNet"
        ),
        # BCE alone hardly notices a wire: IoU counts what is found of the little that there is.
        "thin": LossWeights(bce=1, iou=0.25, ssim=0.5, gradient=1, reference="BASNet's three terms, Qin 2019"),
        "rvm": LossWeights(matting=1, reference="https://github.com/PeterL1n/RobustVideoMatting (train_loss.py)"),
    }
)
"""Losses by name; ``rvm`` is for clips, all others for pictures."""


@dataclass(frozen=True, kw_only=True)
class Teaching:
    """What the authors of a network trained it by.

    Attributes
    ----------
    loss : str
        A key of :data:`LOSSES`.
    optimiser : {"adam", "adamw"}
    rate : float
        Their learning rate, at their batch.
    batch : int
    decay : float
        Weight decay.
    rate_by_batch : bool
        Whether the rate grows with the square root of the batch.
    encoder : tuple of str
        How the names of the encoder's weights begin.
    sides : tuple of str
        The same of what only training uses.
    stays : tuple of str
        The same of what never learns here.
    """

    loss: str
    optimiser: Literal["adam", "adamw"]
    rate: float
    batch: int
    decay: float = 0.0
    rate_by_batch: bool = False
    encoder: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()


_NESTED_ENCODER = ("conv_in.", *(f"stage{level}." for level in range(1, 7)))

TEACHINGS: Mapping[str, Teaching] = MappingProxyType(
    {
        "u2net": Teaching(loss="u2net", optimiser="adam", rate=1e-3, batch=12, encoder=_NESTED_ENCODER),
        "isnet": Teaching(
            loss="isnet",
            optimiser="adam",
            rate=1e-3,
            batch=8,
            encoder=_NESTED_ENCODER,
            sides=tuple(f"side{level}." for level in range(2, 7)),
        ),
        "birefnet": Teaching(
            loss="birefnet_general",
            optimiser="adamw",
            rate=1e-5,
            batch=4,
            decay=0.01,
            rate_by_batch=True,
            encoder=("bb.",),
            sides=("decoder.conv_ms_spvn_", "decoder.gdt_convs_pred_"),
        ),
        # Its authors' four stages have rates from 1e-5 to 2e-4; the filter that enlarges learns only from large frames,
        # which no step here has.
        "rvm": Teaching(loss="rvm", optimiser="adam", rate=1e-4, batch=4, encoder=("backbone.",), stays=("refiner.",)),
    }
)
"""What authors trained by, by the module that their networks are of."""


def teaching_of(network: str) -> Teaching:
    """Return what the authors of a network trained it by; raises KeyError where none is known.

    Parameters
    ----------
    network : str
        Such as ``"birefnet_swin_t"``.
    """
    return next(teaching for name, teaching in TEACHINGS.items() if network.startswith(name))


class Training(Settings, strict=True):
    """How a network is trained on one's own pictures."""

    steps: Annotated[
        int, Field(ge=1, le=1_000_000, title="Steps", description="How many batches the network learns from.")
    ] = 600
    batch: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            title="Batch",
            description="Pictures a step, over all processes; where memory does not hold them they are taken in parts.",
        ),
    ] = 8
    parts: Annotated[
        int,
        Field(
            ge=1,
            le=1024,
            title="Parts",
            description="In how many parts a batch is taken, one after the other, with the gradients summed up.",
        ),
    ] = 1
    rate: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            title="Rate",
            description="The learning rate; 0: 1e-4 for U²-Net, 5e-5 for IS-Net, for BiRefNet its authors' 1e-5.",
        ),
    ] = 0.0
    schedule: Annotated[
        ScheduleName,
        Field(
            title="Schedule",
            description="How the rate goes on after the warm-up. constant: as it is; cosine: down to a hundredth; "
            "halved: after each fifth of the steps, as ToonOut's; auto: cosine.",
        ),
    ] = "auto"
    warmup: Annotated[
        int, Field(ge=0, le=100_000, title="Warmup", description="Steps in which the rate rises from nothing.")
    ] = 20
    loss: Annotated[
        LossName,
        Field(
            title="Loss",
            description="What is learnt by: the loss of a network's authors by name; thin: BCE with IoU and structure, "
            "for thin things; auto: that of the network's authors.",
        ),
    ] = "auto"
    tail: Annotated[
        bool,
        Field(
            title="Tail",
            description="In the last epochs change the terms' weights as the authors do (BCE off, IoU halved), but in "
            "no more than a fifth of all.",
        ),
    ] = True
    optimiser: Annotated[
        Literal["auto", "adam", "adamw"],
        Field(title="Optimiser", description="auto: that of the network's authors."),
    ] = "auto"
    decay: Annotated[
        float,
        Field(ge=-1.0, le=1.0, title="Decay", description="Weight decay; -1: that of the network's authors."),
    ] = -1.0
    clip: Annotated[
        float,
        Field(
            ge=0.0,
            le=1e6,
            title="Clip",
            description="Gradients whose norm is above it are shortened to it; 0: none is.",
        ),
    ] = 100.0
    freeze: Annotated[
        Literal["nothing", "encoder", "decoder", "kernels"],
        Field(
            title="Freeze",
            description="Which part of the network stays as it is. kernels: all of its convolutions and matrices; only "
            "how much each channel counts, and from where on, is learnt, so that less is forgotten.",
        ),
    ] = "nothing"
    normalisation: Annotated[
        Literal["frozen", "trained"],
        Field(
            title="Normalisation",
            description="frozen: batch normalisation keeps its means, which batches of some pictures tell worse than "
            "the network's authors; trained: it follows the batches.",
        ),
    ] = "frozen"
    lora: Annotated[
        int,
        Field(
            ge=0,
            le=256,
            title="Lora",
            description="The rank of what is added to each matrix of a transformer's encoder, which itself stays; 0: "
            "the encoder is trained whole.",
        ),
    ] = 0
    average: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.99999,
            title="Average",
            description="How much of the average of all weights so far stays in each step: that average is what is "
            "validated and kept; 0: the weights themselves.",
        ),
    ] = 0.99
    general: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.9,
            title="General",
            description="Which share of each batch is of the general data, where such is given: it is what the network "
            "forgets less by.",
        ),
    ] = 0.5
    side: Annotated[
        int,
        Field(
            ge=0,
            le=8192,
            title="Side",
            description="Width and height at which the network sees pictures in training; 0: its own.",
            json_schema_extra={"unit": "px"},
        ),
    ] = 0
    length: Annotated[
        int,
        Field(
            ge=0,
            le=200,
            title="Length",
            description="Of clips: how many frames that follow each other a step learns from; 0: its authors' 15 on a "
            "graphics card, 6 on a processor.",
            json_schema_extra={"unit": "frames"},
        ),
    ] = 0
    tiles: Annotated[
        float,
        Field(
            ge=0.0,
            le=1.0,
            title="Tiles",
            description="Which share of the pictures is shown as a part of the network's own size, cut from the full "
            "picture; the others are shown whole.",
        ),
    ] = 0.0
    flip: Annotated[
        float, Field(ge=0.0, le=1.0, title="Flip", description="Which share of the pictures is mirrored.")
    ] = 0.5
    rotation: Annotated[
        float,
        Field(
            ge=0.0,
            le=180.0,
            title="Rotation",
            description="Up to how far a fifth of the pictures is turned.",
            json_schema_extra={"unit": "°"},
        ),
    ] = 15.0
    light: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.9,
            title="Light",
            description="Up to how much brightness and contrast are changed, each in half of the pictures: 0.5 is 0.5 "
            "to 1.5 times.",
        ),
    ] = 0.5
    pepper: Annotated[
        float, Field(ge=0.0, le=0.1, title="Pepper", description="Which share of the pixels becomes noise.")
    ] = 0.0015
    crop: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.9,
            title="Crop",
            description="Up to how much of width and height is cut off. U²-Net's authors cut a tenth.",
        ),
    ] = 0.2
    precision: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        Field(
            title="Precision",
            description="What is computed in; weights stay float32. auto: bfloat16 on a graphics card that has it, "
            "else float32.",
        ),
    ] = "auto"
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(title="Device", description="Where the network is trained.")
    ] = "auto"
    recompute: Annotated[
        bool,
        Field(
            title="Recompute",
            description="Keep less of each forward run and compute it again for the gradients: a third slower, in a "
            "fraction of the memory.",
        ),
    ] = False
    validate_every: Annotated[
        int,
        Field(ge=1, le=100_000, title="Validate every", description="Steps between two validations."),
    ] = 50
    patience: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            title="Patience",
            description="After so many validations without gain training stops; 0: never.",
        ),
    ] = 20
    worst: Annotated[
        int, Field(ge=0, le=64, title="Worst", description="How many of the worst masks each validation draws.")
    ] = 8
    readers: Annotated[
        int, Field(ge=1, le=64, title="Readers", description="Threads that read and change pictures.")
    ] = 2
    seed: Annotated[
        int,
        Field(
            ge=0, le=2**31 - 1, title="Seed", description="The same seed gives the same network on the same machine."
        ),
    ] = 0
    interpolate: Annotated[
        bool,
        Field(
            title="Interpolate",
            description="Where general data are validated, look for the weights to keep on the way from the base's to "
            "the trained ones: those that are best in the domain and have lost no more than 1 % in general.",
        ),
    ] = True
    general_truth: Annotated[
        Literal["masks", "base"],
        Field(
            title="General truth",
            description="What is learnt of the general data. base: what the base finds in them, side outputs included, "
            "so that the network stays as it is there; masks: their own masks, and of photographs without what the "
            "base finds.",
        ),
    ] = "base"

    general_crop: Annotated[
        float,
        Field(
            ge=0.0,
            le=0.9,
            title="General crop",
            description="Up to how much of width and height is cut off general pictures that are held to the base. "
            "Of a few photographs larger parts may be: the base finds something in any part. Of hundreds, those shown "
            "nearly whole keep more.",
        ),
    ] = 0.2
    keep: Annotated[
        float,
        Field(
            ge=0.0,
            le=1000.0,
            title="Keep",
            description="How much a change of what the network finds in the general pictures that are held to the base "
            "counts against what is learnt.",
        ),
    ] = 10.0

    @classmethod
    def of(cls, base: Training | None = None, **settings: Any) -> Training:
        """Return settings, changed in some; raises InputError where one is unknown or impossible."""
        return validated(
            cls,
            {**(base or cls()).model_dump(), **settings},
            "the settings of a training",
            "See gossamer.settings.training.Training.",
        )

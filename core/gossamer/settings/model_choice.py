"""Which model finds the subject, and where and how it runs."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, ValidationInfo, field_validator

from gossamer.arguments import paths_of
from gossamer.settings.base import Settings, validated

__all__ = [
    "COMBINATIONS",
    "DEVICES",
    "PRECISIONS",
    "QUALITIES",
    "RUNTIMES",
    "SUBJECTS",
    "Combination",
    "Device",
    "ModelChoice",
    "Precision",
    "Quality",
    "RuntimeChoice",
    "Subject",
]

Quality: TypeAlias = Literal["fast", "balanced", "best"]
Subject: TypeAlias = Literal["any", "portrait", "hair", "anime", "camouflaged"]
Device: TypeAlias = Literal[
    "auto", "cpu", "cuda", "mps", "xpu", "directml", "tensorrt", "coreml", "openvino:GPU", "openvino:NPU"
]
RuntimeChoice: TypeAlias = Literal["auto", "onnx", "torch", "openvino"]
Precision: TypeAlias = Literal["auto", "float32", "float16", "bfloat16", "int8"]
Combination: TypeAlias = Literal["mean", "max", "vote"]

QUALITIES: tuple[Quality, ...] = get_args(Quality)
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
DEVICES: tuple[Device, ...] = get_args(Device)
RUNTIMES: tuple[RuntimeChoice, ...] = get_args(RuntimeChoice)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)


class ModelChoice(Settings, strict=True):
    """Which model finds the subject, and where and how it runs."""

    model: Annotated[
        str,
        Field(
            title="Model",
            description="An id of the catalogue, auto (what quality and subject choose, of what may be used "
            "commercially), a file of weights (.onnx, .safetensors, .pth), several of these with commas, or none "
            "(with the matting key, which needs no weights).",
            json_schema_extra={"remedy": "Give an id of the catalogue, auto, or the path of a file of weights."},
        ),
    ] = "auto"
    quality: Annotated[
        Quality,
        Field(
            title="Quality",
            description="For the model auto: how much one picture may cost on this device. best also turns on detail "
            "(see segmentation.detail), for any model.",
        ),
    ] = "balanced"
    subject: Annotated[
        Subject,
        Field(title="Subject", description="For the model auto: what the pictures show, where a model is made for it."),
    ] = "any"
    device: Annotated[
        Device,
        Field(
            title="Device",
            description="Where the model runs. auto: a graphics card where the runtime has one, else the processor.",
        ),
    ] = "auto"
    runtime: Annotated[
        RuntimeChoice,
        Field(
            title="Runtime",
            description="What runs the model. auto: what its file is made for, or what ran it faster on this machine.",
        ),
    ] = "auto"
    precision: Annotated[
        Precision,
        Field(
            title="Precision",
            description="auto: float16 on CUDA where the model's authors use it in torch, bfloat16 on processors that "
            "have it for models whose masks stay the same to 0.05/255, else float32. ONNX Runtime runs models in what "
            "they are stored in; bfloat16 needs torch or OpenVINO; int8 what gossamer models quantise has made.",
        ),
    ] = "auto"
    compile: Annotated[
        bool,
        Field(title="Compile", description="Compile a torch model: a slow start, then faster."),
    ] = False
    combine: Annotated[
        Combination,
        Field(
            title="Combine",
            description="How masks of several models become one: their mean, the largest, or the mean of the majority.",
            json_schema_extra={"noun": "combination"},
        ),
    ] = "mean"
    accept_licence: Annotated[
        bool,
        Field(
            title="Accept licence",
            description="Accept, once and for all, the licence of a model that does not allow commercial use.",
        ),
    ] = False
    architecture: Annotated[
        str,
        Field(
            title="Architecture",
            description="Only for a file of your own: what it is, e.g. isnet, or the id of a model that is fed alike. "
            "auto: its keys and shapes tell.",
        ),
    ] = "auto"
    folders: Annotated[
        tuple[str, ...],
        Field(
            title="Folders",
            description="Where weights are looked for besides the usual folders, before anything is fetched.",
        ),
    ] = ()

    @field_validator("subject", "architecture", mode="before")
    @classmethod
    def _none_leaves_it_open(cls, value: Any, info: ValidationInfo) -> Any:
        return cls.model_fields[str(info.field_name)].default if value is None else value

    @field_validator("model", mode="before")
    @classmethod
    def _a_path_is_its_text(cls, value: Any) -> Any:
        if isinstance(value, os.PathLike):
            return os.fsdecode(value)
        return value.strip() if isinstance(value, str) else value  # a line of a file ends in a line break

    @field_validator("model")
    @classmethod
    def _something_is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty")
        return value

    @field_validator("folders", mode="before")
    @classmethod
    def _folders_are_a_list(cls, value: Any) -> Any:
        return tuple(str(path) for path in paths_of(value, "folders"))

    @classmethod
    def of(cls, base: ModelChoice | str | os.PathLike[str] | None = None, **settings: Any) -> ModelChoice:
        """Return a choice, changed in some settings.

        Parameters
        ----------
        base : ModelChoice or str, optional
            What is changed; the name of a model stands for a choice of it; the defaults without it.
        **settings
            Fields of ModelChoice.

        Raises
        ------
        InputError
            A setting is unknown or impossible.
        """
        if base is None or isinstance(base, cls):
            values = (base or cls()).model_dump()
        else:
            values = {"model": base}
        return validated(
            cls,
            {**values, **settings},
            "the choice of a model",
            "See gossamer.ModelChoice; the settings of stages, such as matting, are in gossamer.Recipe.",
        )

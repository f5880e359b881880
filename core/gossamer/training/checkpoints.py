"""Checkpoints: everything that a training has come to, in one file that is there whole or not at all.

A file holds tensors, by safetensors, and a JSON text among its metadata: no pickles. A generator's state need not be in
it, as what is drawn follows from the number of the step (:mod:`gossamer.training.feeding`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossamer.errors import ModelError, OutputError
from gossamer.files import move_into_place, staging_folder
from gossamer.paths import remedy_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

__all__ = ["checkpoints_in", "load_checkpoint", "restore", "save_checkpoint", "save_tensors", "tensors_of"]

_NAME = "step-{:07d}.safetensors"
_PATTERN = re.compile(r"step-(\d{7,})\.safetensors")
_KEPT = 2  # the last one may be the one that a broken disk has damaged
_KEY = "gossamer"


def checkpoints_in(folder: Path) -> list[tuple[int, Path]]:
    """Return the checkpoints of a run by their steps, the oldest first."""
    if not folder.is_dir():
        return []
    found = ((_PATTERN.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def tensors_of(
    network: nn.Module, optimiser: torch.optim.Optimizer, average: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return everything that changes in a training, by name.

    Parameters
    ----------
    network : torch.nn.Module
    optimiser : torch.optim.Optimizer
        Of what learns in it, in its order.
    average : mapping of str to Tensor
        :attr:`gossamer.training.averaging.Average.tensors`.
    """
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser/{number}/{key}": value for key, value in state.items()}
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def restore(
    tensors: Mapping[str, Tensor], network: nn.Module, optimiser: torch.optim.Optimizer, average: dict[str, Tensor]
) -> None:
    """Set network, optimiser and average to what a checkpoint holds.

    Raises
    ------
    ModelError
        It is of another network, or of other settings.
    """
    state: dict[int, dict[str, Tensor]] = {}
    own: dict[str, Tensor] = {}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        if kind == "network":
            own[name] = value
        elif kind == "average" and name in average:
            average[name].copy_(value)
        elif kind == "optimiser":
            number, _, what = name.partition("/")
            state.setdefault(int(number), {})[what] = value
    try:
        network.load_state_dict(own)
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The checkpoint is of another network or other settings ({str(error).splitlines()[0]}).",
            "Go on with the settings that the run was begun with.",
        ) from None


def save_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], told: Mapping[str, Any]) -> Path:
    """Write a checkpoint, and then remove all but the last two.

    Parameters
    ----------
    folder : Path
        It exists.
    step : int
        How many steps are done.
    tensors : mapping of str to Tensor
    told : mapping
        Whatever else is to be known, as JSON can hold it.

    Raises
    ------
    OutputError
        It could not be written: the disk is full, for example. What was there before still is.
    """
    path = folder / _NAME.format(step)
    save_tensors(path, tensors, {_KEY: json.dumps({**told, "step": step})})
    for _, old in checkpoints_in(folder)[:-_KEPT]:
        with suppress(OSError):
            old.unlink()
    return path


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Return the newest checkpoint that can be read: what it tells, and its tensors; None where there is none."""
    from safetensors import SafetensorError, safe_open

    for _, path in reversed(checkpoints_in(folder)):
        try:
            with safe_open(path, "pt") as file:
                told = json.loads(file.metadata()[_KEY])
                return told, {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            continue  # damaged since: the one before is whole
    return None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a .safetensors file whole or not at all, over one of that name; raises OutputError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with staging_folder(path.parent) as staging:
            made = staging / path.name
            save_file(dict(tensors), made, metadata)
            move_into_place(made, path, force=True)
    except SafetensorError as error:
        full = "space" in str(error).lower()
        raise OutputError(
            f"{path} could not be written: {str(error).splitlines()[0][:160]}.",
            "Free some of the disk, then go on with --resume."
            if full
            else "Check the folder, then go on with --resume.",
        ) from None
    except OSError as error:
        remedy = remedy_of(error, "Give another folder, or change its permissions.")
        raise OutputError(f"{path} could not be written: {error.strerror or error}.", remedy) from None

"""Export of networks to ONNX and safetensors, checked before the file is left to anyone."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gossamer.errors import InputError, MissingExtra, ModelError, OutputError, OutputExists, import_failure
from gossamer.files import move_into_place, staging_folder
from gossamer.networks.architectures.networks import NETWORKS
from gossamer.progress import Progress, ProgressCallback
from gossamer.telemetry import onnxruntime

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["TOLERANCE", "Exported", "export_onnx", "export_packed", "export_safetensors"]

TOLERANCE = 1e-3
"""How far a probability of an exported file may be from torch's: a quarter of an 8-bit step."""

# 17 is read by every ONNX Runtime since 1.12 (2022) and is the last that this exporter writes without conversions.
_OPSET = 17


class Exported(NamedTuple):
    """What was written, and how near it is to torch."""

    path: Path
    difference: float
    """Largest difference of a probability, over all sizes and batches that were tried; 0 for safetensors."""
    tried: tuple[tuple[int, int, int], ...]
    """Batch, height and width of each trial."""


def export_onnx(
    module: nn.Module,
    network: str,
    output: Path,
    *,
    size: tuple[int, int],
    dynamic_batch: bool = True,
    dynamic_size: bool | None = None,
    force: bool = False,
    progress: Progress | ProgressCallback | None = None,
) -> Exported:
    """Write a network as ONNX, run the file beside torch, and keep it only where both agree.

    Parameters
    ----------
    module : torch.nn.Module
        From :func:`gossamer.networks.state_dict.load_network`: float32, on the CPU.
    network : str
        Its key in :data:`~gossamer.networks.architectures.networks.NETWORKS`.
    output : Path
        The .onnx file.
    size : (int, int)
        Width and height that it is exported for.
    dynamic_batch : bool
        Let the file take any number of pictures at once.
    dynamic_size : bool, optional
        Let the file take other sizes too. None: where the network's graph can, which is all of them but BEN2's.
        A transformer's graph then needs more memory than one for a fixed size.
    force : bool
        Replace `output` where it exists.
    progress : callable, optional
        May raise to stop the work between its steps.

    Returns
    -------
    Exported

    Raises
    ------
    InputError
        The network does not take this size.
    OutputExists, OutputError
        `output` exists, or cannot be written.
    ModelError
        The network cannot be exported, or the exported file does not reproduce it.
    MissingExtra
        The package onnx is not installed.
    """
    import torch

    from gossamer.networks.architectures.swin import traced_for_any_size

    spec = NETWORKS[network]
    if dynamic_size is None:
        dynamic_size = spec.any_size
    width, height = size
    if min(size) < 32 or width % spec.multiple or height % spec.multiple:
        raise InputError(
            f"{spec.title} does not take pictures of {width} x {height}.",
            f"Choose at least 32 x 32{f', in multiples of {spec.multiple}' if spec.multiple > 1 else ''}.",
        )
    steps = Progress.of(progress)
    steps(0.0, f"Exporting {spec.title}")
    axes = {0: "batch"} if dynamic_batch else {}
    if dynamic_size:
        axes |= {2: "height", 3: "width"}
    # Traced on a small picture where the size is free, and on two where the batch is: a graph that took a number of
    # the trace for granted then fails the check below.
    small = (_part_of(height, spec.multiple), _part_of(width, spec.multiple)) if dynamic_size else (height, width)
    example = _noise(2 if dynamic_batch else 1, *small)
    with _replacing(output, force) as temporary:
        try:
            any_size = traced_for_any_size(module) if dynamic_size else nullcontext()
            with any_size, warnings.catch_warnings(), torch.no_grad():
                # This exporter is deprecated but needs no further package, and its graphs run everywhere; the
                # tracer's warnings are about what the check below finds out.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    module,
                    (example,),
                    str(temporary),
                    dynamo=False,
                    opset_version=_OPSET,
                    input_names=["input"],
                    output_names=["output"],
                    dynamic_axes={"input": axes, "output": axes} if axes else None,
                )
        except ModuleNotFoundError:
            raise MissingExtra("Export to ONNX", "torch") from None
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise ModelError(
                f"{spec.title} could not be exported ({_first_line(error)}).", "Export it to safetensors instead."
            ) from None
        shapes = [(1, height, width)]
        if dynamic_batch or dynamic_size:
            # Smaller on one side only: a graph that mixes height and width up shows itself.
            side = _part_of(height, spec.multiple) if dynamic_size else height
            shapes.append((3 if dynamic_batch else 1, side, width))
        steps(0.4, "Comparing the file with torch")
        session, worst = _session(temporary), 0.0
        for i, shape in enumerate(shapes):
            steps(0.6 + 0.4 * i / len(shapes), "Comparing the file with torch")
            worst = max(worst, _difference(module, session, _noise(*shape), spec.output == "logit"))
        session = None  # it may hold the file open
        if not worst <= TOLERANCE:
            raise ModelError(
                f"The exported file does not reproduce {spec.title}: probabilities differ by {worst:.4f}.",
                "Nothing was written. Export it without a dynamic size, or to safetensors.",
            )
    steps(1.0)
    return Exported(output, worst, tuple(shapes))


def export_safetensors(module: nn.Module, network: str, output: Path, *, force: bool = False) -> Exported:
    """Write a network's weights under the names of its published checkpoints.

    Parameters
    ----------
    module : torch.nn.Module
        From :func:`gossamer.networks.state_dict.load_network`.
    network : str
        Its key in :data:`~gossamer.networks.architectures.networks.NETWORKS`; written into the file's metadata.
    output : Path
        The .safetensors file.
    force : bool
        Replace `output` where it exists.

    Returns
    -------
    Exported

    Raises
    ------
    OutputExists, OutputError
        `output` exists, or cannot be written.
    MissingExtra
        The package safetensors is not installed.
    """
    try:
        from safetensors.torch import save_file
        from torch import contiguous_format as contiguous
    except ImportError as error:
        raise import_failure(error, "Writing .safetensors", "torch") from None
    with _replacing(output, force) as temporary:
        # The file's format knows no shared memory, and MODNet has its backbone under two names.
        state = {name: value.detach().clone(memory_format=contiguous) for name, value in module.state_dict().items()}
        save_file(state, temporary, metadata={"format": "pt", "gossamer_network": network})
    return Exported(output, 0.0, ())


def export_packed(source: Path, output: Path, *, force: bool = False) -> Exported:
    """Write a checkpoint of BiMatting with one bit for each sign: about a twenty-fifth of its size.

    Parameters
    ----------
    source : Path
        See :func:`gossamer.networks.bimatting_weights.load_bimatting`.
    output : Path
        The .safetensors file.
    force : bool
        Replace `output` where it exists.

    Raises
    ------
    OutputExists, OutputError, MissingExtra
        See :func:`export_safetensors`.
    ModelNotFound, ModelError, InputError
        `source` holds something else.
    """
    from gossamer.networks.bimatting_weights import PACKED, load_bimatting, packed_entries

    module = load_bimatting(source)
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise import_failure(error, "Writing .safetensors", "torch") from None
    with _replacing(output, force) as temporary:
        save_file(packed_entries(module), temporary, metadata={"format": "pt", "gossamer": PACKED})
    return Exported(output, 0.0, ())


def _part_of(side: int, multiple: int) -> int:
    """Return about half of a side that a network takes, in steps that it takes."""
    return max(1, side // 2 // max(multiple, 32)) * max(multiple, 32)


def _noise(batch: int, height: int, width: int) -> Tensor:
    """Return pictures of smooth noise in the range of normalised pictures, the same each time."""
    import torch

    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((batch, 3, 8, 8), generator=generator)
    fine = torch.randn((batch, 3, height, width), generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    return smooth + 0.2 * fine


def _session(path: Path) -> Any:
    """Return the file as ONNX Runtime reads it; None where it does not."""
    options = onnxruntime().SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime().InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:
        if not _is_onnxruntimes(error):
            raise
        return None


def _difference(module: nn.Module, session: Any, pictures: Tensor, logits: bool) -> float:
    """Return the largest difference between a probability of the file and of torch; infinite where it fails."""
    import torch

    if session is None:
        return float("inf")
    try:
        found = torch.from_numpy(session.run(["output"], {"input": pictures.numpy()})[0])
    except Exception as error:
        if not _is_onnxruntimes(error):
            raise
        return float("inf")
    with torch.inference_mode():
        expected = module(pictures)
    if found.shape != expected.shape:
        return float("inf")
    if logits:
        found, expected = found.sigmoid(), expected.sigmoid()
    return float((found - expected).abs().max())


def _is_onnxruntimes(error: Exception) -> bool:
    """Return whether an exception is ONNX Runtime's; they share no base class."""
    return type(error).__module__.startswith("onnxruntime")


@contextmanager
def _replacing(output: Path, force: bool) -> Iterator[Path]:
    """Give a path beside `output`, and move what was written there into place when all went well."""
    if os.path.lexists(output) and not force:
        raise OutputExists(f"{output} exists.", "Choose another name, or allow it to be replaced with --force.")
    try:
        with staging_folder(output.parent) as folder:
            yield folder / output.name
            move_into_place(folder / output.name, output, force=force)
    except FileExistsError:
        raise OutputExists(
            f"{output} exists.", "Choose another name, or allow it to be replaced with --force."
        ) from None
    except OSError as error:
        raise OutputError(f"{output} cannot be written ({error.strerror}).", "Choose another folder.") from None


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__

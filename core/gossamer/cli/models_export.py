"""`gossamer models export`: write a model as ONNX or safetensors."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import NamedTuple

from gossamer.cli.console import Console
from gossamer.cli.parser import Parser
from gossamer.cli.terminal import show_json
from gossamer.errors import InputError
from gossamer.paths import source_path
from gossamer.weights import store
from gossamer.weights.catalogue import InputSpec, architecture_of, model_card

__all__ = ["run"]

_SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors"}


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    output = Path(arguments.output or f"{Path(arguments.model).stem}{_SUFFIXES[arguments.to]}")
    if output.suffix.lower() != _SUFFIXES[arguments.to]:
        raise InputError(f"{output.name} does not end in {_SUFFIXES[arguments.to]}.", "Name OUT so, or change --to.")
    with Console(arguments.quiet) as console:
        if arguments.network == _PACKS:
            return _packed(arguments, output, console)
        origin = _origin(arguments, console)
        from gossamer.networks.export import export_onnx, export_safetensors
        from gossamer.networks.state_dict import load_network

        module = load_network(origin.path, origin.network, origin.rename)
        if arguments.to == "safetensors":
            made = export_safetensors(module, origin.network, output, force=arguments.force)
        else:
            made = export_onnx(
                module,
                origin.network,
                output,
                size=arguments.size or origin.input.size or _USUAL,
                dynamic_batch=not arguments.fixed_batch,
                dynamic_size=False if arguments.fixed_size else None,
                force=arguments.force,
                progress=console.progress,
            )
        if arguments.json:
            trials = [{"batch": batch, "height": height, "width": width} for batch, height, width in made.tried]
            result = {"path": str(made.path), "network": origin.network, "bytes": made.path.stat().st_size}
            show_json({**result, "difference": made.difference, "tried": trials})
        else:
            checked = f", probabilities differ from torch by at most {made.difference:.1e}" if made.tried else ""
            console.say(f"Wrote {made.path} ({made.path.stat().st_size / 1e6:.1f} MB{checked})")
    return 0


_PACKS = "bimatting"  # its weights are signs: they are written as bits


def _packed(arguments: argparse.Namespace, output: Path, console: Console) -> int:
    if arguments.to != "safetensors":
        raise InputError("BiMatting is written as safetensors only.", "Add --to safetensors.")
    from gossamer.networks.export import export_packed

    made = export_packed(source_path(arguments.model, "model"), output, force=arguments.force)
    size = made.path.stat().st_size
    if arguments.json:
        show_json({"path": str(made.path), "network": _PACKS, "bytes": size, "difference": 0.0, "tried": []})
    else:
        console.say(f"Wrote {made.path} ({size / 1e6:.2f} MB, one bit a weight)")
    return 0


_USUAL = (1024, 1024)  # of models that take pictures as they are


class _Origin(NamedTuple):
    """The weights that are exported."""

    path: Path
    network: str
    rename: tuple[tuple[str, str], ...]
    input: InputSpec


def _origin(arguments: argparse.Namespace, console: Console) -> _Origin:
    name: str = arguments.model
    path = source_path(name, "model")
    if not os.path.isfile(path):
        card = model_card(name)  # says so where there is no such id
        if card.network is None:
            raise InputError(f"{card.id} is only known as an ONNX graph.", f"Copy it: gossamer models path {card.id}")
        weights = store.fetch(
            card,
            progress=console.progress,
            announce=console.say,
            runtime="torch",
            accept_licence=arguments.accept_licence,
        )
        return _Origin(weights.path, card.network, weights.variant.rename, card.input)
    from gossamer.networks.architectures.networks import NETWORKS
    from gossamer.networks.state_dict import recognise_file

    network = arguments.network or recognise_file(path)
    if network is None:
        raise InputError(
            f"Nothing says which network {path.name} is for.", f"Add --network with one of: {', '.join(NETWORKS)}."
        )
    if network not in NETWORKS:
        raise InputError(f"There is no network {network!r}.", f"Choose one of: {', '.join(NETWORKS)}.")
    return _Origin(path, network, (), architecture_of(network).input)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 1024x1024")
    return int(found[1]), int(found[2])


def _parser() -> Parser:
    parser = Parser(
        "models export",
        description="Write a model as ONNX, which ONNX Runtime and others run, or its weights as safetensors. "
        "The ONNX file is run beside torch, and kept only where both agree.",
    )
    parser.add_argument("model", metavar="ID|FILE", help="id of the catalogue, or a file of weights")
    parser.add_argument("--to", choices=tuple(_SUFFIXES), default="onnx", help="what to write (default: onnx)")
    parser.add_argument(
        "-o", "--output", "--out", metavar="OUT", help="the file to write (default: beside you, named as the model)"
    )
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="for ONNX: what it is exported for (default: the model's)"
    )
    parser.add_argument("--fixed-size", action="store_true", help="for ONNX: take that size only (BEN2 always does)")
    parser.add_argument("--fixed-batch", action="store_true", help="for ONNX: take one picture at a time")
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="for a file: its network, where its keys do not tell; bimatting: pack it, one bit a weight",
    )
    parser.add_argument("--accept-licence", action="store_true", help="accept a licence without commercial use")
    parser.add_argument("--force", action="store_true", help="replace OUT where it exists")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    return parser

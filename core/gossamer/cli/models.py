"""`gossamer models`: list, fetch, find and verify model weights."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import Any

from gossamer.cli.console import Console
from gossamer.cli.parser import Parser
from gossamer.errors import ModelIntegrityError, ModelNotFound
from gossamer.models import store
from gossamer.models.catalogue import ModelCard, load_catalogue, model_card

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_args(argv)
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


def _parser() -> Parser:
    parser = Parser("models", description="List, fetch, find and verify model weights.")
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=argparse.ArgumentParser)
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--json", action="store_true", help="print JSON")

    def add(name: str, text: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text, parents=[every], allow_abbrev=False)
        sub.error = parser.error  # type: ignore[method-assign]
        sub.set_defaults(action=action)
        return sub

    add("list", "show the catalogue and what of it is installed", _list)
    get = add("get", "fetch weights that are not on this machine", _get)
    get.add_argument("ids", nargs="+", metavar="ID", help="ids of the catalogue, or auto")
    get.add_argument("--force", action="store_true", help="fetch them also where they are, and replace them")
    get.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    path = add("path", "print where the weights of a model lie", _path)
    path.add_argument("id", metavar="ID", help="id of the catalogue")
    verify = add("verify", "read weights in full and compare them with the catalogue", _verify)
    verify.add_argument("ids", nargs="*", metavar="ID", help="ids of the catalogue (default: all that are installed)")
    return parser


def _list(arguments: argparse.Namespace) -> int:
    rows = [_row(card) for card in load_catalogue().values()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'id':20} {'licence':12} {'commercial':10} {'size':>9}  installed")
    for row in rows:
        megabytes = row["bytes"] / 1e6
        print(
            f"{row['id']:20} {row['licence']:12} {'yes' if row['commercial'] else 'no':10} {megabytes:6.1f} MB  "
            f"{row['path'] or row['problem'] or '-'}"
        )
        print(f"  {row['title']}: {row['good_for']}")
    return 0


def _row(card: ModelCard) -> dict[str, Any]:
    found, problem = None, ""
    try:
        found = store.find(card)
    except ModelIntegrityError as error:
        problem = str(error)
    variant = found.variant if found else card.weights[0]
    return {
        "id": card.id,
        "title": card.title,
        "authors": card.authors,
        "homepage": card.homepage,
        "architecture": card.architecture,
        "licence": card.licence,
        "commercial": card.commercial,
        "good_for": card.good_for,
        "bytes": variant.bytes,
        "precision": variant.precision,
        "sources": [source.kind for weights in card.weights for source in weights.sources],
        "path": str(found.path) if found else None,
        "problem": problem,
    }


def _get(arguments: argparse.Namespace) -> int:
    rows = []
    with Console(arguments.quiet) as console:
        for name in arguments.ids:
            if name == "auto" and not arguments.force:
                weights = store.choose(progress=console.progress, announce=console.say).weights
            else:
                card = model_card(name)
                weights = store.fetch(card, progress=console.progress, announce=console.say, force=arguments.force)
            for warning in weights.warnings:
                console.say(f"gossamer: warning: {warning}")
            if not arguments.json:
                console.say(f"{weights.card.id} is at {weights.path}")
            rows.append({"id": weights.card.id, "path": str(weights.path), "bytes": weights.variant.bytes})
    if arguments.json:
        print(json.dumps(rows, indent=2))
    return 0


def _path(arguments: argparse.Namespace) -> int:
    path = store.path(model_card(arguments.id))
    print(json.dumps({"id": arguments.id, "path": str(path)}) if arguments.json else path)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    rows = list(_verified(arguments.ids))
    if arguments.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['id']:20} {'good' if row['good'] else row['problem']}  {row['path'] or ''}".rstrip())
        if not rows:
            print("No model is installed. Type: gossamer models get isnet-general-use")
    return 0 if all(row["good"] for row in rows) else ModelIntegrityError.exit_code


def _verified(ids: Iterable[str]) -> Iterable[dict[str, Any]]:
    named = [model_card(name) for name in ids]
    with Console() as console:
        for card in named or load_catalogue().values():
            try:
                weights = store.verify(card, progress=console.progress)
            except ModelNotFound as error:
                if named:
                    yield {"id": card.id, "good": False, "path": None, "problem": str(error)}
            except ModelIntegrityError as error:
                yield {"id": card.id, "good": False, "path": None, "problem": str(error)}
            else:
                yield {"id": card.id, "good": True, "path": str(weights.path), "problem": ""}

"""`gossamer models`: list, fetch, find, verify, add, remove, export, quantise and compare model weights."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gossamer.cli.console import Console
from gossamer.cli.modelling import model_choice_of
from gossamer.cli.parser import Parser, add_flags
from gossamer.cli.terminal import show, show_json, show_path
from gossamer.errors import InputError, ModelIntegrityError, ModelNotFound, OutputError
from gossamer.progress import Progress
from gossamer.settings.model_choice import ModelChoice
from gossamer.weights import licences, store
from gossamer.weights.added import add_model, added_cards, remove_model
from gossamer.weights.card import HuggingFaceSource, ModelCard, Source, UrlSource
from gossamer.weights.catalogue import any_card, folder_cards, load_catalogue, video_cards
from gossamer.weights.fetch.sources import origin
from gossamer.weights.fetch.transfer import announced_size, megabytes
from gossamer.weights.folder_card import FolderCard
from gossamer.weights.folders import models_folder
from gossamer.weights.inventory import torch_is_here, usable
from gossamer.weights.model_folder import find_folder, find_installed, folder_path, verify_folder
from gossamer.weights.quantised import quantised_record, remove_quantised

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    # These have parsers of their own, in modules that load more.
    if argv[:1] == ["export"]:
        from gossamer.cli import models_export

        return models_export.run(argv[1:])
    if argv[:1] == ["quantise"]:
        from gossamer.cli import models_quantise

        return models_quantise.run(argv[1:])
    if argv[:1] == ["compare"]:
        from gossamer.cli import models_compare

        return models_compare.run(argv[1:])
    arguments = _parser().parse_args(argv)
    action: Callable[[argparse.Namespace], int] = arguments.action
    return action(arguments)


def _parser() -> Parser:
    parser = Parser(
        "models", description="List, fetch, find, verify, add, remove, export, quantise and compare model weights."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True, parser_class=Parser)
    every = Parser(add_help=False)
    every.add_argument("--json", action="store_true", help="print JSON")

    def add(name: str, text: str, action: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=text, description=text, parents=[every])
        sub.set_defaults(action=action)
        return sub

    add("list", "show the catalogue and what of it is installed, and where", _list)
    get = add("get", "fetch weights that are not on this machine", _get)
    get.add_argument("ids", nargs="+", metavar="ID", help="ids of the catalogue, or auto")
    get.add_argument("--force", action="store_true", help="fetch them also where they are, and replace them")
    get.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    # argparse's own parsers have no group for it: these are flags like any other.
    add_flags(get, ModelChoice, "model", only=("accept_licence", "runtime", "quality", "subject", "device"))
    path = add("path", "print where the weights of a model lie", _path)
    path.add_argument("id", metavar="ID", help="id of the catalogue")
    verify = add("verify", "read weights in full and compare them with the catalogue", _verify)
    verify.add_argument("ids", nargs="*", metavar="ID", help="ids of the catalogue (default: all that are installed)")
    adding = add("add", "put a model of your own beside the catalogue, for every face", _add)
    adding.add_argument("folder", metavar="FOLDER", help="what gossamer promote wrote: card.json and its weights")
    adding.add_argument("--force", action="store_true", help="replace a model of that id that was added before")
    adding.add_argument("--quiet", action="store_true", help="say nothing unless it fails")
    remove = add("remove", "delete weights that Gossamer has fetched, and models that were added", _remove)
    remove.add_argument("ids", nargs="+", metavar="ID", help="ids of the catalogue, or of models that were added")
    for name, text in (
        ("export", "write a model as an .onnx file"),
        ("quantise", "make a model in 8-bit integers, faster on processors"),
        ("compare", "compare the masks and times of two models"),
    ):
        actions.add_parser(name, help=text, add_help=False)  # only for the list in the help: see `run`
    return parser


def _list(arguments: argparse.Namespace) -> int:
    pictures, clips = load_catalogue().values(), video_cards().values()
    rows = [_row(card) for card in pictures] + [_folder_row(card) for card in folder_cards()]
    rows += [_row(card) | {"task": "video"} for card in clips]
    if arguments.json:
        show_json(rows)
        return 0
    show(f"{'id':31} {'architecture':14} {'licence':14} {'commercial':10} {'size':>13}  installed")
    for row in rows:
        licence = row["licence"].partition(" (")[0]
        show(
            f"{row['id']:31} {row['architecture']:14} {licence:14} {'yes' if row['commercial'] else 'no':10} "
            f"{row['size']:>13}  {row['path'] or row['problem'] or '-'}"
        )
        show(f"  {row['title']}: {row['good_for']}{_conditions(row)}")
        if row["metric"]:
            show(f"  {row['metric']}")
    return 0


def _folder_row(card: FolderCard) -> dict[str, Any]:
    found, problem = None, ""
    try:
        found = find_installed(card, progress=Progress())
    except ModelIntegrityError as error:
        problem = str(error)
    return {
        "id": card.id,
        "title": card.title,
        "task": card.task,
        "authors": card.authors,
        "homepage": card.homepage,
        "architecture": card.family,
        "licence": card.licence,
        "licence_url": card.licence_url,
        "commercial": card.commercial,
        "accepted": True,
        "gated": card.gated,
        "terms": f"https://huggingface.co/{card.repo}",
        "good_for": card.good_for,
        "metric": card.metric,
        "bytes": card.bytes,
        "size": megabytes(card.bytes),
        "needs_torch": True,
        "path": str(found) if found else None,
        "installed": found is not None,
        "problem": problem,
        "sources": ["huggingface"],
        "files": [{"filename": file.name, "bytes": file.bytes, "sha256": file.sha256} for file in card.files],
    }


def _conditions(row: dict[str, Any]) -> str:
    """Return what must be done before a model can be used, for people."""
    said = []
    if not row["commercial"] or row.get("task") == "video":
        # What is here runs, and tells its licence each time.
        asked = "tells its licence until --accept-licence" if row["path"] else "needs --accept-licence once"
        said.append("its licence is accepted" if row["accepted"] else asked)
    if row["gated"]:
        said.append(f"files are gated: agree to the terms at {row['terms']} and set HF_TOKEN")
    if row["needs_torch"] and not torch_is_here():
        said.append("needs torch")
    return f" ({'; '.join(said)})" if said else ""


def _row(card: ModelCard) -> dict[str, Any]:
    found, problem = store.look(card)
    if found is None:
        found, problem = store.look(card, runtime="any")
    variant = found.variant if found else next(iter(usable(card) or card.weights), None)
    return {
        "id": card.id,
        "title": card.title,
        "authors": card.authors,
        "homepage": card.homepage,
        "architecture": card.architecture,
        "network": card.network,
        "licence": card.licence,
        "licence_url": card.licence_url,
        "commercial": card.commercial,
        "accepted": licences.is_accepted(card),
        "gated": card.gated,
        "terms": card.homepage,
        "good_for": card.good_for,
        "metric": card.metric,
        "subjects": list(card.subjects),
        "cost": card.cost,
        "trained_size": list(card.input.size) if card.input.size else None,
        "bytes": variant.bytes if variant else None,
        "size": announced_size(variant) if variant else "by hand",
        "precision": variant.precision if variant else "float32",
        "needs_torch": not usable(card, "onnx"),
        "sources": [source.kind for weights in card.weights for source in weights.sources],
        "weights": [
            {
                "filename": weights.filename,
                "runtimes": list(weights.runtimes),
                "precision": weights.precision,
                "bytes": weights.bytes,
                "exact": weights.exact,
                "sha256": weights.sha256,
                "md5": weights.md5,
                "sources": [_source(source) for source in weights.sources],
            }
            for weights in card.weights
        ],
        "path": str(found.path) if found else None,
        "problem": problem,
        "int8": str(quantised_record(card)) if quantised_record(card).is_file() else None,
        "int8_measured": None if card.int8 is None else asdict(card.int8),
        "added": card.id in added_cards(),
    }


def _source(source: Source) -> dict[str, Any]:
    match source:
        case UrlSource():
            return {"kind": source.kind, "from": source.url}
        case HuggingFaceSource():
            place = f"https://huggingface.co/{source.repo}/blob/{source.revision}/{source.filename}"
            return {"kind": source.kind, "from": place, "gated": source.gated}
        case _:
            return {"kind": source.kind, "from": origin(source)}


def _get(arguments: argparse.Namespace) -> int:
    rows = []
    choice = model_choice_of(arguments)
    runtime = choice.runtime
    with Console(arguments.quiet) as console:
        for name in arguments.ids:
            if name == "auto" and not arguments.force:
                chosen = store.choose(
                    choice,
                    device="cpu" if choice.device == "auto" else choice.device,
                    progress=console.progress,
                    announce=console.say,
                )
                weights = chosen.weights
                console.say(f"Model {chosen.reason}")
            elif isinstance(card := any_card(name), FolderCard):
                place = find_folder(card, progress=Progress(console.progress), announce=console.say)
                if not arguments.json:
                    console.say(f"{card.id} is at {place}")
                rows.append({"id": card.id, "path": str(place), "bytes": card.bytes})
                continue
            else:
                weights = store.fetch(
                    card,
                    progress=console.progress,
                    announce=console.say,
                    force=arguments.force,
                    # Fetching needs no runtime: the machine that runs it may be another.
                    runtime="any" if runtime == "auto" and not usable(card) else runtime,
                    accept_licence=choice.accept_licence,
                )
            for warning in weights.warnings:
                console.say(f"gossamer: warning: {warning}")
            if not arguments.json:
                console.say(f"{weights.card.id} is at {weights.path}")
            rows.append({"id": weights.card.id, "path": str(weights.path), "bytes": weights.path.stat().st_size})
    if arguments.json:
        show_json(rows)
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from gossamer.hosts.gimp_models import refresh_models

    with Console(arguments.quiet) as console:
        card = add_model(arguments.folder, force=arguments.force, progress=Progress(console.progress))
        places = refresh_models()
        if not arguments.json:
            console.say(f"{card.id} is in the list of models now, at {store.path(card)}")
            if not card.commercial:
                console.say(
                    f"gossamer: warning: {card.title} is not for commercial use: its licence is {card.licence}."
                )
            if places:
                console.say("GIMP shows it when it is started the next time.")
    if arguments.json:
        show_json({"id": card.id, "path": str(store.path(card)), "gimp": [str(place) for place in places]})
    return 0


def _path(arguments: argparse.Namespace) -> int:
    card = any_card(arguments.id)
    path = folder_path(card) if isinstance(card, FolderCard) else store.path(card)
    if arguments.json:
        show_json({"id": arguments.id, "path": str(path)})
    else:
        show_path(path)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    rows = list(_verified(arguments.ids))
    if arguments.json:
        show_json(rows)
    else:
        for row in rows:
            show(f"{row['id']:31} {'good' if row['good'] else row['problem']}  {row['path'] or ''}".rstrip())
            for warning in row["warnings"]:
                show(f"  {warning}")
        if not rows:
            show("No model is installed. Type: gossamer models get isnet-general-use")
    return 0 if all(row["good"] for row in rows) else ModelIntegrityError.exit_code


def _remove(arguments: argparse.Namespace) -> int:
    from gossamer.hosts.gimp_models import refresh_models
    from gossamer.networks.prepared_graph import forget_prepared

    rows: list[dict[str, str | None]] = []
    for card in [any_card(name) for name in arguments.ids]:
        if card.id in added_cards():
            remove_model(card.id)
            refresh_models()
            rows.append({"id": card.id, "path": None})
            if not arguments.json:
                show(f"{card.id} is removed.")
            continue
        try:
            if isinstance(card, ModelCard) and (gone := remove_quantised(card)) is not None:
                rows.append({"id": card.id, "path": str(gone)})
                if not arguments.json:
                    show(f"Removed {gone}, and what it describes")
            while True:  # a model can be here in several forms
                path = folder_path(card) if isinstance(card, FolderCard) else store.path(card)
                _check_is_own(card.title, path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                forget_prepared(path)
                rows.append({"id": card.id, "path": str(path)})
                if not arguments.json:
                    show(f"Removed {path}")
        except (ModelNotFound, InputError):
            if not any(row["id"] == card.id for row in rows):
                raise
        except OSError as error:
            raise OutputError(f"{path} cannot be removed: {error.strerror}.", "Check the folder's rights.") from None
    if arguments.json:
        show_json(rows)
    return 0


def _check_is_own(title: str, path: Path) -> None:
    if not path.parent.resolve().is_relative_to(models_folder().resolve()):
        raise InputError(
            f"{title} lies at {path}, which is not Gossamer's own folder.",
            "Delete it there, if no other program needs it.",
        )


def _verified(ids: Iterable[str]) -> Iterable[dict[str, Any]]:
    named = [any_card(name) for name in ids]
    with Console() as console:
        every: list[ModelCard | FolderCard] = named or [
            *load_catalogue().values(),
            *folder_cards(),
            *video_cards().values(),
        ]
        for card in every:
            row = {"id": card.id, "good": False, "path": None, "problem": "", "warnings": []}
            try:
                if isinstance(card, FolderCard):
                    path = verify_folder(card, progress=Progress(console.progress))
                else:
                    weights = store.verify(card, progress=console.progress)
                    path, row["warnings"] = weights.path, list(weights.warnings)
            except ModelNotFound as error:
                if named:
                    yield {**row, "problem": str(error)}
            except ModelIntegrityError as error:
                yield {**row, "problem": str(error)}
            else:
                yield {**row, "good": True, "path": str(path)}

"""`gossamer promote`: prove that a trained model is better, and make it one that every face can use."""

from __future__ import annotations

from typing import Any

import gossamer
from gossamer.cli.console import Console
from gossamer.cli.parser import Parser, add_flags, given
from gossamer.cli.terminal import check_stdout, show, show_json, tell, warn
from gossamer.evaluation.measures import CLIP_MEASURES, MEASURES
from gossamer.progress import Progress
from gossamer.settings.base import validated
from gossamer.settings.promotion import Promotion
from gossamer.training.promotion import Promoted, Refused, promote
from gossamer.training.proof import Proof, counted

__all__ = ["run"]


def run(argv: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse(argv)
    settings = validated(Promotion, given(arguments, Promotion), "the settings", "See: gossamer promote --help")
    if arguments.json:
        check_stdout()
    with Console(arguments.quiet) as console:
        try:
            made = promote(
                arguments.run,
                arguments.out,
                settings,
                model_id=arguments.id or "",
                title=arguments.title or "",
                data=arguments.data,
                general=arguments.general_data,
                data_licence=arguments.data_licence or "",
                data_commercial=arguments.data_commercial,
                onnx=arguments.onnx,
                progress=Progress(console.progress),
                announce=console.say,
            )
        except Refused as refused:
            if arguments.json:
                show_json({**_proofs(refused.domain, refused.general), **_refusal(refused)})
                return refused.exit_code
            _show_proofs(refused.domain, refused.general)
            raise
        added = _added(made, console) if arguments.add else None
    if arguments.json:
        show_json({**_proofs(made.domain, made.general), **_told(made), "added": added})
        return 0
    _show_proofs(made.domain, made.general)
    if not arguments.quiet:
        for sentence in made.objections:
            warn(sentence)
        tell(f"Wrote {made.folder}")
        if added is None:
            tell(f"To use it everywhere, type: gossamer models add {made.folder}")
    return 0


def _parser() -> Parser:
    parser = Parser(
        "promote",
        description="Prove on pictures that it has not learnt from that a trained model is better than what it began "
        "with, and no worse in general; then write it as safetensors and ONNX with a card, for gossamer models add.",
    )
    parser.add_argument("run", metavar="RUN", help="the folder that gossamer finetune wrote to")
    parser.add_argument("-o", "--out", metavar="FOLDER", required=True, help="the new folder for the model")
    parser.add_argument("--id", metavar="ID", help="what it is called, as --model (default: of the base and the data)")
    parser.add_argument("--title", metavar="TEXT", help="what people call it")
    parser.add_argument("--data", metavar="DATA", help="where the training's data is now, if it was moved")
    parser.add_argument(
        "--general-data", metavar="DATA", help="a general set, if the training had none or it was moved"
    )
    parser.add_argument("--data-licence", metavar="TEXT", help="under which licence the pictures are")
    parser.add_argument(
        "--data-commercial",
        action="store_true",
        default=True,
        help="the pictures may be used commercially (default)",
    )
    parser.add_argument(
        "--no-data-commercial", action="store_false", dest="data_commercial", help="they may not, and so nor may it"
    )
    parser.add_argument("--no-onnx", action="store_false", dest="onnx", help="write safetensors alone")
    parser.add_argument("--add", action="store_true", help="add it to the models of this machine at once")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings")
    add_flags(parser, Promotion, "proof")
    return parser


def _added(made: Promoted, console: Console) -> str:
    from gossamer.hosts.gimp_models import refresh_models
    from gossamer.weights import store
    from gossamer.weights.added import add_model

    card = add_model(made.folder, progress=Progress(console.progress))
    refresh_models()
    console.say(f"{card.id} is in the list of models now, at {store.path(card)}")
    return card.id


def _proofs(domain: Proof, general: Proof | None) -> dict[str, Any]:
    return {
        "gossamer": gossamer.__version__,
        "domain": domain.as_dict(),
        "general": None if general is None else general.as_dict(),
    }


def _refusal(refused: Refused) -> dict[str, Any]:
    error = {"message": refused.message, "remedy": refused.remedy}
    return {"promoted": False, "objections": list(refused.objections), "error": error}


def _told(made: Promoted) -> dict[str, Any]:
    return {
        "promoted": True,
        "objections": list(made.objections),
        "folder": str(made.folder),
        "id": made.card.id,
        "licence": made.licence.name,
        "commercial": made.licence.commercial,
    }


def _show_proofs(domain: Proof, general: Proof | None) -> None:
    for name, proof in (("domain", domain), ("general", general)):
        if proof is None:
            show(f"{name}: nothing was measured")
            continue
        show(f"{name}: {counted(len(proof.pictures), proof.what)} in {counted(proof.groups, 'groups')}")
        show(f"  {'measure':16} {'before':>10} {'after':>10} {'better by':>10}  95 % between")
        titles = {**MEASURES, **CLIP_MEASURES}
        for change in proof.changes:
            gain = change.gain
            show(
                f"  {titles[change.measure].title:16} {change.before:10.4f} {change.after:10.4f} "
                f"{gain.middle:+10.4f}  {gain.low:+.4f} and {gain.high:+.4f}"
            )

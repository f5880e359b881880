"""The card of a trained model: what it is of, what it was taught, what it proved, and whose licence it is under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gossamer.evaluation.measures import CLIP_MEASURES, MEASURES
from gossamer.training.proof import Proof, counted
from gossamer.weights.card import ModelCard

__all__ = ["Licence", "in_markdown", "inherited", "table_of"]

_UNKNOWN = "unclear"


@dataclass(frozen=True)
class Licence:
    """What a model is under.

    Attributes
    ----------
    name, url : str
    commercial : bool
    terms : str
        What is asked of whoever passes it on, or "".
    notes : tuple of str
        What follows from where it is from, a sentence each.
    """

    name: str
    url: str
    commercial: bool
    terms: str
    notes: tuple[str, ...]


def inherited(base: ModelCard | None, page: str, data_licence: str, data_commercial: bool) -> Licence:
    """Return the licence of a model from those of the weights that it began with and of the pictures.

    Parameters
    ----------
    base : ModelCard or None
        None: of weights that Gossamer knows nothing of.
    page : str
        The page of the network's authors, where nothing better is known.
    data_licence : str
        What its user says of the pictures; "" says nothing.
    data_commercial : bool
        Whether they may be used commercially.
    """
    notes = []
    if base is None:
        notes.append("It began with weights of which Gossamer knows no licence: it is under that of their authors.")
    elif not base.commercial:
        notes.append(
            f"{base.title} has the licence {base.licence}, which does not allow commercial use: what is trained from "
            "it may not be used commercially either."
        )
    else:
        notes.append(f"It is derived from {base.title}, whose licence {base.licence} goes on to hold for it.")
    if data_licence:
        notes.append(f"The pictures that it learnt from are under {data_licence}.")
    else:
        notes.append("Nobody said under which licence the pictures are that it learnt from.")
    if not data_commercial:
        notes.append("Those pictures may not be used commercially, and so neither may it.")
    name = _UNKNOWN if base is None else base.licence
    return Licence(
        f"{name} AND {data_licence}" if data_licence and data_licence != name else name,
        page if base is None else base.licence_url,
        base is not None and base.commercial and data_commercial,
        "" if base is None else base.terms,
        tuple(notes),
    )


def table_of(
    model: Mapping[str, Any],
    run: Mapping[str, Any],
    licence: Licence,
    proofs: Mapping[str, Proof | None],
    objections: Sequence[str],
    files: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a card as ``card.json`` has it.

    Parameters
    ----------
    model : mapping
        What the catalogue would say, see :func:`gossamer.weights.added.card_table`.
    run : mapping
        What the training's ``run.json`` says.
    licence : Licence
    proofs : mapping of str to Proof or None
        ``domain`` and ``general``.
    objections : sequence of str
        What spoke against promoting it, and was passed over.
    files : mapping
        What was checked of the files.
    """
    split = run.get("split") or {}
    return {
        "model": dict(model),
        "licence": asdict(licence),
        "data": {
            # Names alone: a card is passed on, and whoever reads it has nothing of the folders of its maker.
            "domain": _name(run.get("data")),
            "general": _name(run.get("general")),
            "reading": {
                name: value for name, value in (run.get("dataset") or {}).items() if name not in ("masks", "photos")
            },
            "pictures": {name: len(names) for name, names in split.items()},
            "what": run.get("medium") or "pictures",
        },
        "recipe": {"base": _base(run.get("base")), "seed": run.get("seed"), "settings": run.get("settings")},
        "training": run.get("result"),
        "proof": {name: None if proof is None else proof.as_dict() for name, proof in proofs.items()},
        "objections": list(objections),
        "files": dict(files),
    }


def _name(path: Any) -> str | None:
    return Path(path).name if isinstance(path, str) else None


def _base(said: Any) -> Any:
    """Return what a run says of its base, a file of weights by its name alone."""
    return {**said, "id": _name(said.get("id"))} if isinstance(said, dict) else said


def in_markdown(card: Mapping[str, Any], pictures: Sequence[tuple[str, str]]) -> str:
    """Return a card for people.

    Parameters
    ----------
    card : mapping
        What :func:`table_of` returned.
    pictures : sequence of (str, str)
        Title and file name of each.
    """
    model, data, recipe = card["model"], card["data"], card["recipe"]
    base = (recipe.get("base") or {}).get("id", "?")
    lines = [f"# {model['title']}", "", model["good_for"], ""]
    lines += [f"- id: `{model['id']}`", f"- made from: `{base}`", f"- licence: {card['licence']['name']}"]
    lines += [f"- commercial use: {'yes' if card['licence']['commercial'] else 'no'}", ""]
    lines += [f"To use it everywhere: `gossamer models add FOLDER`, then `--model {model['id']}`.", ""]
    if card["objections"]:
        lines += ["## What was not proved", "", *(f"- {one}" for one in card["objections"]), ""]
    lines += ["## Proof", ""]
    for name, proof in card["proof"].items():
        lines += _proof_in_markdown(name, proof)
    lines += _way_in_markdown(card.get("training") or {})
    lines += ["## Data", "", f"- domain: {data['domain']}", f"- general: {data['general'] or 'none'}"]
    lines += [
        f"- {name.replace('_', ' ')}: {count} {data.get('what', 'pictures')}"
        for name, count in data["pictures"].items()
        if count
    ]
    lines += ["", "## Recipe", "", f"Seed {recipe.get('seed')}. Settings:", ""]
    lines += ["| setting | value |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in sorted((recipe.get("settings") or {}).items())]
    lines += ["", "## Licence", "", *(f"- {note}" for note in card["licence"]["notes"])]
    lines += ["", "## Files", ""]
    for name, said in card["files"].items():
        lines.append(f"- `{name}`: {said['bytes']} bytes, SHA-256 `{said['sha256']}`{_checked(said)}")
    for title, file in pictures:
        lines += ["", f"## {title}", "", f"![{title}]({file})"]
    return "\n".join(lines) + "\n"


def _way_in_markdown(training: Mapping[str, Any]) -> list[str]:
    """Return which part of the way from the base's weights to the trained ones was taken, and what others gave."""
    walk = training.get("walk") or ()
    if not walk:
        return []
    before = training.get("before") or {}
    lines = ["## Between the base and what was trained", ""]
    lines += [f"Taken: {training.get('share', 1):.0%} of the way, after step {training.get('best_step', 0)}.", ""]
    lines += ["| part of the way | weighted F in the domain | in general | of that the base's |"]
    lines += ["|---:|---:|---:|---:|"]
    for one in ({"share": 0.0, **before}, *walk):
        names = ("weighted_f", "general_weighted_f", "general_kept")
        cells = [f"{one[name]:.4f}" if name in one else "not measured" for name in names]
        lines.append(f"| {one['share']:.0%} | {' | '.join(cells)} |")
    return [*lines, "", "Measured on the validation pictures; what forgot too much, in general alone.", ""]


def _proof_in_markdown(name: str, proof: Mapping[str, Any] | None) -> list[str]:
    if proof is None:
        return [f"### On the {name} set", "", "Nothing was measured there.", ""]
    of = f"{counted(proof['count'], proof.get('what', 'pictures'))} in {counted(proof['groups'], 'groups')}"
    lines = [f"### On the {name} set: {of}", ""]
    lines += ["| measure | before | after | better by (95 % between) |", "|---|---:|---:|---:|"]
    for change in proof["changes"]:
        gain, measure = change["gain"], {**MEASURES, **CLIP_MEASURES}[change["measure"]]
        arrow = "↑" if measure.higher_is_better else "↓"
        lines.append(
            f"| {measure.title} {arrow} | {change['before']:.4f} | {change['after']:.4f} | {gain['middle']:+.4f} "
            f"({gain['low']:+.4f} to {gain['high']:+.4f}) |"
        )
    return [*lines, ""]


def _checked(said: Mapping[str, Any]) -> str:
    if "difference" not in said:
        return ""
    return f"; its probabilities differ from the other file's by at most {said['difference']:.1e}"


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|") if value != "" else " "

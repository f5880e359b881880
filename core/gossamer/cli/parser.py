"""The argument parser that every command uses: errors in one sentence, recipe flags from the Recipe."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from gossamer.errors import InputError
from gossamer.settings.parameters import Parameter, parameters, recipe_from_flat
from gossamer.settings.recipe import Recipe

__all__ = ["Parser", "add_recipe_flags", "recipe_of"]

_PREFIX = "recipe:"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence with a remedy."""

    def __init__(self, command: str, **kwargs: Any) -> None:
        super().__init__(
            prog=f"gossamer {command}",
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
            **kwargs,
        )

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing the usage and exiting."""
        sentence = message[:1].upper() + message[1:].rstrip(".")
        raise InputError(f"{sentence}.", f"See: {self.prog} --help")


def add_recipe_flags(parser: Parser, defaults: Recipe | None = None) -> None:
    """Add ``--recipe`` and one flag for every setting of the Recipe; help shows `defaults`."""
    shown = (defaults or Recipe()).model_dump()
    parser.add_argument("--recipe", metavar="FILE", help="a TOML or JSON file of settings; flags win over it")
    groups: dict[str, Any] = {}
    for parameter in parameters():
        if parameter.stage not in groups:
            groups[parameter.stage] = parser.add_argument_group(parameter.stage)
        groups[parameter.stage].add_argument(parameter.flag, **_argument(parameter, shown))


def recipe_of(arguments: argparse.Namespace, defaults: Recipe | None = None) -> Recipe:
    """Return the Recipe that ``--recipe`` (instead of `defaults`) and the flags ask for; raises InputError."""
    base = Recipe.load(arguments.recipe) if arguments.recipe else defaults
    given = {name.removeprefix(_PREFIX): value for name, value in vars(arguments).items() if name.startswith(_PREFIX)}
    return recipe_from_flat(given, base)


def _argument(parameter: Parameter, shown: dict[str, Any]) -> dict[str, Any]:
    stage, _, field = parameter.path.partition(".")
    unit = f" {parameter.unit}" if parameter.unit else ""
    limits = ""
    if parameter.minimum is not None and parameter.maximum is not None:
        limits = f", {parameter.minimum:g} to {parameter.maximum:g}"
    text = f"{parameter.help} (default: {shown[stage][field]}{unit}{limits})".replace("%", "%%")
    argument: dict[str, Any] = {"dest": _PREFIX + parameter.name, "default": argparse.SUPPRESS, "help": text}
    if parameter.kind == "bool":
        return {**argument, "action": argparse.BooleanOptionalAction}
    if parameter.kind == "choice":
        return {**argument, "choices": parameter.choices}
    if parameter.name == "background":
        return {**argument, "metavar": "transparent|#rrggbb|PICTURE|blur"}
    kinds: dict[str, Any] = {"int": int, "float": float, "text": str}
    return {
        **argument,
        "type": kinds[parameter.kind],
        "metavar": {"int": "N", "float": "X"}.get(parameter.kind, "TEXT"),
    }

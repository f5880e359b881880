"""The argument parser that every command uses: errors in one sentence, recipe flags from the Recipe."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from gossamer.cli import terminal
from gossamer.errors import InputError
from gossamer.settings.base import Settings
from gossamer.settings.finding import PROMPT_MODELS
from gossamer.settings.parameters import Parameter, parameters, recipe_from_flat
from gossamer.settings.recipe import Recipe
from gossamer.spelling import did_you_mean, the_taker

__all__ = ["Parser", "add_flags", "add_recipe_flags", "given", "recipe_of"]

_METAVARS = {
    "background": "transparent|COLOUR|GRADIENT|PICTURE|blur",
    "model": "ID|FILE",
    "prompt_model": "|".join(PROMPT_MODELS),
    "architecture": "NAME",
    "canvas_margin": "LENGTHS",
    "canvas_aspect": "W:H",
    "canvas_size": "WxH",
    "canvas_head": "FROM TO",
    "shadow_colour": "COLOUR",
    "brand": "COLOUR",
}


_CHOICE = re.compile(r"argument (?P<place>.+?): invalid choice: (?P<given>.*) \(choose from (?P<names>.*)\)", re.DOTALL)
_SYNONYMS = {
    "add": "install",
    "check": "verify",
    "delete": "uninstall",
    "diff": "compare",
    "download": "get",
    "fetch": "get",
    "find": "path",
    "info": "status",
    "install": "get",
    "ls": "list",
    "pull": "get",
    "remove": "uninstall",
    "rm": "uninstall",
    "show": "list",
    "where": "path",
    "which": "path",
}
"""What other programs call the actions of ours."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence with a remedy; also that of an action such as ``models get``."""

    def __init__(self, command: str = "", **kwargs: Any) -> None:
        self._typed: list[str] = []
        super().__init__(
            **{
                "prog": f"gossamer {command}",
                "allow_abbrev": False,
                "formatter_class": lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
                **kwargs,
            }
        )

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Return what the arguments mean, options and names in any order; after ``--`` there are only names."""
        given = list(argv)
        self._typed = given[: given.index("--")] if "--" in given else given[:]
        if "--" in given:
            end = given.index("--")
            # argparse would take names that begin with a dash for options all the same.
            names = (f"./{name}" if name.startswith("-") and name != "-" else name for name in given[end + 1 :])
            given[end:] = names
        return self.parse_intermixed_args(given)

    def error(self, message: str) -> NoReturn:
        """Raise InputError instead of printing the usage and exiting."""
        sentence = message[:1].upper() + message[1:].rstrip(".")
        remedy = f"See: {self.prog} --help"
        if found := _CHOICE.fullmatch(message):
            given, names = found["given"].strip("'\""), [name.strip("'\"") for name in found["names"].split(", ")]
            place = found["place"].rpartition("/")[2]
            close = did_you_mean(given, names, _SYNONYMS) or self._taker(place, given)
            raise InputError(
                f"{place} cannot be {given!r}."
                if place.startswith("-")
                else f"There is no action {given!r} of {self.prog}.",
                f"{close}Choose one of: {', '.join(names)}.",
            )
        if found := re.fullmatch(r"argument (?:[^\s/]+/)*(--[\w-]+): expected one argument", message):
            remedy = f"Where the value begins with a dash, write {found[1]}=VALUE. {remedy}"
        else:
            remedy = f"{self._meant(message)}{remedy}"
        raise InputError(f"{sentence}.", remedy)

    def _taker(self, flag: str, value: str) -> str:
        """Return which flag takes a value that another one does not, as `--foreground-shadow` takes keep."""
        actions = {id(one): one for one in self._option_string_actions.values()}.values()
        shown = [one for one in actions if one.choices and one.help != argparse.SUPPRESS]
        found = the_taker(flag, [one.option_strings[0] for one in shown if value in list(one.choices or ())])
        return f"Did you mean {found} {value}? " if found else ""

    def _meant(self, message: str) -> str:
        """Return what was probably meant where an argument is not known, or is taken for another one."""
        if named := [name for name in self._typed if name.startswith("-") and name != "-" and os.path.lexists(name)]:
            return f"A name that begins with a dash is written after --, at the end: -- {shlex.quote(named[0])}. "
        if found := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            flags = [flag for flag in self._option_string_actions if flag.startswith("--")]
            return did_you_mean(found[1], flags)
        return ""

    def print_help(self, file: Any = None) -> None:
        """Show the help."""
        terminal.show_text(self.format_help())


def add_recipe_flags(parser: Parser, only: Collection[str] = (), hidden: Collection[str] = ()) -> None:
    """Add ``--recipe``, ``--preset`` and one flag for every setting of the Recipe, or of `only` some of its stages.

    Checks are no part of a cut-out: their flags are there where they alone are asked for. Flags of `hidden` stages are
    understood, for the command to refuse in a sentence of its own, and not shown; nor is ``--preset``, then.
    """
    parser.add_argument("--recipe", metavar="FILE", help="a TOML or JSON file of settings; flags win over it")
    if "checks" not in only:
        parser.add_argument(
            "--preset",
            metavar="ID",
            help=argparse.SUPPRESS
            if hidden
            else "what a shop asks for, see gossamer presets list; recipe and flags win over it",
        )
    groups: dict[str, Any] = {}
    for parameter in parameters():
        wanted = parameter.stage in only if only else parameter.stage != "checks"
        if not wanted:
            continue
        if parameter.stage not in groups:
            groups[parameter.stage] = parser.add_argument_group(parameter.stage)
        _add(groups[parameter.stage], Recipe, parameter, shown=parameter.stage not in hidden)


def recipe_of(arguments: argparse.Namespace) -> Recipe:
    """Return the Recipe that ``--preset``, ``--recipe`` and the flags ask for; raises InputError."""
    base = Recipe.load(arguments.recipe) if arguments.recipe else None
    if getattr(arguments, "preset", None) is not None:
        from gossamer.canvas.presets import preset

        base = preset(arguments.preset).recipe(base)
    return recipe_from_flat(given(arguments, Recipe), base)


def add_flags(parser: argparse.ArgumentParser, kind: type[Settings], title: str, *, only: Collection[str] = ()) -> Any:
    """Add a flag for every setting of a kind, or for `only` some, in a group of their own; return the group."""
    group = parser.add_argument_group(title)
    for parameter in parameters(kind):
        if parameter.kind != "texts" and (not only or parameter.name in only):
            _add(group, kind, parameter)
    return group


def given(arguments: argparse.Namespace, kind: type[Settings]) -> dict[str, Any]:
    """Return the settings of a kind that flags gave, by their flat names."""
    prefix = _prefix(kind)
    return {name.removeprefix(prefix): value for name, value in vars(arguments).items() if name.startswith(prefix)}


def _prefix(kind: type[Settings]) -> str:
    return f"{kind.__name__}:"


def _add(group: Any, kind: type[Settings], parameter: Parameter, *, shown: bool = True) -> None:
    unit = f" {parameter.unit}" if parameter.unit else ""
    limits = ""
    if parameter.minimum is not None and parameter.maximum is not None:
        limits = f", {parameter.minimum:g} to {parameter.maximum:g}"
    default = "" if parameter.default in (None, "") else f" (default: {parameter.default}{unit}{limits})"
    argument: dict[str, Any] = {
        "dest": _prefix(kind) + parameter.name,
        "default": argparse.SUPPRESS,
        "help": f"{parameter.help}{default}".replace("%", "%%") if shown else argparse.SUPPRESS,
    }
    if parameter.kind == "bool":
        argument["action"] = argparse.BooleanOptionalAction
    elif parameter.kind == "choice":
        argument["choices"] = parameter.choices
    else:
        kinds: dict[str, Any] = {"int": int, "float": float, "text": str}
        metavars = {"int": "N", "float": "X", "text": _METAVARS.get(parameter.name, "TEXT")}
        argument |= {"type": kinds[parameter.kind], "metavar": metavars[parameter.kind]}
    group.add_argument(parameter.flag, **argument)

"""The options that say which model finds the subject, and what runs it."""

from __future__ import annotations

import argparse

from gossamer.cli.parser import Parser, add_flags, given
from gossamer.settings.model_choice import ModelChoice

__all__ = ["add_model_flags", "model_choice_of"]


def add_model_flags(parser: Parser, title: str = "model") -> None:
    """Add the options that :func:`model_choice_of` reads, under a title."""
    add_flags(parser, ModelChoice, title)


def model_choice_of(arguments: argparse.Namespace) -> ModelChoice:
    """Return the choice of a model that the options make; raises InputError."""
    return ModelChoice.of(**given(arguments, ModelChoice))

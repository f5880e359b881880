"""The files of the GIMP plug-in, as they lie in its folder."""

from __future__ import annotations

from importlib import resources

from gossamer.hosts.gimp_languages import LANGUAGES, compiled, translated_page

__all__ = ["BUNDLE", "FILES", "NAME", "RECORD", "TRANSLATIONS", "contents"]

NAME = "gossamer_gimp"
"""GIMP finds a plug-in only where the folder and the file in it share a name."""

RECORD = "worker.json"
"""Written when it is set up: how the worker is started."""

BUNDLE = "bundle.json"
"""Lies in a folder that was unzipped: which Gossamer it is of, and the wheel beside it."""

FILES = (
    f"{NAME}.py",
    "animation.py",
    "arguments.py",
    "client.py",
    "collection.py",
    "counting.py",
    "cutting.py",
    "dialogs/__init__.py",
    "dialogs/aside.py",
    "dialogs/building.py",
    "dialogs/consent.py",
    "dialogs/cutting_out.py",
    "dialogs/help.py",
    "dialogs/live.py",
    "dialogs/models.py",
    "dialogs/presets.py",
    "dialogs/set_up.py",
    "environment.py",
    "exchanged.py",
    "extraction.py",
    "failure.py",
    "frames.py",
    "help.html",
    "installer.py",
    "language.py",
    "launching.py",
    "layers.py",
    "log.py",
    "outputs.py",
    "painting.py",
    "parameters.json",
    "planes.py",
    "preview.py",
    "record.py",
    "system.py",
)
"""What is copied, or linked, as it is in the package."""

_PAGES = {f"help.{language}.html": language for language in LANGUAGES}
_TEXTS = {f"locale/{language}/LC_MESSAGES/{NAME}.mo": language for language in LANGUAGES}
TRANSLATIONS = (*_TEXTS, *_PAGES)
"""What is made of each language's ``locale/LANGUAGE.po``."""


def contents() -> dict[str, bytes]:
    """Return what each file of the plug-in holds, by its path in the plug-in's folder."""
    package = resources.files(NAME)
    held = {name: package.joinpath(name).read_bytes() for name in FILES}
    po = {name: package.joinpath(f"locale/{name}.po").read_text(encoding="utf-8") for name in LANGUAGES}
    help_page = held["help.html"].decode()
    held |= {name: compiled(po[language]) for name, language in _TEXTS.items()}
    return held | {name: translated_page(help_page, po[one], one).encode() for name, one in _PAGES.items()}

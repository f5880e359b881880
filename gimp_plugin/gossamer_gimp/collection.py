# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own settings under names, as data in GIMP's folder: standard library only, no gi.

The file is one JSON object: ``{"version": 1, "presets": [{"name": "...", "settings": {"matting": "auto", ...}}]}``.
A file that cannot be read is left as it is, and told of.
"""

from __future__ import annotations

import json
import os

FILE = "gossamer-presets.json"
MOST_LETTERS = 60
_VERSION = 1


class Unreadable(Exception):
    """The file is there and cannot be used, or it cannot be written; the text says why."""


class Collection:
    """Named settings, in the order in which they were saved.

    Parameters
    ----------
    folder : str
        GIMP's own folder of the user.

    Attributes
    ----------
    path : str
        Of the file.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, FILE)

    def all(self) -> dict[str, dict[str, object]]:
        """Return the settings by their names; raises Unreadable."""
        try:
            with open(self.path, encoding="utf-8") as file:
                data = json.load(file)
            if data["version"] != _VERSION:
                raise ValueError(f"version {data['version']!r}")
            return {str(one["name"]): dict(one["settings"]) for one in data["presets"]}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}") from None

    def save(self, name: str, settings: dict[str, object]) -> None:
        """Keep settings under a name, in the place of those that have it; raises Unreadable."""
        self._write({**self.all(), name: settings})

    def delete(self, name: str) -> None:
        """Forget the settings of a name; raises Unreadable."""
        self._write({one: settings for one, settings in self.all().items() if one != name})

    def _write(self, presets: dict[str, dict[str, object]]) -> None:
        data = {
            "version": _VERSION,
            "presets": [{"name": name, "settings": settings} for name, settings in presets.items()],
        }
        text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
        new = f"{self.path}.{os.getpid()}.new"
        try:
            with open(new, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(new, self.path)
        except OSError as error:
            try:
                os.remove(new)
            except OSError:
                pass
            raise Unreadable(str(error)) from None

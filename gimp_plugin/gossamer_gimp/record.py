# SPDX-License-Identifier: GPL-3.0-or-later
"""``worker.json`` in the plug-in's folder, which says how the worker is started: standard library only, no gi."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass

if __package__:
    from .failure import WorkerFailure, with_remedy
    from .language import _
else:  # GIMP runs the plug-in from a folder
    from failure import WorkerFailure, with_remedy
    from language import _

PROTOCOL = 2
RECORD = "worker.json"


@dataclass(frozen=True)
class Settings:
    """What ``gossamer gimp install`` or Set-up… wrote down: whose Python runs the worker, and how."""

    python: str
    flags: tuple[str, ...]
    gossamer: str
    protocol: int

    @classmethod
    def read(cls, folder: str) -> Settings:
        """Read ``worker.json`` in the plug-in's folder."""
        path = os.path.join(folder, RECORD)
        try:
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
            settings = cls(data["python"], tuple(data["flags"]), data["gossamer"], data["protocol"])
        except FileNotFoundError:
            raise WorkerFailure(with_remedy(_("Gossamer is not set up yet."))) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkerFailure(
                with_remedy(_("{path} cannot be used ({error}).").format(path=path, error=error))
            ) from None
        if settings.protocol != PROTOCOL:
            why = _("The plug-in and Gossamer {version} do not fit together.").format(version=settings.gossamer)
            raise WorkerFailure(with_remedy(why))
        return settings

    def write(self, folder: str) -> None:
        """Write ``worker.json`` into the plug-in's folder, whole or not at all; raises OSError."""
        path = os.path.join(folder, RECORD)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
            file.write("\n")
        os.replace(f"{path}.new", path)


def version_numbers(version: object) -> tuple[int, ...]:
    """Return the numbers of a version, to compare it with another one."""
    return tuple(int(number) for number in re.findall(r"\d+", str(version))[:3])

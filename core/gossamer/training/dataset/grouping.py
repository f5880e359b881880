"""Which pictures belong together: those of one product, one person, one session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gossamer.errors import InputError

__all__ = ["group_of"]

_TAIL = re.compile(r"[-_ .]*(\d+|\(\d+\)|[-_ ][^-_ ]*)$")


def group_of(how: str, picture: Path, root: Path, name: str, row: Mapping[str, Any] | None = None) -> str:
    """Return the name of the group that a picture belongs to.

    Parameters
    ----------
    how : str
        As :class:`~gossamer.settings.dataset.Data` has it in `group`.
    picture, root : Path
        The file, and the folder that the set was read from.
    name : str
        The example's name, a group of its own for ``none``.
    row : mapping, optional
        The line of the table that it is from.

    Raises
    ------
    InputError
        A column is asked for and there is none of that name.
    """
    path = picture.relative_to(root).as_posix() if root in picture.parents else picture.name
    if how == "folder":
        return f"folder {Path(path).parent.as_posix()}"
    if how == "prefix":
        stem = Path(path).stem
        return f"prefix {_TAIL.sub('', stem) or stem}"
    if how.startswith("column:"):
        column = how.removeprefix("column:")
        if row is None or column not in row:
            where = "there is no table to have one" if row is None else f"the table has {', '.join(row)}"
            raise InputError(f"There is no column {column!r} to group by: {where}.", "Choose another --group.")
        value = row[column]
        return f"{column} {value}" if value not in (None, "") else f"picture {name}"
    if how != "none" and (found := re.search(how, path)):
        return f"match {found[1] if found.re.groups and found[1] is not None else found[0]}"
    return f"picture {name}"

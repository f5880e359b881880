"""Tables that several programs and several users write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.files import change_json, make_folder, read_json
from tests.files.users import ALICE, BOB, as_root, common_folder, run_as

ADD = (
    "import sys\nfrom pathlib import Path\nfrom gossamer.files import change_json\n"
    "for name in sys.argv[2:]: change_json(Path(sys.argv[1]), lambda table: {**table, name: 1}, 60)\n"
)


def test_nothing_is_lost_when_several_write_at_once(tmp_path: Path) -> None:
    file, names = tmp_path / "table.json", [[f"{one}-{i}" for i in range(40)] for one in range(4)]
    writers = [subprocess.Popen([sys.executable, "-c", ADD, file, *some]) for some in names]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert read_json(file) == {name: 1 for some in names for name in some}
    assert {path.name for path in tmp_path.iterdir()} == {"table.json", ".table.lock"}


def test_a_holder_of_the_lock_that_is_killed_keeps_nobody_waiting(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom gossamer.files import change_json\n"
        "def change(table):\n    print('held', flush=True)\n    time.sleep(300)\n"
        "change_json(Path(sys.argv[1]), change, 60)\n"
    )
    file = tmp_path / "table.json"
    file.write_text('{"a": 1}')
    holder = subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TimeoutError):
            change_json(file, lambda table: {**table, "b": 1}, 0.05)
        holder.kill()
        holder.wait(60)
    change_json(file, lambda table: {**table, "b": 1}, 5)
    assert read_json(file) == {"a": 1, "b": 1}


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"a": ' + "[" * 100_000])
def test_what_cannot_be_read_is_never_written_over(tmp_path: Path, text: str) -> None:
    file = tmp_path / "table.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        change_json(file, lambda table: {**table, "b": 1}, 5)
    assert file.read_text() == text
    for nothing in ("", "\n"):
        file.write_text(nothing)
        change_json(file, lambda table: {**table, "b": 1}, 5)
        assert json.loads(file.read_text()) == {"b": 1}


@pytest.mark.long
@as_root
def test_two_users_of_one_folder_both_write_its_table() -> None:
    for mode, others in ((0o2770, 0o660), (0o1777, 0o666)):
        with common_folder(mode, 54000) as folder:
            if mode == 0o1777:
                folder.chmod(0o777)  # in a sticky folder nobody replaces another's file
            run_as(ALICE, ADD, folder / "table.json", "alice")
            run_as(BOB, ADD, folder / "table.json", "bob")
            run_as(ALICE, ADD, folder / "table.json", "again")
            assert read_json(folder / "table.json") == {"alice": 1, "bob": 1, "again": 1}
            assert (folder / "table.json").stat().st_mode & 0o777 == others
            code = "import sys; from pathlib import Path; from gossamer.files import make_folder\n"
            run_as(ALICE, code + "make_folder(Path(sys.argv[1]))", folder / "models")
            run_as(BOB, "import sys; open(sys.argv[1], 'w')", folder / "models" / "x")


@pytest.mark.long
@as_root
def test_a_table_that_may_not_be_read_stays(tmp_path: Path) -> None:
    with common_folder(0o777) as folder:
        file = folder / "table.json"
        file.write_text('{"a": 1}')
        file.chmod(0o600)
        code = ADD.replace("for name", "import contextlib\nwith contextlib.suppress(PermissionError):\n for name")
        run_as(ALICE, code, file, "alice")
        assert read_json(file) == {"a": 1}


def test_a_folder_is_for_those_who_may_use_the_one_around_it(tmp_path: Path) -> None:
    for mode in (0o700, 0o755, 0o775, 0o777):
        tmp_path.chmod(mode)
        make_folder(tmp_path / f"{mode:o}")
        assert (tmp_path / f"{mode:o}").stat().st_mode & 0o777 == mode
    make_folder(tmp_path / "777")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        make_folder(tmp_path / "file")
    assert os.listdir(tmp_path / "777") == []

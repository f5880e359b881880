"""What replaces a file: for the same eyes as before, never along somebody else's link, never half."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.errors import OutputError, OutputExists
from gossamer.files import check_folder, check_place, drafts, move_into_place, write_bytes, write_together
from gossamer.platform import names
from tests.files.users import ALICE, BOB, as_root, common_folder, run_as

WRITE = "import sys; from gossamer.files import write_bytes; write_bytes(sys.argv[1], b'new', force=True)"


def test_a_private_file_is_private_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fsync = tmp_path / "x.png", os.fsync
    seen: list[int] = []

    def look(descriptor: int) -> None:
        seen.extend(one.stat().st_mode & 0o777 for one in tmp_path.iterdir() if one != path)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    for mode in (0o600, 0o640, 0o400, 0o666):
        path.write_bytes(b"old")
        path.chmod(mode)
        write_bytes(path, b"new", force=True)
        assert path.stat().st_mode & 0o777 == mode
        path.unlink()
    assert set(seen) == {0o600}


def test_what_is_moved_over_a_private_file_is_private(tmp_path: Path) -> None:
    old, new = tmp_path / "m.onnx", tmp_path / "new"
    old.write_bytes(b"old")
    old.chmod(0o600)
    new.write_bytes(b"new")
    with pytest.raises(FileExistsError):
        move_into_place(new, old, force=False)
    move_into_place(new, old, force=True)
    assert (old.read_bytes(), old.stat().st_mode & 0o777, new.exists()) == (b"new", 0o600, False)


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Tag, permissions and id of each entry, as Linux stores an access control list."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's access control lists")
def test_access_control_lists_are_kept_and_not_widened(tmp_path: Path) -> None:
    nobody = 0xFFFFFFFF
    some = acl((1, 6, nobody), (2, 4, ALICE), (4, 0, nobody), (16, 4, nobody), (32, 0, nobody))
    path = tmp_path / "x.png"
    path.write_bytes(b"old")
    try:
        os.setxattr(path, "system.posix_acl_access", some)
    except OSError:
        pytest.skip("this file system has no access control lists")
    write_bytes(path, b"new", force=True)
    assert os.getxattr(path, "system.posix_acl_access") == some
    # A folder that would give Bob a right to every new file gives him none to one that replaces a file without.
    path.unlink()
    path.write_bytes(b"old")
    path.chmod(0o640)
    default = acl((1, 7, nobody), (2, 7, BOB), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody))
    os.setxattr(tmp_path, "system.posix_acl_default", default)
    write_bytes(path, b"new", force=True)
    assert "system.posix_acl_access" not in os.listxattr(path)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.long
@as_root
def test_a_link_that_somebody_else_planted_is_not_followed() -> None:
    with common_folder(0o1777) as folder, common_folder(0o777) as elsewhere:
        for name in ("alices", "bobs"):
            (elsewhere / name).write_bytes(b"old")
            (elsewhere / name).chmod(0o666)
        for user, link, target in ((ALICE, "a.png", "alices"), (BOB, "b.png", "bobs")):
            code = "import os, sys; os.symlink(*sys.argv[1:])"
            run_as(user, code, elsewhere / target, folder / link)
            run_as(user, code, elsewhere, folder / f"{link}-folder")
        run_as(ALICE, WRITE, folder / "a.png")
        assert (elsewhere / "alices").read_bytes() == b"new"
        for path in (folder / "b.png", folder / "b.png-folder" / "alices"):
            for function in (check_place, lambda path, force: write_bytes(path, b"", force=force)):
                with pytest.raises(OutputError, match="a link that somebody else has put"):
                    function(path, force=True)
        assert (elsewhere / "bobs").read_bytes() == b"old"
        assert sorted(path.name for path in elsewhere.iterdir()) == ["alices", "bobs"]


def test_links_of_ones_own_are_followed_link_after_link(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "one").symlink_to("deep/two")
    (tmp_path / "deep" / "two").symlink_to(tmp_path / "deep" / "er" / ".." / "x.png")
    write_bytes(tmp_path / "one", b"new", force=True)
    assert (tmp_path / "deep" / "x.png").read_bytes() == b"new"
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OutputError, match="could not be written"):
        write_bytes(tmp_path / "round", b"new", force=True)


def refuse_modern_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has neither hard links nor a rename that replaces nothing."""

    def no_links(source: object, target: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(names, "_rename_function", lambda: None)


def test_a_system_without_hard_links_and_such_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_modern_ways(monkeypatch)
    write_bytes(tmp_path / "x.png", b"one")
    with pytest.raises(OutputExists):
        write_bytes(tmp_path / "x.png", b"two")
    assert (tmp_path / "x.png").read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.skipif(os.name != "posix", reason="Windows renames so by itself")
def test_a_name_that_a_killed_writer_took_is_given_back(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom gossamer.files import write_bytes\n"
        "from gossamer.platform import names\n"
        "def no(*_): raise PermissionError(1, 'no')\n"
        "os.link = no\nnames._rename_function = lambda: None\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_bytes(sys.argv[1], b'data')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.png"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "x.png").read_bytes() == b""
    assert len(list(tmp_path.iterdir())) == 3  # the empty file, the note and the draft
    drafts.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []
    # What is not that file is nobody's to remove.
    note = tmp_path / ".gossamer-0123456789ab.claim"
    for content in (b"x.png", b"../x.png", b""):
        (tmp_path / "x.png").write_bytes(b"somebody's")
        note.write_bytes(content)
        drafts.sweep(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_a_folder_that_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, fsync = tmp_path / "folder", os.fsync
    folder.mkdir()

    def vanish(descriptor: int) -> None:
        fsync(descriptor)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    monkeypatch.setattr(os, "fsync", vanish)
    with pytest.raises(OutputError, match=r"The folder .* does not exist"):
        write_bytes(folder / "x.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "x.png", tmp_path / "file" / "deeper" / "x.png"):
        with pytest.raises(OutputError, match=r"file is a file, not a folder\. Give another folder\."):
            check_folder(path)
        with pytest.raises(OutputError, match="file is a file, not a folder"):
            write_bytes(path, b"new")


def test_files_that_belong_together_are_all_there_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "shadow.png", tmp_path / "cut.png"
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"cut\.png could not be written: No space left"):
            write_together([(first, b"layer"), (second, b"cut-out")])
    assert list(tmp_path.iterdir()) == []
    second.write_bytes(b"somebody's")
    with pytest.raises(OutputExists, match=r"cut\.png exists"):
        write_together([(first, b"layer"), (second, b"cut-out")])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"somebody's"]
    write_together([(first, b"layer"), (second, b"cut-out")], force=True)
    assert (first.read_bytes(), second.read_bytes()) == (b"layer", b"cut-out")

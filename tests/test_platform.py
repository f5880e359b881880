"""What differs between systems stands in one place of the library, and in one of the plug-in's; the two agree."""

from __future__ import annotations

import ast
import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossamer import platform
from gossamer.worker import meeting
from gossamer_gimp import system

ROOT = Path(__file__).parent.parent
PLACES = {*ROOT.glob("core/gossamer/platform/*.py"), ROOT / "gimp_plugin/gossamer_gimp/system.py"}
MODULES = {"fcntl", "resource", "msvcrt", "winreg", "_winapi", "pwd", "grp", "termios", "signal", "posix", "nt"}
NAMES = {
    "os": {
        *("name", "fork", "forkpty", "register_at_fork", "kill", "killpg", "setsid", "getpgid", "setpgid", "umask"),
        *("getuid", "geteuid", "getgid", "getlogin", "chown", "lchown", "setuid", "sched_getaffinity", "uname", "nice"),
        *("O_NOFOLLOW", "O_BINARY", "startfile", "getloadavg", "mkfifo", "statvfs", "O_TMPFILE"),
    },
    "sys": {"platform", "getwindowsversion"},
    "socket": {"AF_UNIX", "SO_PEERCRED", "SO_REUSEPORT", "SCM_RIGHTS"},
    "platform": {"system", "uname", "win32_ver", "mac_ver"},
    "subprocess": {"STARTUPINFO", "CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW", "DETACHED_PROCESS"},
}
WORDS = {"start_new_session", "preexec_fn", "creationflags", "LOCALAPPDATA", "APPDATA", "XDG_RUNTIME_DIR"}


def found(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            yield from ((line, alias.name) for alias in node.names if alias.name.partition(".")[0] in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module in MODULES:
                yield line, node.module
            yield from ((line, alias.name) for alias in node.names if alias.name in NAMES.get(node.module, ()))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in NAMES.get(node.value.id, ()):
                yield line, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WORDS:
            yield line, node.value
        elif isinstance(node, ast.keyword) and node.arg in WORDS:
            yield line, str(node.arg)


@pytest.mark.long
def test_no_other_file_names_what_one_system_has() -> None:
    files = [
        *ROOT.glob("core/gossamer/**/*.py"),
        *ROOT.glob("gimp_plugin/**/*.py"),
        *ROOT.glob("comfyui_nodes/**/*.py"),
    ]
    assert PLACES <= set(files)
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        if path not in PLACES
        for line, name in found(ast.parse(path.read_text("utf-8")))
    ]
    assert wrong == []


def test_the_check_sees_what_it_looks_for() -> None:
    seen = {name for path in PLACES for _, name in found(ast.parse(path.read_text("utf-8")))}
    assert {"os.getuid", "signal", "sys.platform", "os.killpg", "LOCALAPPDATA", "start_new_session"} <= seen


@pytest.mark.long
@pytest.mark.parametrize("target", ["win32", "darwin"])
def test_the_lines_for_other_systems_are_sound_to_a_type_checker(target: str) -> None:
    cache = ROOT / ".mypy_cache" / target  # of its own, and kept
    command = [sys.executable, "-m", "mypy", "--platform", target, "--cache-dir", str(cache)]
    # They import the standard library alone: what the package imports besides takes half a minute and says nothing.
    command += ["--follow-imports", "skip"]
    files = [str(path) for path in (ROOT / "core/gossamer/platform/processes.py", ROOT / "core/gossamer/errors.py")]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_both_ends_look_for_each_other_in_one_folder_on_every_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for runtime in (str(tmp_path), str(tmp_path / "gone"), "", "relative", "/proc/1"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        assert system.runtime_folder() == str(platform.runtime_folder())
    monkeypatch.setattr(sys, "platform", "win32")
    for local in (str(tmp_path), ""):
        monkeypatch.setenv("LOCALAPPDATA", local)
        assert system.runtime_folder() == str(platform.runtime_folder())
    assert system.MARK == meeting.MARK.encode()


def test_what_is_private_to_one_end_is_so_to_the_other(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir(mode=0o700)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o750)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for name, fault in (("own", None), ("open", "open"), ("file", "kind"), ("link", "kind")):
        assert platform.privacy_fault(tmp_path / name) == fault
        assert system.is_private(str(tmp_path / name)) is (fault is None)


def test_a_private_file_is_for_its_user_alone_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    platform.write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("force", [False, True])
def test_a_group_is_ended_with_all_that_it_started(tmp_path: Path, force: bool) -> None:
    child = "import time; print('on', flush=True); time.sleep(600)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, **platform.new_group())
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"on\n"
        platform.end_group(process, force=force)
        assert process.wait(30) != 0
        assert process.stdout.read() == b""  # the end of the pipe: the child is gone as well


_HEAPS = """
import ctypes, os, sys, tempfile, threading
from gossamer.platform import share_heaps
if sys.argv[1] == "shared":
    share_heaps()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
ready = threading.Barrier(12)
def take():
    library.malloc(1000)
    ready.wait()
threads = [threading.Thread(target=take) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
library.fopen.restype = ctypes.c_void_p
path = os.path.join(sys.argv[2], "heaps.xml")
file = ctypes.c_void_p(library.fopen(path.encode(), b"w"))
library.malloc_info(0, file)
library.fclose(file)
print(open(path).read().count("<heap nr="))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
@pytest.mark.parametrize(("how", "chosen", "most"), [("shared", "", {2}), ("shared", "5", {5}), ("own", "", {8, 13})])
def test_threads_share_heaps(how: str, chosen: str, most: set[int], tmp_path: Path) -> None:
    """Twelve threads that live at once, and the main one: else each has its own, up to eight on a single core."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    if chosen:
        environment["MALLOC_ARENA_MAX"] = chosen
    command = [sys.executable, "-c", _HEAPS, how, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, text=True, timeout=60)
    assert int(done.stdout) in most


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what of a mapped file is in memory")
def test_a_mapped_file_is_brought_in_at_once(tmp_path: Path) -> None:
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (5, 14):
        pytest.skip("this Linux brings pages in one by one")
    path = tmp_path / "mapped"
    path.write_bytes(bytes(8 << 20))

    def held() -> int:
        lines = Path("/proc/self/smaps").read_text().splitlines()
        start = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
        return next(int(line.split()[1]) for line in lines[start:] if line.startswith("Rss:"))

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert held() == 0
        platform.bring_in(mapped)
        assert held() == 8 << 10

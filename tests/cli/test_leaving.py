"""Ctrl-C and SIGTERM, wherever they come: one line, status 130, nothing left over; and whom they do not concern."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.cli import main

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process alone")

CANCELLED = "gossamer: Cancelled.\n"

# A command whose work is BODY, in a process of its own.
COMMAND = """
import atexit, hashlib, os, signal, sys, threading, time
from pathlib import Path
import gossamer.cli
from gossamer.__main__ import start
from gossamer.cli import terminal
from gossamer.files.drafts import draft, note, staging_folder
def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)
def work(arguments):
{body}
    return 0
gossamer.cli._run = work
sys.exit(start())
"""


def run(body: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = COMMAND.format(body="\n".join("    " + line for line in body.strip().splitlines()))
    # The limit is a guard against a hang: what is left runs for ever.
    return subprocess.run(
        [sys.executable, "-c", code, "x", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )


DEAF = {
    "swallows": "while True:\n    try:\n        interrupt()\n        time.sleep(300)\n    except BaseException:\n"
    "        pass",
    "one call": "threading.Timer(0.2, interrupt).start()\nhashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "terminated": "threading.Timer(0.2, interrupt, (signal.SIGTERM,)).start()\nhashlib.scrypt(b'', salt=b'', n=2**20, "
    "r=8, p=2**6, maxmem=2**31 - 1)",
    "tidies for ever": "try:\n    interrupt()\n    time.sleep(300)\nfinally:\n    time.sleep(300)",
}


@pytest.mark.long
@pytest.mark.parametrize("how", DEAF)
def test_who_does_not_hear_is_ended_and_leaves_nothing(how: str, tmp_path: Path) -> None:
    body = "target = Path('a.png').absolute()\n"
    body += "with draft(Path.cwd(), 0o600) as made, staging_folder(Path.cwd()) as folder, note(target):\n"
    body += "    made.fill(b'half a picture')\n    (folder / 'x').write_text('x')\n    target.touch()\n"
    done = run(body + "\n".join("    " + line for line in DEAF[how].splitlines()), folder=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (130, CANCELLED, "")
    assert list(tmp_path.iterdir()) == []


def test_who_is_ended_says_so_in_json_as_well() -> None:
    done = run(DEAF["swallows"], "--json")
    assert (done.returncode, done.stderr) == (130, CANCELLED)
    assert json.loads(done.stdout) == {"error": {"message": "Cancelled.", "remedy": "", "exit_status": 130}}


@pytest.mark.parametrize(
    "error", ["RuntimeError('a library says it so')", "BaseException('not even an Exception')", "SystemExit(3)"]
)
def test_an_error_that_a_library_makes_of_it_is_not_told(error: str) -> None:
    done = run(f"try:\n    interrupt()\n    time.sleep(300)\nexcept KeyboardInterrupt:\n    raise {error} from None")
    assert (done.returncode, done.stderr) == (130, CANCELLED)


def test_an_import_that_would_complain_is_not_interrupted(tmp_path: Path) -> None:
    """One package in Rust printed a panic of many lines."""
    (tmp_path / "complaining.py").write_text(
        "import os, signal, time\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(300)\n"
        "except KeyboardInterrupt:\n    print('I PANIC')\n"
    )
    done = run("sys.path.insert(0, os.getcwd())\nimport complaining", folder=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (130, CANCELLED, "")


@pytest.mark.parametrize("module", ["gossamer.cli", "gossamer.platform", "gossamer.cli.leaving"])
def test_it_may_come_before_anything_is_loaded(module: str) -> None:
    code = (
        "import os, signal, sys, time\nclass Finder:\n    def find_spec(name, *_):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n            time.sleep(300)\n"
        "sys.meta_path.insert(0, Finder)\nfrom gossamer.__main__ import start\nstart()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, CANCELLED)


def test_it_may_come_too_late() -> None:
    done = run("atexit.register(interrupt)\nterminal.show('All is done.')")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "All is done.\n")


def test_a_process_that_is_forked_from_a_command_ends_without_a_word_and_alone() -> None:
    """It printed a traceback of its parent's handler."""
    done = run(
        "import warnings\n"
        "warnings.simplefilter('ignore')  # Python from 3.12 on would rather not fork beside threads\n"
        "for number in (signal.SIGTERM, signal.SIGINT):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(20)\n"
        "    os.kill(child, number)\n"
        "    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == number\n"
        "time.sleep(0.6)  # longer than the patience of who would have heard the child's signal\n"
        "terminal.show('All is done.')"
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "All is done.\n")


def test_a_command_that_is_called_leaves_the_signals_as_they_were(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mine(*_: object) -> None:
        pass

    before = {number: signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    waker = signal.set_wakeup_fd(writer)
    try:
        monkeypatch.setattr(sys, "argv", ["gossamer", "--version"])
        assert main() == 0
        assert main(["--version"]) == 0
        assert [signal.getsignal(number) for number in before] == [mine, mine]
    finally:
        assert signal.set_wakeup_fd(waker) == writer
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
    assert capsys.readouterr().out.count("gossamer ") == 2

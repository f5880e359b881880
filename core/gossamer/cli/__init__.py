"""The command line: `gossamer COMMAND`. Each command's module is imported when it is called, no earlier."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from types import ModuleType

import gossamer
from gossamer.cli import terminal
from gossamer.cli.leaving import Leaving, failure, leave
from gossamer.errors import (
    Cancelled,
    DeviceError,
    GossamerError,
    InputError,
    OutputError,
    is_lack_of_memory,
    memory_remedy,
)
from gossamer.networks.memory import require_addresses
from gossamer.parallel.threads import rest_while_waiting
from gossamer.paths import remedy_of
from gossamer.platform import core_count, share_heaps
from gossamer.spelling import did_you_mean
from gossamer.telemetry import switch_off

__all__ = ["main"]

COMMANDS = {
    "remove": "cut the subject of a picture out",
    "batch": "cut out all pictures of folders, lists and tables, with a journal",
    "segment": "find what a prompt means: masks, boxes, scores, a preview",
    "refine": "finish a mask from anywhere: matting, colours, background",
    "finish": "put a cut-out on a canvas: crop, size, background, shadow, a shop's preset",
    "compare": "write a contact sheet of recipes or cut-outs",
    "evaluate": "measure masks or mattes against the truth",
    "video": "cut the subject of a clip out, of any length",
    "camera": "put something else behind whoever is before a camera, as it happens",
    "check": "tell whether cut-outs are good, without the truth",
    "report": "show what a batch made: a page for the browser, or contact sheets",
    "finetune": "train a network on your own pictures",
    "presets": "list and show what shops ask of pictures",
    "models": "list, fetch, find and verify model weights",
    "dataset": "check, split and show training data, and make it of cut-outs or of a batch",
    "promote": "prove that a trained model is better, and make it one that every face can use",
    "doctor": "what is installed, what is missing and how to get it",
    "gimp": "install, check or remove the GIMP 3 plug-in",
    "serve": "serve cut-outs over HTTP (extra service)",
    "keys": "make keys for the HTTP service",
    "worker": "serve cut-outs to the GIMP plug-in over a private socket",
}

_SYNONYMS = {
    "bulk": "batch",
    "folder": "batch",
    "p": "batch",
    "cut": "remove",
    "cutout": "remove",
    "rembg": "remove",
    "rm": "remove",
    "run": "remove",
    "clip": "video",
    "live": "camera",
    "webcam": "camera",
    "learn": "finetune",
    "train": "finetune",
    "film": "video",
    "mask": "segment",
    "matte": "refine",
    "diff": "compare",
    "measure": "evaluate",
    "download": "models get",
    "fetch": "models get",
    "get": "models get",
    "list": "models list",
    "preset": "presets show",
    "shops": "presets list",
    "ls": "models list",
    "canvas": "finish",
    "info": "doctor",
    "install": "gimp install",
    "server": "serve",
    "http": "serve",
}
"""What people type for a command, as they know it from other programs."""

_HELP = f"""usage: gossamer COMMAND [OPTIONS]

Background removal with edges fine enough for hair.

commands:
{chr(10).join(f"  {name:8} {text}" for name, text in COMMANDS.items())}

options:
  -h, --help     show this help
  --version      show the version

  gossamer remove photo.jpg            writes photo-cutout.png
  gossamer COMMAND --help              all options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The command and its arguments. None is those of this process, which is then taken to be ours alone: who asks it
        to end is heard, and where work goes on that cannot be stopped the process ends.
    """
    if argv is not None:
        return _status(list(argv), Leaving(_wants_json(argv)))
    share_heaps()
    arguments = sys.argv[1:]
    leaving = Leaving(_wants_json(arguments))
    with leaving.heard():
        status = _status(arguments, leaving)
    if status == Cancelled.exit_code:
        leave(status)
    return status


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--json" in (arguments[: arguments.index("--")] if "--" in arguments else arguments)


def _status(arguments: list[str], leaving: Leaving) -> int:
    terminal.ready()
    as_json = leaving.as_json
    try:
        status = _run(arguments)
        leaving.is_over = True
        return status
    except BaseException as error:
        # Asked to end while a library is at work, some raise an error of their own.
        cancelled = leaving.is_asked or isinstance(error, KeyboardInterrupt)
        leaving.is_over = True
        if cancelled:
            return _fail("Cancelled.", "", Cancelled.exit_code, as_json)
        return _told(error, as_json)


def _told(error: BaseException, as_json: bool) -> int:
    """Say what went wrong; return the exit status for it."""
    if isinstance(error, terminal.ReaderGone):
        return error.exit_code
    if isinstance(error, GossamerError):
        return _fail(error.message, error.remedy, error.exit_code, as_json)
    if isinstance(error, SystemExit):  # argparse, after --help
        return error.code if isinstance(error.code, int) else 0
    if os.environ.get("GOSSAMER_TRACEBACK") or not isinstance(error, Exception):
        raise error
    if is_lack_of_memory(error):
        return _fail(
            "There is not enough memory for this picture.",
            memory_remedy("Resize it first, or free memory."),
            1,
            as_json,
        )
    if isinstance(error, OSError) and error.errno in _REFUSALS:
        place = f" ({error.filename})" if isinstance(error.filename, str) else ""
        remedy = remedy_of(error, "Check permissions, disk and limits.")
        return _fail(f"The system refuses: {error.strerror}{place}.", remedy, OutputError.exit_code, as_json)
    return _fail(
        f"Unexpected {type(error).__name__}: {error}.",
        "This is a fault of Gossamer: please report it, with what GOSSAMER_TRACEBACK=1 prints.",
        70,
        as_json,
    )


_REFUSALS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}
"""What the machine may refuse to any program, wherever it happens: no fault of ours."""


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        terminal.show_text(_HELP)
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        terminal.show(f"gossamer {gossamer.__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        close = did_you_mean(arguments[0], COMMANDS, _SYNONYMS)
        raise InputError(f"There is no command {arguments[0]!r}.", f"{close}Choose one of: {', '.join(COMMANDS)}.")
    switch_off()
    rest_while_waiting()
    _require_room(arguments[0])
    status: int = _command(arguments[0]).run(arguments[1:])
    return status


def _command(name: str) -> ModuleType:
    """Import a command with all that it needs.

    What is made meanwhile, classes and functions, stays: to look through it for garbage again and again takes a seventh
    of the start.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(f"gossamer.cli.{name}")
    finally:
        if collects:
            gc.enable()


def _require_room(command: str) -> None:
    """Refuse what a limit on this process's addresses leaves no room for, while it can still be said.

    Measured with one and two threads (NumPy 2, OpenCV 5, SciPy 1.17): NumPy takes 60 MB and 45 for each thread that
    OpenBLAS makes at its import, all three, each with an OpenBLAS of its own, 190 MB and 220 for each. Of threads that
    work on pictures every one takes 64 MB beside its stack (glibc), and where those cannot be had libraries crash:
    batches and clips did with up to 1.0 GB, not from 1.1 GB on.
    """
    if "cv2" in sys.modules:  # called in a process where they are loaded
        return
    threads = core_count()
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdecimal():
            threads = max(1, min(threads, int(os.environ[name])))
            break
    first, each = (60_000_000, 45_000_000) if command in _WITHOUT_PICTURES else (190_000_000, 220_000_000)
    first += 600_000_000 if command in _IN_THREADS else 0
    try:
        require_addresses(first + each * min(threads, _MOST_THREADS), f"`gossamer {command}`")
    except DeviceError as error:
        fewer = " Or set OPENBLAS_NUM_THREADS=1." if threads > 1 else ""
        raise DeviceError(error.message, error.remedy + fewer) from None


_WITHOUT_PICTURES = ("doctor", "gimp", "keys", "models", "presets")
_IN_THREADS = ("batch", "camera", "finetune", "serve", "video", "worker")
_MOST_THREADS = 64  # NumPy's OpenBLAS is built for no more


def _fail(message: str, remedy: str, status: int, as_json: bool) -> int:
    terminal.tell(f"gossamer: {message} {remedy}".rstrip())
    if as_json:
        with suppress(OutputError):  # that standard output fails may be what is told
            terminal.show_json(failure(message, remedy, status))
    return status

"""The command line: `gossamer COMMAND`. Each command's module is imported when it is called, no earlier."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Sequence

import gossamer
from gossamer.errors import Cancelled, GossamerError
from gossamer.platform import on_termination
from gossamer.telemetry import switch_off

__all__ = ["main"]

COMMANDS = {
    "remove": "cut the subject of a picture out",
    "segment": "find what a prompt means: masks, boxes, scores, a preview",
    "refine": "finish a mask from anywhere: matting, colours, background",
    "compare": "write a contact sheet of recipes or cut-outs",
    "evaluate": "measure masks or mattes against the truth",
    "models": "list, fetch, find and verify model weights",
    "doctor": "what is installed, what is missing and how to get it",
    "gimp": "install, check or remove the GIMP 3 plug-in",
    "worker": "serve cut-outs to the GIMP plug-in over a private socket",
}

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
    """Run one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_HELP, end="")
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"gossamer {gossamer.__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        return _fail(f"There is no command {arguments[0]!r}. Choose one of: {', '.join(COMMANDS)}.", "", 2, False)
    as_json = "--json" in arguments
    switch_off()
    on_termination(_terminate)
    try:
        command = importlib.import_module(f"gossamer.cli.{arguments[0]}")
        status: int = command.run(arguments[1:])
        sys.stdout.flush()
        return status
    except GossamerError as error:
        return _fail(error.message, error.remedy, error.exit_code, as_json)
    except KeyboardInterrupt:
        return _fail("Cancelled.", "", Cancelled.exit_code, as_json)
    except BrokenPipeError:
        # Whoever read our output has gone; point stdout elsewhere so that Python's own flush stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("There is not enough memory for this picture.", "Resize it first, or free memory.", 1, as_json)
    except Exception as error:
        if os.environ.get("GOSSAMER_TRACEBACK"):
            raise
        return _fail(
            f"Unexpected {type(error).__name__}: {error}.",
            "This is a fault of Gossamer: please report it, with what GOSSAMER_TRACEBACK=1 prints.",
            70,
            as_json,
        )


def _terminate() -> None:
    """Turn SIGTERM into the same clean way out as Ctrl-C."""
    raise KeyboardInterrupt


def _fail(message: str, remedy: str, status: int, as_json: bool) -> int:
    text = " ".join(f"{message} {remedy}".split())
    print(f"gossamer: {text}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"message": message, "remedy": remedy, "exit_status": status}}))
    return status

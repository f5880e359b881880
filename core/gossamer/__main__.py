"""`python -m gossamer`, and what is installed as `gossamer`: the command line, in a process of its own."""

from __future__ import annotations

import atexit
import os

__all__ = ["start"]


def start() -> int:
    """Run the command that this process was started with; returns its exit status."""
    status = 0
    try:
        from gossamer.cli import main
        from gossamer.cli.leaving import at_once, leave
        from gossamer.platform import ignore_interrupts

        ending = atexit.register(lambda: at_once(status))  # after all others, which come later
        try:
            status = main()
        except Exception:  # told by Python, with an exit status of its own
            atexit.unregister(ending)
            raise
        ignore_interrupts()  # nothing is left to be stopped
    except KeyboardInterrupt:
        os.write(2, b"gossamer: Cancelled.\n")
        os._exit(130)
    if status:
        leave(status)
    return status


if __name__ == "__main__":
    raise SystemExit(start())

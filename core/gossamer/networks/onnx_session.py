"""ONNX Runtime's sessions, opened in the one way that says what goes wrong where it can be heard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gossamer.errors import ModelError, first_line, is_lack_of_memory
from gossamer.parallel.threads import thread_count
from gossamer.telemetry import onnxruntime

__all__ = ["is_of_a_run", "open_session", "session_options"]


def session_options() -> Any:
    """Return options for :func:`open_session`, to which more may be added."""
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads = thread_count()
    # What goes wrong is raised: as lines on standard error it would be said twice, and get past --quiet.
    options.log_severity_level = 4
    # Spinning threads burn the cores of whoever comes next, and make no run here faster.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(path: Path, options: Any, providers: Sequence[Any]) -> Any:
    """Open a session.

    Parameters
    ----------
    path : Path
        The .onnx file.
    options
        Of :func:`session_options`.
    providers : sequence
        As onnxruntime takes them. A provider whose libraries are missing may be left out by it without a word: look at
        the session's.

    Raises
    ------
    ModelError
        The file is no model that it can load.
    MemoryError
        There is no room for it.
    """
    try:
        # Its own second attempt, on the CPU, prints lines on standard output, which may be the picture's.
        session = onnxruntime().InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
        for each in (*session.get_inputs(), *session.get_outputs()):
            _ = each.name, each.shape  # which may be no text, and raise only when they are asked for
        return session
    except Exception as error:  # onnxruntime's exceptions share no base class
        if is_lack_of_memory(error):
            raise MemoryError(first_line(error)) from None
        raise ModelError(
            f"{path.name} is not a model that ONNX Runtime can load ({first_line(error)}).",
            "Fetch it again with: gossamer models get ID --force",
        ) from error


def is_of_a_run(error: BaseException) -> bool:
    """Tell whether running a graph has failed, and not what was called meanwhile.

    What ``session.run`` raises is onnxruntime's own; ``run_with_iobinding`` raises a plain RuntimeError.
    """
    said = isinstance(error, RuntimeError) and str(error).startswith("Error in execution")
    return said or type(error).__module__.startswith("onnxruntime")

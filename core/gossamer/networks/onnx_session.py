"""ONNX Runtime's sessions, opened in the one way that says what goes wrong where it can be heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gossamer.errors import DeviceError, ModelError, first_line, is_lack_of_memory
from gossamer.networks.devices import DeviceKind, candidates, fallen_back, providers_of
from gossamer.parallel.threads import thread_count
from gossamer.telemetry import onnxruntime

__all__ = [
    "CPU",
    "Started",
    "is_of_a_run",
    "open_session",
    "session_options",
    "started_session",
    "trial_in_onnx",
]

CPU = "CPUExecutionProvider"

_TRIAL = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201745a0f0a0178120a0a0808011204"
    "0a020801620f0a0179120a0a08080112040a02080142040a00100f"
)
"""A graph in operator set 15 that takes one number and gives what a ReLU makes of it."""


class Started(NamedTuple):
    """A session, the name of the device that it is on, and what its user should know of others."""

    session: Any
    device: str
    warnings: tuple[str, ...]


def session_options() -> Any:
    """Return options for :func:`open_session`, to which more may be added."""
    options = onnxruntime().SessionOptions()
    options.intra_op_num_threads = thread_count()
    # What goes wrong is raised: as lines on standard error it would be said twice, and get past --quiet.
    options.log_severity_level = 4
    # Spinning threads burn the cores of whoever comes next, and make no run here faster.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def open_session(path: Path, options: Any, providers: Sequence[Any], graph: bytes | None = None) -> Any:
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
    graph : bytes, optional
        What to open in the file's place, see :func:`gossamer.networks.plain_graph.without_detours`.

    Raises
    ------
    ModelError
        The file is no model that it can load.
    MemoryError
        There is no room for it.
    """
    try:
        # Its own second attempt, on the CPU, prints lines on standard output, which may be the picture's.
        model = str(path) if graph is None else graph
        session = onnxruntime().InferenceSession(model, options, providers=list(providers), enable_fallback=0)
        for each in (*session.get_inputs(), *session.get_outputs()):
            _ = each.name, each.shape  # which may be no text, and raise only when they are asked for
        if graph is not None and hasattr(session, "_model_bytes"):
            session._model_bytes = b""  # kept for set_providers, which nobody calls: 176 MB
        return session
    except Exception as error:  # onnxruntime's exceptions share no base class
        if is_lack_of_memory(error):
            raise MemoryError(first_line(error)) from None
        raise ModelError(
            f"{path.name} is not a model that ONNX Runtime can load ({first_line(error)}).",
            "Fetch it again with: gossamer models get ID --force",
        ) from error


def started_session(path: Path, device: str, options: Callable[[], Any], on_cpu: Callable[[], Any]) -> Started:
    """Open a session on a device, or for ``"auto"`` on the first that starts.

    Parameters
    ----------
    path : Path
        The .onnx file.
    device : str
        ``"auto"``, or one of :data:`~gossamer.networks.devices.DEVICE_TABLE`.
    options : callable
        Returns new options, see :func:`session_options`.
    on_cpu : callable
        Opens the session on the processor.

    Raises
    ------
    DeviceError
        A device was asked for and cannot be had, or does not start.
    ModelError, MemoryError
        As `on_cpu`.
    """
    problems: list[str] = []
    for kind in candidates(device):
        if kind.name == "cpu":
            return Started(on_cpu(), kind.name, fallen_back(problems, kind))
        session, reason = _opened_on(kind, options, path)
        if session is not None:
            return Started(session, kind.name, fallen_back(problems, kind))
        problems.append(f"{kind.title} could not be started{f' ({reason})' if reason else ''}")
    raise DeviceError(f"{problems[0]}.", "Check the driver and its libraries' versions with: gossamer doctor")


def trial_in_onnx(kind: DeviceKind) -> str:
    """Return what is wrong with a device that ONNX Runtime offers, "" where nothing is: a tiny graph shows it."""
    session, reason = _opened_on(kind, session_options, Path("trial.onnx"), _TRIAL)
    return "" if session is not None else reason or "it takes the CPU in its place"


def _opened_on(
    kind: DeviceKind, options: Callable[[], Any], path: Path, graph: bytes | None = None
) -> tuple[Any | None, str]:
    """Return a session on a device; None where it does not start, and why, where that is known."""
    reason = ""
    for provider in providers_of(kind):
        try:  # one that is offered may lack its libraries: some then take the CPU in silence, some raise
            session = open_session(path, options(), [provider, CPU], graph)
        except (ModelError, MemoryError) as error:
            reason = reason or first_line(error.__cause__ or error)
            continue
        if session.get_providers()[0] == provider[0]:
            return session, ""
    return None, reason


def is_of_a_run(error: BaseException) -> bool:
    """Tell whether running a graph has failed, and not what was called meanwhile.

    What ``session.run`` raises is onnxruntime's own; ``run_with_iobinding`` raises a plain RuntimeError.
    """
    said = isinstance(error, RuntimeError) and str(error).startswith("Error in execution")
    return said or type(error).__module__.startswith("onnxruntime")

"""The exception tree: every error says what is wrong and what to do about it."""

from __future__ import annotations

from gossamer.platform import addresses_left

__all__ = [
    "Cancelled",
    "DeviceError",
    "DownloadError",
    "GossamerError",
    "InputError",
    "LicenceError",
    "MissingExtra",
    "ModelError",
    "ModelIntegrityError",
    "ModelNotFound",
    "OutputError",
    "OutputExists",
    "WorkerError",
    "first_line",
    "import_failure",
    "is_lack_of_memory",
    "memory_remedy",
]


class GossamerError(Exception):
    """Base of every error that Gossamer raises on purpose.

    Parameters
    ----------
    message : str
        One sentence that says what is wrong.
    remedy : str, optional
        One sentence that says what to do.

    Attributes
    ----------
    exit_code : int
        Exit status of the command line.
    http_status : int
        Status of the HTTP service.
    """

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message and the remedy as one line."""
        return f"{self.message} {self.remedy}".strip()


class InputError(GossamerError):
    """A picture, mask or setting that cannot be used."""

    exit_code = 2
    http_status = 422


class OutputError(GossamerError):
    """The result could not be written."""

    exit_code = 3
    http_status = 507


class OutputExists(OutputError):
    """The output file exists and nobody allowed to replace it."""

    http_status = 409


class ModelError(GossamerError):
    """A model could not be loaded or run."""

    exit_code = 4


class ModelNotFound(ModelError):
    """No such model, or its weights are not on this machine."""

    http_status = 404


class ModelIntegrityError(ModelError):
    """The weights are not the bytes that they should be."""


class DownloadError(ModelError):
    """The weights could not be fetched from any source."""

    http_status = 502


class LicenceError(ModelError):
    """The licence of the weights was not accepted."""

    http_status = 403


class DeviceError(GossamerError):
    """The asked-for device or precision is not available."""

    exit_code = 5


class MissingExtra(GossamerError):
    """An optional package is not installed."""

    exit_code = 6
    http_status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package.", f"Type: pip install 'gossamer[{extra}]'")
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        """Pickle by the constructor's own arguments."""
        return type(self), (self.message.removesuffix(" needs an optional package."), self.extra)


def import_failure(error: ImportError, what: str, extra: str) -> GossamerError | MemoryError:
    """Return what to raise where an optional package could not be imported: it is not always that it is missing.

    Parameters
    ----------
    error : ImportError
    what, extra : str
        As :class:`MissingExtra` takes them.
    """
    if is_lack_of_memory(error):
        return MemoryError(str(error))
    if isinstance(error, ModuleNotFoundError):
        return MissingExtra(what, extra)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(
        f"{what} needs a package that is installed, but cannot be loaded: {lines[-1].strip()[:200]}.",
        f"Remove that package with pip. Type: pip install 'gossamer[{extra}]'",
    )


class WorkerError(GossamerError):
    """The worker process could not be started or reached, or refused a request."""

    exit_code = 7


class Cancelled(GossamerError):
    """The work was stopped on request: raise it in a progress callback to stop."""

    exit_code = 130
    http_status = 499

    def __init__(self, message: str = "Cancelled.", remedy: str = "") -> None:
        super().__init__(message, remedy)


_NO_MEMORY = (
    "insufficient memory",
    "bad_alloc",
    "bad alloc",
    "failed to allocate",
    "can't allocate memory",
    "alloc_failed",
    "alloc failed",  # protobuf's arenas
    "out_of_resources",
    "not enough memory",
    "out of memory",
    "cannot allocate memory",
    "can't start new thread",
)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error of others says, cut off where it is long, or its type."""
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__


def is_lack_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that there is not enough memory: what others say where Python says MemoryError.

    OpenCV, ONNX Runtime, OpenVINO and torch have errors of their own, on processors told by their text alone; threads
    need room for their stacks, and of a library that has no room the loader says that it "failed to map" it (with
    a reason after that where there is another). oneDNN, which has said of which kind a layer's code is to be by then,
    has no room for the code or what it works in.
    """
    if isinstance(error, MemoryError):
        return True
    said = str(error).lower()
    if isinstance(error, ImportError) and said.endswith("failed to map segment from shared object"):
        return True
    return said == "could not create a primitive" or any(word in said for word in _NO_MEMORY)


def memory_remedy(otherwise: str) -> str:
    """Return what to do where there is not enough memory.

    Parameters
    ----------
    otherwise : str
        What helps everywhere. Where a limit is set for the addresses of this process, what helps first is to raise it.
    """
    if addresses_left() is None:
        return otherwise
    limit = "Raise the limit that is set for this process (ulimit -v, ulimit -d, or that of the service manager)."
    return f"{limit} Or: {otherwise[0].lower()}{otherwise[1:]}"

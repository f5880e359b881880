# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the environment in which the worker runs, with what is on this computer: standard library only, no gi.

A virtual environment is made in a folder of its own, by the venv module of a Python 3.11 or newer, or by uv. Gossamer
comes into it from the wheel beside the plug-in, or from the package index, and what it needs from the index. Only when
it has answered is it written down for the plug-in; until then, and when it is given up, everything is as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading

if __package__:
    from . import environment, system
    from .language import N_, _
    from .record import Settings
else:  # GIMP runs the plug-in from a folder
    import environment
    import system
    from language import N_, _
    from record import Settings

ROOM = 900_000_000
"""Bytes that an environment takes, and pip while it makes it."""

FETCHED = "210 MB"
"""What is fetched for it, about."""

_FLAGS = ("-I",)
_ASK = "import json, gossamer; from gossamer.worker.protocol import PROTOCOL; "
_ASK += "print(json.dumps({'gossamer': gossamer.__version__, 'protocol': PROTOCOL}))"
_PACKAGES = 25  # that are fetched, about: for the progress bar
_SIGNS = (
    (
        ("[Errno 28]", "No space left on device", "os error 28", "[WinError 112]", "os error 112", "[Errno 122]"),
        N_("The disk is full. Make room and try again."),
    ),
    (
        ("CERTIFICATE_VERIFY_FAILED", "SSLError", "invalid peer certificate"),
        N_("The package index cannot be reached safely. Check the computer's date and its certificates, or the proxy."),
    ),
    (
        ("NewConnectionError", "Failed to establish a new connection", "ConnectTimeoutError", "ReadTimeoutError",
         "Read timed out", "name resolution", "getaddrinfo failed", "ProxyError", "dns error", "error sending request",
         "Network is unreachable", "Could not connect", "Failed to fetch"),
        N_("The package index cannot be reached. Connect this computer to the internet and try again."),
    ),
    (
        ("[Errno 13]", "Permission denied", "[WinError 5]", "os error 13", "os error 5)"),
        N_("A folder may not be written. Check its rights: the log names it."),
    ),
    (
        ("No matching distribution found", "No solution found"),
        N_("The package index has nothing that fits this Python or system. Install Python 3.12 or 3.13 and try again."),
    ),
)  # fmt: skip


class SetUpFailure(Exception):
    """The environment could not be built; the text is for people."""


class GivenUp(Exception):
    """The user does not want it any more."""


class Installer:
    """Builds one environment.

    Parameters
    ----------
    folder : str
        The plug-in's.
    progress : callable, optional
        ``progress(fraction, text)``.
    log : callable, optional
        ``log(line)``: what the tools say.
    pythons, uv : optional
        What is taken for them instead of what is found here.
    """

    def __init__(self, folder, progress=None, log=None, pythons=None, uv=None):
        self._folder = folder
        self._progress = progress or (lambda fraction, text: None)
        self._told = log or (lambda line: None)
        self._pythons, self._uv = pythons, uv
        self._child, self._lock = None, threading.Lock()
        self._cancelled = threading.Event()
        self._lines: list[str] = []
        self._file = None

    def cancel(self):
        """Give it up, from any thread: what was begun is ended and removed."""
        self._cancelled.set()
        with self._lock:
            if self._child is not None:
                system.end_group(self._child)

    def run(self) -> Settings:
        """Build it; return what was written down.

        Raises
        ------
        SetUpFailure
            Something is missing; the text says what and what to do.
        GivenUp
            :meth:`cancel` was called.
        """
        places = system.data_folder()
        try:
            os.makedirs(places, exist_ok=True)
            with system.open_log(log_path()) as self._file:
                self._file.truncate(0)
                return self._run(places)
        except OSError as error:
            raise SetUpFailure(_in_words(str(error)) or _("{path} cannot be written: {why}.").format(
                path=error.filename or places, why=error.strerror or error)) from None  # fmt: skip
        finally:
            self._file = None

    def _run(self, places):
        edition = environment.edition(self._folder)
        if not edition.gossamer:
            raise SetUpFailure(_("The plug-in's folder is not whole: unzip it again, with all of its files."))
        free = shutil.disk_usage(places).free
        if free < ROOM:
            why = _("There is not enough room in {folder}: {free} MB are free, and {room} MB are needed.")
            raise SetUpFailure(why.format(folder=places, free=free // 10**6, room=ROOM // 10**6))
        key = hashlib.sha256(os.path.abspath(self._folder).encode()).hexdigest()[:8]
        _clear(places, key)
        place, mark = _claimed(places, key)
        done = False
        try:
            self._make(place)
            self._install(place, edition)
            settings = self._proved(place)
            self._check()
            settings.write(self._folder)
            done = True
        finally:
            if not done:
                shutil.rmtree(place, ignore_errors=True)
            os.remove(mark)
        _clear(places, key, kept=place)
        self._progress(1.0, _("Gossamer {version} is set up.").format(version=settings.gossamer))
        return settings

    def _make(self, place):
        self._progress(0.02, _("Looking for a Python"))
        pythons = environment.found(self._pythons)
        for one in pythons:
            self._log(f"{one.path}: Python {'.'.join(map(str, one.version))}, venv: {one.venv}, fits: {one.fits}")
        self._check()
        able = next((one for one in pythons if one.fits and one.venv), None)
        uv = environment.uv() if self._uv is None else self._uv
        if able is not None:
            self._uv = ""
            self._progress(0.05, _("Making an environment with {python}").format(python=able.path))
            self._call([able.path, "-I", "-m", "venv", "--without-pip", place], lambda line: None)
            command = [system.python_of(place), "-I", "-m", "ensurepip", "--default-pip"]  # venv would hide its words
        elif uv:
            self._uv = uv
            self._progress(0.05, _("Making an environment with {python}").format(python=uv))
            python = next((one.path for one in pythons if one.fits), "3.12")  # fetched by uv where none is here
            command = [uv, "venv", "--no-config", "--python", python, place]
        else:
            raise SetUpFailure(environment.why_none(pythons))
        self._call(command, lambda line: None)

    def _install(self, place, edition):
        self._progress(0.15, _("Fetching Gossamer {version} and what it needs").format(version=edition.gossamer))
        python = system.python_of(place)
        what = edition.wheel or f"gossamer=={edition.gossamer}"
        if self._uv:
            command = [self._uv, "pip", "install", "--python", python, "--only-binary", ":all:", what]
        else:
            command = [python, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
            command += ["--only-binary", ":all:", "--progress-bar", "off", what]
        seen = 0

        def tell(line):
            nonlocal seen
            word, _space, rest = line.strip().partition(" ")
            if word in ("Downloading", "Processing", "Collecting", "Using"):
                seen += word != "Using"
                name = os.path.basename(rest.split(" ")[0])
                self._progress(0.15 + 0.6 * min(1.0, seen / (2 * _PACKAGES)), _("Fetching {name}").format(name=name))
            elif word in ("Installing", "Prepared"):
                self._progress(0.8, _("Installing what was fetched"))

        self._call(command, tell)

    def _proved(self, place):
        self._progress(0.95, _("Trying it"))
        python = system.python_of(place)
        answer: list[str] = []
        self._call([python, *_FLAGS, "-c", _ASK], answer.append)
        try:
            said = dict(json.loads(answer[-1]))
        except (IndexError, TypeError, ValueError):
            raise SetUpFailure(_("Gossamer was installed, but does not answer. The log says why.")) from None
        if not environment.fits(said):
            why = _("The plug-in and Gossamer {version} do not fit together.").format(version=said.get("gossamer"))
            raise SetUpFailure(f"{why} {_('Get the plug-in and the wheel of the same version.')}")
        return Settings(python, _FLAGS, said["gossamer"], said["protocol"])

    def _call(self, command, tell):
        """Run a command to its end and pass on each line that it says."""
        self._log(f"> {' '.join(command)}")
        with self._lock:
            self._check()
            self._child = child = subprocess.Popen(
                command,
                env={**system.child_environment(), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **system.in_group(),
            )
        try:
            with child.stdout:
                for raw in child.stdout:
                    line = raw.decode("utf-8", "replace").rstrip()
                    self._log(line)
                    tell(line)
            status = child.wait()
        finally:
            with self._lock:
                self._child = None
            system.end_group(child)
        self._check()
        if status:
            self._fail(status)

    def _fail(self, status):
        said = "\n".join(self._lines)
        if "No module named ensurepip" in said or "No module named venv" in said:
            why = _("This Python cannot make environments: its modules venv and ensurepip are missing.")
            raise SetUpFailure(f"{why} {system.venv_advice()}")
        told = _in_words(said)
        if told is None:
            told = _("Setting up failed (exit status {status}). The log says why.").format(status=status)
        raise SetUpFailure(told)

    def _log(self, line):
        self._lines.append(line)
        if self._file is not None:
            self._file.write(line.encode("utf-8", "replace") + b"\n")
            self._file.flush()
        self._told(line)

    def _check(self):
        if self._cancelled.is_set():
            raise GivenUp


def log_path() -> str:
    """Return where the tools' words are kept."""
    return os.path.join(system.data_folder(), "set-up.log")


def _in_words(said):
    """Return what is missing, for people, from what a tool said; None where nothing is known of it."""
    return next((_(words) for signs, words in _SIGNS if any(sign in said for sign in signs)), None)


def _claimed(places, key):
    """Claim a new folder's name; return it and the mark that says who makes it."""
    number = 1
    while True:
        place = os.path.join(places, f"environment-{key}-{number}")
        if not os.path.lexists(place):
            try:
                with open(f"{place}.making", "x", encoding="utf-8") as file:
                    file.write(str(os.getpid()))
                return place, f"{place}.making"
            except FileExistsError:
                pass
        number += 1


def _clear(places, key, kept=None):
    """Remove what somebody killed has left, and with `kept` also the environments before that one."""
    for name in os.listdir(places):
        place = os.path.join(places, name.removesuffix(".making"))
        if not name.startswith(f"environment-{key}-") or place == kept:
            continue
        mark = f"{place}.making"
        try:
            with open(mark, encoding="utf-8") as file:
                maker = int(file.read() or 0)
        except FileNotFoundError:
            if kept is None:
                continue  # finished: it may be the one in use
        except (OSError, ValueError):
            maker = 0
        else:
            if maker == os.getpid() or (maker and system.is_running(maker)):
                continue
        shutil.rmtree(place, ignore_errors=True)  # on Windows a worker may hold it: the next time
        try:
            os.remove(mark)
        except OSError:
            pass

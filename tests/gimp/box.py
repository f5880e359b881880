"""A real GIMP 3 for the tests: a Debian root, made once, in which commands run under bubblewrap.

Debian 12 has GIMP 2.10 without Python, and Debian 13's packages over it would replace libc; so GIMP gets a
root of its own, in ``$GOSSAMER_TEST_CACHE`` (default ``~/.cache/gossamer-tests``). The network namespace is
shared; everything else a command sees is the root, its profile folder and the folders bound for it.

The tests run in GIMP 3.0 of Debian 13. The same in GIMP 3.2 of Debian sid, whose root is made in several minutes and
kept beside the other: ``GOSSAMER_TEST_GIMP=sid pytest tests/gimp``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import uuid
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from tests.cached_weights import cache_folder
from tests.debian import debian

RECIPE = "1"
"""Part of the root's folder name: raise it when the recipe below changes."""

SUITE = os.environ.get("GOSSAMER_TEST_GIMP", "trixie")
"""The Debian whose GIMP is tested."""

PACKAGES = "gimp xvfb xauth xdotool openbox x11-utils imagemagick fonts-dejavu-core".split()


def gimp_root() -> Path:
    """Return the folder of the Debian root with GIMP 3 in it; the first call makes it, in a minute or two."""
    root = cache_folder() / (f"gimp-{RECIPE}" if SUITE == "trixie" else f"gimp-{SUITE}-{RECIPE}")
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(root) + ".lock"):
        if not root.is_dir():
            _install_tools()
            making = root.with_name(f"{root.name}.{uuid.uuid4().hex[:8]}.making")
            try:
                _make(making)
                making.rename(root)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        elif shutil.which("bwrap") is None:
            _install_tools()
    return root


def _install_tools() -> None:
    debian("debootstrap", "debootstrap")
    debian("bwrap", "bubblewrap")


def _make(root: Path) -> None:
    if os.geteuid() != 0:
        raise RuntimeError("Making the GIMP root needs root's rights once: run the GIMP tests as root, e.g. with sudo.")
    _call(["debootstrap", "--variant=minbase", SUITE, str(root), _mirror()])
    (root / "etc/dpkg/dpkg.cfg.d/lean").write_text("path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n")
    (root / "etc/apt/apt.conf.d/lean").write_text(  # a mirror of sid can be behind its own date of expiry
        'Acquire::Languages "none";\nAcquire::Check-Valid-Until "false";\n'
    )
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    for settings in Path("/etc/apt/apt.conf.d").glob("*"):  # proxies and the like, where the machine has any
        if "proxy" in settings.read_text(errors="replace").lower():
            shutil.copy(settings, root / "etc/apt/apt.conf.d")
    if Path("/etc/resolv.conf").exists():
        (root / "etc/resolv.conf").unlink(missing_ok=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    inside = ["bwrap", "--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777"]
    inside += ["--tmpfs", "/tmp", "--setenv", "DEBIAN_FRONTEND", "noninteractive", "--setenv", "LC_ALL", "C.UTF-8"]
    _call([*inside, "apt-get", "update"])
    _call([*inside, "apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES])
    _call([*inside, "apt-get", "clean"])
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


def _mirror() -> str:
    """Return the mirror that this machine's own apt uses; no address is written down here."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"]
    lines = [
        line.split() for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    ]
    plain = [line[0] for line in lines if line and not line[-1].endswith(("-security", "-updates", "-backports"))]
    if not plain:
        raise RuntimeError("This machine's apt knows no Debian mirror: the GIMP tests need one.")
    return next((address for address in plain if address.rstrip("/").endswith("/debian")), plain[0])


def _call(command: list[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:6])}... ended with {done.returncode}:\n{done.stdout[-4000:]}")


@dataclass
class Box:
    """A GIMP user: a profile folder, and what else of this machine is seen inside, at the same paths."""

    profile: Path
    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the profile, with a gimprc that shows no welcome and asks nothing."""
        self.root = gimp_root()
        self.gimp_folder.mkdir(parents=True, exist_ok=True)
        (self.gimp_folder / "gimprc").write_text(
            "(show-welcome-dialog no)\n(check-updates no)\n(color-profile-policy keep)\n(save-session-info no)\n"
        )

    @property
    def gimp_folder(self) -> Path:
        """GIMP's configuration folder, inside and outside."""
        return self.profile / "gimp"

    def command(self, command: Iterable[str], env: Mapping[str, str] | None = None) -> list[str]:
        """Return the bubblewrap command line that runs `command` inside."""
        line = ["bwrap", "--unshare-pid", "--die-with-parent", "--clearenv", "--tmpfs", "/"]
        for name in ("usr", "etc", "var"):
            line += ["--ro-bind", str(self.root / name), f"/{name}"]
        for name in ("bin", "sbin", "lib", "lib64"):
            line += ["--symlink", f"usr/{name}", f"/{name}"]
        line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
        line += ["--dir", "/root", "--perms", "0700", "--dir", "/run/user"]
        for path in self.read_only:
            self._make_mount_point(path)
            line += ["--ro-bind", str(path), str(path)]
        for path in (self.profile, *self.writable):
            line += ["--bind", str(path), str(path)]
        settings = {"PATH": "/usr/bin:/bin", "HOME": str(self.profile), "GIMP3_DIRECTORY": str(self.gimp_folder),
                    "LC_ALL": "C.UTF-8", "XDG_RUNTIME_DIR": "/run/user", **self.env, **(env or {})}  # fmt: skip
        for name, value in settings.items():
            line += ["--setenv", name, value]
        return [*line, *command]

    def run(
        self, command: Iterable[str], *, env: Mapping[str, str] | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` inside to its end, stderr and stdout together."""
        return subprocess.run(
            self.command(command, env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )

    def batch(
        self, script: Path, *, env: Mapping[str, str] | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run the Python file `script` in a GIMP without windows; it must end by printing ``GIMP-TEST-OK``.

        GIMP exits 0 when a plug-in is missing or a procedure fails, so the status alone says nothing.
        """
        done = self.run(
            ["gimp-console", "-idf", "--batch-interpreter=python-fu-eval",
             "-b", f"exec(compile(open({str(script)!r}).read(), {str(script)!r}, 'exec'))", "--quit"],
            env=env, timeout=timeout,
        )  # fmt: skip
        if done.returncode or "GIMP-TEST-OK" not in done.stdout:
            raise AssertionError(
                f"{script.name} failed in GIMP (exit status {done.returncode}):\n{done.stdout[-6000:]}"
            )
        return done

    def _make_mount_point(self, path: Path) -> None:
        """A path below the root's read-only folders (a system Python in /usr) needs its place there first."""
        if path.parts[1] not in ("usr", "etc", "var"):
            return
        place = self.root / path.relative_to("/")
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


def in_language(name: str, folder: Path) -> dict[str, str]:
    """Return the environment in which the box speaks a language, such as ``de_DE``.

    The root has no locales but C, for which gettext translates nothing: `folder`, which must be seen inside, gets a
    copy of it by another name.
    """
    shutil.copytree(gimp_root() / "usr/lib/locale/C.utf8", folder / f"{name}.utf8", dirs_exist_ok=True)
    return {"LOCPATH": str(folder), "LC_ALL": f"{name}.UTF-8", "LANGUAGE": name}


def python_for_box(folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """Return a Python that runs inside as this one does here, with gossamer in it, and what to bind for it.

    That is this very one, unless it stems from /usr, where the box has its own: then a copy of it in `folder`.
    """
    base, packages = Path(sys.base_prefix), Path(sysconfig.get_path("purelib"))
    places = {base, Path(sys.prefix), packages}
    for package in ("gossamer", "gossamer_gimp"):
        found = importlib.util.find_spec(package)
        assert found is not None
        assert found.origin is not None
        places.add(Path(found.origin).parents[1])
    python = Path(sys.executable)
    if base == Path("/usr"):
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        places = {*(places - {base}), folder, base / "lib" / version}
        venv.create(folder, symlinks=False)
        python = folder / "bin" / "python"
        (folder / "lib" / version / "site-packages" / "outside.pth").write_text(
            f"import site; site.addsitedir({str(packages)!r})\n"
        )
    return python, tuple(sorted(path for path in places if not _is_below_another(path, places)))


def _is_below_another(path: Path, places: set[Path]) -> bool:
    return any(path != other and path.is_relative_to(other) for other in places)

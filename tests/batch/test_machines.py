"""A cluster of two machines: two namespaces of the network with a cable between them, if this machine allows that.

Each has a name, an address, a folder for Ray and shared memory of its own; the file system is what both see, as if it
were mounted. To run these, type: pip install 'ray[data]', as root on Linux.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.batch.conftest import photograph
from tests.batch.test_ray import ROOT, command, outputs, records, run, wait_for_outputs

COUNT = 24
SIZE = (900, 1200)  # so that all of them take seconds
HEAD, OTHER, PORT = "10.213.77.1", "10.213.77.2", 6399
TOKEN = secrets.token_hex(32)  # without which Ray's machines take nobody
QUICK = {  # how soon a machine is missed: half a minute otherwise
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",  # not so soon that one is missed which others keep busy
    "RAY_health_check_failure_threshold": "4",
}


class Machine:
    """A namespace, and what runs in it."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = f"gossamer-{name}-{os.getpid()}", address
        self.end = f"gx{name}{os.getpid() % 100000}"  # of the cable
        self.node: subprocess.Popen[bytes] | None = None

    def within(self, *words: str) -> list[str]:
        """Return a command as it runs there."""
        return ["ip", "netns", "exec", self.name, *words]

    def beside(self, *words: str) -> list[str]:
        """Return a command as it runs beside what was started there."""
        assert self.node is not None
        return ["nsenter", "--target", str(self.node.pid), "--net", "--mount", "--uts", "--wd=.", *words]

    def start(self, said: Path, *flags: str) -> None:
        """Let the machine be one of the cluster, and wait until it is."""
        ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
        ray += ["--node-ip-address", self.address, "--disable-usage-stats", *flags]
        own = f"hostname {self.name}; mkdir -p /tmp/ray; "
        own += "mount -t tmpfs none /tmp/ray; mount -t tmpfs none /dev/shm; "
        shell = ["unshare", "--mount", "--uts", "sh", "-c", own + 'exec "$@"', "sh", *ray]
        with said.open("wb") as file:
            self.node = subprocess.Popen(
                self.within(*shell), cwd=ROOT, env=environment(), stdout=file, stderr=subprocess.STDOUT
            )
        wait_for(lambda: b"Ray runtime started" in said.read_bytes() or self.node.poll() is not None)
        assert self.node.poll() is None, said.read_text()

    def processes(self) -> list[int]:
        """Return what runs there."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False)
        return [int(line) for line in found.stdout.split()]

    def workers(self) -> list[int]:
        """Return the processes there that do blocks of a batch."""
        found = []
        for number in self.processes():
            with suppress(OSError):
                if b"MapWorker" in Path(f"/proc/{number}/cmdline").read_bytes():
                    found.append(number)
        return found

    def lose(self) -> None:
        """Pull its cable, then its plug."""
        system("ip", "-n", self.name, "link", "set", self.end, "down")
        self.kill()

    def kill(self) -> None:
        """End all that runs there, without a word."""
        for number in self.processes():
            with suppress(OSError):
                os.kill(number, signal.SIGKILL)
        if self.node is not None:
            self.node.kill()
            self.node.wait()


def environment() -> dict[str, str]:
    """Return one without what leads out of it, as there is no way out of these machines, and with Ray's token."""
    own = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**own, **QUICK, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


def system(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    if sys.platform != "linux" or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        pytest.skip("machines are made by the commands ip, unshare and nsenter of Linux")
    one, two = Machine("a", HEAD), Machine("b", OTHER)
    try:
        try:
            for machine in (one, two):
                system("ip", "netns", "add", machine.name)
            system("ip", "link", "add", one.end, "netns", one.name, "type", "veth", "peer", two.end, "netns", two.name)
            for machine, other in ((one, two), (two, one)):
                system("ip", "-n", machine.name, "address", "add", f"{machine.address}/24", "dev", machine.end)
                for link in ("lo", machine.end):
                    system("ip", "-n", machine.name, "link", "set", link, "up")
                system("ip", "-n", machine.name, "route", "add", "default", "via", other.address)
            system(*two.within("unshare", "--mount", "--uts", "mount", "-t", "tmpfs", "none", "/mnt"))
        except OSError as error:
            pytest.skip(f"this machine makes no others: {error}")
        yield one, two
    finally:
        for machine in (one, two):
            machine.kill()
            subprocess.run(["ip", "netns", "delete", machine.name], capture_output=True, check=False)


@pytest.mark.long
def test_a_machine_that_is_lost_loses_nothing(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    one, two = machines
    for number in range(COUNT):
        photograph(tmp_path / "in" / f"p{number:02d}.png", number, SIZE)
    assert run(tmp_path / "in", "--out", tmp_path / "local").returncode == 0
    out, address = tmp_path / "out", f"{HEAD}:{PORT}"
    one.start(tmp_path / "one.txt", "--head", "--port", str(PORT), "--include-dashboard=false")
    two.start(tmp_path / "two.txt", "--address", address)
    asks = command(tmp_path / "in", "--out", out, "--engine", "ray", "--address", address, "--json")
    pipe = subprocess.PIPE
    process = subprocess.Popen(one.beside(*asks), cwd=ROOT, env=environment(), stdout=pipe, stderr=pipe, text=True)
    wait_for_outputs(out, 1)
    held = one.workers()
    for number in held:  # until the other has made some: which of them would be the first is chance
        os.kill(number, signal.SIGSTOP)
    try:
        wait_for_outputs(out, len(outputs(out)) + 2)
        before = outputs(out)
        two.lose()
    finally:
        for number in held:
            os.kill(number, signal.SIGCONT)
    stdout, stderr = process.communicate(timeout=300)
    assert json.loads(stdout)["done"] == COUNT, stderr
    assert process.returncode == 0
    assert "The cluster has 2 machines with 2 cores." in stderr
    assert len(before) < COUNT
    assert outputs(out) == outputs(tmp_path / "local")
    assert len(records(out)) == len({record["target"] for record in records(out)}) == COUNT


def wait_for(what: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)

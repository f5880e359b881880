from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.parallel import threads


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(threads, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(threads, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(16)), raising=False)
    monkeypatch.setattr(threads, "monotonic", itertools.count(0, 2).__next__)  # quotas are kept for a second
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def test_without_cgroups_the_affinity_counts(cgroups: Path) -> None:
    assert threads.thread_count() == 16


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 16), ("350000 100000", 4), ("20000 100000", 1)])
def test_version_2_of_a_container(quota: str, cores: int, cgroups: Path) -> None:
    write(cgroups / "membership", "0::/")
    write(cgroups / "cgroup" / "cpu.max", quota)
    assert threads.thread_count() == cores


def test_version_2_of_a_service_and_what_it_is_in(cgroups: Path) -> None:
    write(cgroups / "membership", "0::/system.slice/gossamer.service")
    write(cgroups / "cgroup/system.slice/gossamer.service/cpu.max", "800000 100000")
    assert threads.thread_count() == 8
    write(cgroups / "cgroup/system.slice/cpu.max", "200000 100000")
    assert threads.thread_count() == 2


def test_quotas_are_looked_up_once_a_second(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(threads, "monotonic", lambda: now[0])
    write(cgroups / "membership", "0::/")
    write(cgroups / "cgroup" / "cpu.max", "800000 100000")
    assert threads.thread_count() == 8
    write(cgroups / "cgroup" / "cpu.max", "200000 100000")
    now[0] = 0.9
    assert threads.thread_count() == 8
    now[0] = 1.1
    assert threads.thread_count() == 2


@pytest.mark.parametrize("folder", ["cpu", "cpu,cpuacct"])
def test_version_1(folder: str, cgroups: Path) -> None:
    write(cgroups / "membership", f"4:memory:/docker/1\n1:{folder}:/docker/1\n0::/")
    write(cgroups / "cgroup" / folder / "cpu.cfs_quota_us", "-1")
    write(cgroups / "cgroup" / folder / "cpu.cfs_period_us", "100000")
    assert threads.thread_count() == 16
    write(cgroups / "cgroup" / folder / "docker/1/cpu.cfs_quota_us", "300000")
    write(cgroups / "cgroup" / folder / "docker/1/cpu.cfs_period_us", "100000")
    assert threads.thread_count() == 3


@pytest.mark.long
@pytest.mark.parametrize(("chosen", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_openmp_rests_in_our_commands_unless_somebody_chose_otherwise(chosen: str | None, found: str) -> None:
    program = """
import os, sys
from gossamer.cli import main
main(["presets", "list"])
assert "torch" not in sys.modules
print(os.environ["OMP_WAIT_POLICY"])
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": chosen} if chosen else {}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.split()[-1] == found


def test_torch_computes_with_as_many_threads_as_where_work_came_from() -> None:
    """Whichever of the threads takes it up: those that stay had another number when they began."""
    code = """if True:
        import time
        import torch
        from gossamer.parallel.threads import in_a_thread

        torch.set_num_threads(2)
        begun = [in_a_thread(lambda: (time.sleep(0.1), torch.get_num_threads())[1]) for _ in range(3)]
        assert [each.result() for each in begun] == [2, 2, 2]
        torch.set_num_threads(1)
        begun = [in_a_thread(lambda: (time.sleep(0.1), torch.get_num_threads())[1]) for _ in range(3)]
        assert [each.result() for each in begun] == [1, 1, 1]
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

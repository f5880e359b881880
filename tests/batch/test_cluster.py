"""What a worker of a cluster does, without a cluster; tests/batch/test_ray.py has one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gossamer import telemetry
from gossamer.batch.journal import FOLDER, part_paths, read_journal
from gossamer.batch.plan import Asked, Plan
from gossamer.batch.ray_engine import BlockWorker, cores_of_worker
from gossamer.batch.run import planned
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.batch import Cluster
from tests.batch.conftest import Batch, photograph


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    out = tmp_path / "out"
    (out / FOLDER).mkdir(parents=True)
    return Asked(out, recipe=Recipe.of({"matting": {"method": "key"}}), choice=ModelChoice(model="none"))


@pytest.fixture
def plan(asked: Asked, tmp_path: Path) -> Plan:
    for number in range(3):
        photograph(tmp_path / "in" / f"p{number}.png", number)
    (tmp_path / "in" / "cut.png").write_bytes((tmp_path / "in" / "p0.png").read_bytes()[:300])
    return planned([str(tmp_path / "in")], [], asked)


def rows(worker: BlockWorker, items: list[Any]) -> list[dict[str, Any]]:
    return [json.loads(row) for row in worker({"item": items})["row"]]


def test_a_block_gives_a_row_a_picture_and_a_part_of_the_journal(asked: Asked, plan: Plan) -> None:
    found = rows(BlockWorker.of(asked)(), plan.items)
    states = {row["record"]["target"]: row["record"]["state"] for row in found}
    assert states == {"cut.png": "failed", "p0.png": "done", "p1.png": "done", "p2.png": "done"}
    assert len(part_paths(asked.out)) == 1
    assert {name: record.state for name, record in read_journal(asked.out).records.items()} == states


def test_what_a_worker_that_died_has_done_is_not_done_again(asked: Asked, plan: Plan) -> None:
    rows(BlockWorker.of(asked)(), plan.items[1:3])
    # The second's record is lost with the process; its intent is not.
    part = part_paths(asked.out)[0]
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join(line for line in lines if b'{"intent"' in line or b'"target":"p1.png"' not in line))
    before = {path: path.stat().st_mtime_ns for path in asked.out.glob("*.png")}
    found = {row["record"]["target"]: row["record"] for row in rows(BlockWorker.of(asked)(), plan.items)}
    assert {name: record["state"] for name, record in found.items()} == {
        "cut.png": "failed",
        "p0.png": "done",
        "p1.png": "done",
        "p2.png": "done",
    }
    assert len(before) == 2
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())


def test_what_somebody_else_has_put_there_is_left(asked: Asked, plan: Plan) -> None:
    (asked.out / "p1.png").write_bytes(b"mine")
    found = {row["record"]["target"]: row["record"] for row in rows(BlockWorker.of(asked)(), plan.items)}
    assert found["p1.png"]["state"] == "failed"
    assert (asked.out / "p1.png").read_bytes() == b"mine"


def test_the_end_is_asked_for_by_a_file(asked: Asked, plan: Plan) -> None:
    (asked.out / FOLDER / "halt").touch()
    assert rows(BlockWorker.of(asked)(), plan.items) == [{}]


def test_what_ends_the_run_is_a_row(asked: Asked, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = BlockWorker.of(asked)
    monkeypatch.setattr(worker, "version", "0.0.1")
    (row,) = rows(worker(), plan.items)
    assert "not 0.0.1" in row["ended_by"]["message"]
    gone = BlockWorker.of(Asked(asked.out / "gone"))()
    (row,) = rows(gone, plan.items)
    assert "all machines of the cluster" in row["ended_by"]["remedy"]


def test_flags_of_a_cluster_need_one(batch: Batch, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = batch(tmp_path / "in", "--out", tmp_path / "new", "--workers", "3")
    assert shown.status == 2
    assert "--workers is about a cluster" in shown.err
    shown = batch(tmp_path / "in", "--out", tmp_path / "new", "--engine", "ray", "--watch")
    assert shown.status == 2
    assert "cannot watch" in shown.err
    monkeypatch.setitem(sys.modules, "ray", None)
    shown = batch(tmp_path / "in", "--out", tmp_path / "new", "--engine", "ray")
    assert shown.status == 6
    assert "pip install 'gossamer[ray]'" in shown.err


def test_a_cluster_that_wants_a_token(
    batch: Batch, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ray:
        def init(self, **_: object) -> None:
            raise RuntimeError(
                "Failed to connect to GCS. Last connection error: Traceback (most recent call last):\n"
                "ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken: Authentication token is missing"
            )

    monkeypatch.setattr(telemetry, "ray", Ray)
    monkeypatch.setitem(sys.modules, "ray.data", ModuleType("ray.data"))
    shown = batch(tmp_path / "in", "--out", tmp_path / "new", "--engine", "ray", "--address", "auto")
    assert shown.status == 5
    assert "takes nobody without its token. Set RAY_AUTH_MODE=token" in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("asked", "machines", "cores"),
    [
        ({}, [{"CPU": 8.0}, {"CPU": 4.0}], 4),
        ({"worker_cpus": 3.0, "worker_gpus": 0.5}, [{"CPU": 8.0, "GPU": 1.0}], 3),
        ({"worker_gpus": 0.5}, [{"CPU": 16.0, "GPU": 1.0}], 8),
        ({"worker_gpus": 1.0}, [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 2.0}], 4),  # the one without a GPU does nothing
        ({"worker_gpus": 2.0}, [{"CPU": 16.0, "GPU": 1.0}], 1),
        ({}, [], 1),
    ],
)
def test_a_worker_has_its_part_of_the_cores(asked: Any, machines: Any, cores: float) -> None:
    assert cores_of_worker(Cluster(**asked), machines) == cores

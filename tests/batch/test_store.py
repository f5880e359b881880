"""Pictures in a store, from a server of S3 on this machine. To run these, type: pip install s3fs 'moto[server]'."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gossamer.batch.journal import read_journal
from gossamer.batch.plan import Asked
from gossamer.batch.report.rows import read_rows
from gossamer.batch.run import Summary, planned, run_batch
from gossamer.batch.sources import find_sources
from gossamer.pipeline import Pipeline
from gossamer.settings import ModelChoice, Recipe
from tests.batch.conftest import Batch, photograph
from tests.batch.stores import COUNT, ROOT, SECRET, Store, command, outputs, run, store

s3fs = pytest.importorskip("s3fs", reason="not installed here: tests/test_overlays.py runs these")
moto_server = pytest.importorskip("moto.server", reason="not installed here: tests/test_overlays.py runs these")
fsspec_config = pytest.importorskip("fsspec.config")

__all__ = ["store"]  # the fixture

pytestmark = pytest.mark.filterwarnings("ignore")  # of what these packages import


@pytest.fixture(scope="module")
def local(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what the folder itself is made into."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert run(store.folder, "--out", out).returncode == 1
    return out


def asked(out: Path, **more: Any) -> Asked:
    recipe = Recipe.of({"matting": {"method": "key"}})
    return Asked(out, recipe=recipe, choice=ModelChoice(model="none"), **more)


def worked(plan: Any, asked: Asked) -> Summary:
    return run_batch(
        plan,
        asked,
        Pipeline(asked.recipe, asked.choice),
        arguments=[],
        announce=lambda _: None,
        told=lambda *_: None,
        seen=lambda *_: None,
    )


def test_what_is_in_a_store_becomes_what_the_same_folder_becomes(
    store: Store, local: Path, batch: Batch, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = batch("s3://shop/in", "--out", out, "--json")
    summary = done.summary
    assert done.status == summary["exit_status"] == 1
    assert (summary["done"], summary["failed"], summary["skipped"]) == (COUNT + 1, 1, 1)
    assert summary["passed_over"] == 1
    assert outputs(out) == outputs(local)
    assert "s3://shop/in/cut.png" in done.err
    mine, theirs = read_journal(out).records, read_journal(local).records
    for name, record in theirs.items():
        if record.target is not None:
            other = mine[name]
            assert other.source_path == f"s3://shop/in/{record.source}"
            assert (other.state, other.sha256, other.score, other.recipe) == (
                *(record.state, record.sha256, record.score, record.recipe),
            )
            assert other.source_tag or other.state == "failed"
    rows = [row for row in read_rows(out)[2] if row.state == "done"]
    assert [(row.source, row.notes) for row in rows] == [(None, ())] * (COUNT + 1)  # nothing is wrong with them
    again = batch("s3://shop/in", "--out", out, "--resume", "--json").summary
    assert (again["already"], again["done"], again["failed"]) == (COUNT + 1, 0, 1)


def test_objects_are_found_in_the_order_of_files(store: Store) -> None:
    there, here = find_sources(["s3://shop/in"], Path("/nowhere")), find_sources([str(store.folder)], Path("/nowhere"))
    assert [source.name for source in there.sources] == [source.name for source in here.sources]
    assert [each.name for each in there.unusable] == [each.name for each in here.unusable] == ["words.txt"]
    assert {source.root for source in there.sources} == {"in"}


def test_an_object_that_is_another_by_now_is_done_again(store: Store, tmp_path: Path) -> None:
    out, one = tmp_path / "out", photograph(tmp_path / "one.png", 1).read_bytes()
    store.put("changing/a.png", one)
    store.put("changing/b.png", one)
    plan = planned(["s3://shop/changing"], [], asked(out))
    assert worked(plan, asked(out)).outcome.done == 2
    store.put("changing/b.png", photograph(tmp_path / "two.png", 2).read_bytes())
    again = planned(["s3://shop/changing"], [], asked(out, resume=True))
    assert (again.already, [item.target for item in again.items]) == (1, ["b.png"])


def test_single_objects_patterns_lists_and_tables(store: Store, local: Path, tmp_path: Path) -> None:
    table = tmp_path / "stock.jsonl"
    table.write_text('{"source": "s3://shop/in/shelf1/p1.png", "name": "chair"}\n')
    plan = planned(["s3://shop/in/shelf2/*.png", str(table)], ["s3://shop/in/shelf0/p0.png"], asked(tmp_path / "out"))
    named = {item.target: str(item.source.path) for item in plan.items}
    assert named == {
        "chair.png": "s3://shop/in/shelf1/p1.png",
        **{f"p{number}.png": f"s3://shop/in/shelf2/p{number}.png" for number in range(2, COUNT, 3)},
        "p0.png": "s3://shop/in/shelf0/p0.png",
    }
    assert worked(plan, asked(tmp_path / "out")).exit_status == 0
    again = planned([str(table)], [], asked(tmp_path / "out", resume=True))
    assert (again.already, again.items) == (1, [])
    made, wanted = outputs(tmp_path / "out"), outputs(local)
    assert made["chair.png"] == wanted["shelf1/p1.png"]
    assert made["p2.png"] == wanted["shelf2/p2.png"]


def test_an_object_that_vanishes_is_named_and_the_rest_goes_on(store: Store, tmp_path: Path) -> None:
    out, one = tmp_path / "out", photograph(tmp_path / "one.png", 1).read_bytes()
    for name in ("a", "b", "c"):
        store.put(f"vanishing/{name}.png", one)
    plan = planned(["s3://shop/vanishing"], [], asked(out))
    store.files.rm_file("shop/vanishing/b.png")
    summary = worked(plan, asked(out))
    assert (summary.outcome.done, summary.failed, summary.exit_status) == (2, 1, 1)
    ((name, failure),) = summary.failures
    assert (name, failure.message) == ("b.png", "s3://shop/vanishing/b.png does not exist.")
    assert failure.remedy


@pytest.mark.parametrize("name", ["s3://shop/nothing", "s3://shop/in/gone.png", "s3://no-such-bucket/in"])
def test_what_is_not_there_is_refused_before_anything_starts(
    store: Store, batch: Batch, tmp_path: Path, name: str
) -> None:
    shown = batch(name, "--out", tmp_path / "out")
    assert (shown.status, shown.err) == (2, f"gossamer: {name} does not exist. Check its bucket and name.\n")
    assert not (tmp_path / "out").exists()


def test_a_store_that_is_down_or_refuses_is_told_in_one_sentence(
    store: Store, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    store.guarded("0")
    try:
        refused = batch("s3://shop/in", "--out", out)
    finally:
        store.guarded("inf")
    assert refused.status == 2
    assert refused.err.startswith("gossamer: s3://shop/in may not be read: ")
    assert "AWS_SECRET_ACCESS_KEY" in refused.err
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    down = batch("s3://shop/in", "--out", out)
    s3fs.S3FileSystem.clear_instance_cache()
    assert down.status == 2
    assert down.err.startswith("gossamer: The store of s3://shop/in cannot be reached: ")
    assert down.err.endswith("Check the network and AWS_ENDPOINT_URL.\n")
    for shown in (down, refused):
        assert shown.err.count("\n") == 1
        assert SECRET not in shown.err
    assert not out.exists()


def test_a_password_in_an_address_is_refused_and_not_repeated(batch: Batch, tmp_path: Path) -> None:
    for arguments in ((f"s3://me:{SECRET}@shop/in", "--out", tmp_path), (tmp_path, "--out", f"s3://me:{SECRET}@shop")):
        shown = batch(*arguments)
        assert shown.status == 2
        assert "holds a password" in shown.err
        assert SECRET not in shown.err


def test_a_package_that_is_missing_is_asked_for(batch: Batch, tmp_path: Path) -> None:
    shown = batch("gs://shop/in", "--out", tmp_path / "out")
    assert shown.status == 6
    assert shown.err.endswith("Type: pip install 'gossamer[gcs]'\n")


def test_a_kill_in_the_middle_is_gone_on_from(store: Store, local: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(command("s3://shop/in", "--out", out), cwd=ROOT, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(outputs(out)) < 3:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {name: (out / name).stat().st_mtime_ns for name in outputs(out)}
    summary = json.loads(run("s3://shop/in", "--out", out, "--resume", "--json").stdout)
    assert (summary["already"] + summary["done"], summary["failed"]) == (COUNT + 1, 1)
    assert summary["already"] >= 3
    assert outputs(out) == outputs(local)
    assert all((out / name).stat().st_mtime_ns == changed for name, changed in before.items())


def test_a_store_that_goes_down_ends_the_run_to_be_gone_on_with(store: Store, tmp_path: Path) -> None:
    out, one = tmp_path / "out", photograph(tmp_path / "one.png", 1).read_bytes()
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec_config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})  # as a user's file says it
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("brief")
        for name in ("a", "b", "c"):
            files.pipe_file(f"brief/{name}.png", one)
        plan = planned(["s3://brief"], [], asked(out))
        server.stop()
        summary = worked(plan, asked(out))
    assert (len(plan.items), summary.outcome.done, summary.left) == (3, 0, 3)
    assert summary.outcome.ended_by is not None
    assert "cannot be reached" in summary.outcome.ended_by.message
    assert not summary.failures
    assert not outputs(out)


def test_a_cluster_makes_the_same(store: Store, local: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="not installed here: tests/test_overlays.py runs these with it")
    out = tmp_path / "out"
    done = run("s3://shop/in", "--out", out, "--engine", "ray", "--worker-cpus", 1, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["done"], summary["failed"], summary["left"]) == (1, COUNT + 1, 1, 0)
    assert outputs(out) == outputs(local)
    assert json.loads(run("s3://shop/in", "--out", out, "--resume", "--json").stdout)["already"] == COUNT + 1

"""Results in a store, on a server of S3 on this machine. To run these, type: pip install s3fs 'moto[server]'."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gossamer.batch import stored
from gossamer.batch.addresses import address_of
from gossamer.batch.job import Job
from gossamer.batch.journal import FOLDER, NAME, Record, journal_path, read_journal
from gossamer.batch.marks import mark_of, put, record_of
from gossamer.batch.plan import Asked, Plan
from gossamer.batch.run import Summary, planned, run_batch
from gossamer.batch.stored import StoreResults
from gossamer.cli import main
from gossamer.errors import Cancelled, OutputError
from gossamer.pipeline import Pipeline
from gossamer.progress import Progress
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.batch import Batch as BatchSettings
from gossamer.training.dataset.writing import write_batch
from tests.batch.conftest import KEYED, Batch, photograph
from tests.batch.stores import COUNT, ROOT, SECRET, Store, command, outputs, run, store
from tests.batch.test_shadow_layers import product

s3fs = pytest.importorskip("s3fs", reason="not installed here: tests/test_overlays.py runs these")
moto_server = pytest.importorskip("moto.server", reason="not installed here: tests/test_overlays.py runs these")
fsspec_config = pytest.importorskip("fsspec.config")

__all__ = ["store"]  # the fixture

pytestmark = pytest.mark.filterwarnings("ignore")  # of what these packages import


@pytest.fixture(scope="module")
def local(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what a folder gets."""
    out = tmp_path_factory.mktemp("local") / "out"
    assert main(["batch", str(store.folder), "--out", str(out), *KEYED, "--quiet"]) == 1
    return outputs(out)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home without journals."""
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def counted(store: Store) -> str:
    """Return the name of a bucket that keeps whatever was ever put under a name."""
    store.files.mkdir("counted")
    store.files.call_s3("put_bucket_versioning", Bucket="counted", VersioningConfiguration={"Status": "Enabled"})
    return "counted"


@pytest.fixture
def small(store: Store, tmp_path: Path) -> Path:
    """Return a folder with three pictures."""
    for number, name in enumerate("abc"):
        photograph(tmp_path / "in" / f"{name}.png", number)
    return tmp_path / "in"


def there(store: Store, below: str) -> dict[str, bytes]:
    """Return what lies in the store, without what is Gossamer's own."""
    names = [name for name in store.files.find(below) if f"/{FOLDER}/" not in name]
    return {name[len(below) + 1 :]: store.files.cat_file(name) for name in names}


def puts(store: Store, bucket: str, prefix: str) -> dict[str, int]:
    """Return how often something was put under each name."""
    found: dict[str, int] = {}
    for each in store.files.call_s3("list_object_versions", Bucket=bucket, Prefix=prefix).get("Versions", []):
        if f"/{FOLDER}/" not in each["Key"]:
            found[each["Key"]] = found.get(each["Key"], 0) + 1
    return found


def asked(out: str, **more: Any) -> Asked:
    recipe = Recipe.of({"matting": {"method": "key"}})
    return Asked(address_of(out), recipe=recipe, choice=ModelChoice(model="none"), **more)


def worked(plan: Plan, asked: Asked, said: list[str] | None = None) -> Summary:
    return run_batch(
        plan,
        asked,
        Pipeline(asked.recipe, asked.choice),
        arguments=[],
        announce=lambda text: None if said is None else said.append(text),
        told=lambda *_: None,
        seen=lambda *_: None,
    )


def test_a_store_gets_what_a_folder_gets(
    store: Store, local: dict[str, bytes], batch: Batch, home: Path, tmp_path: Path
) -> None:
    out = "s3://shop/cut/all"
    before = there(store, "shop")
    foretold = batch(store.folder, "--out", out, "--dry-run", "--json").summary
    assert (foretold["pictures"], foretold["free"], there(store, "shop")) == (COUNT + 2, None, before)
    done = batch(store.folder, "--out", out, "--json")
    assert (done.status, done.summary["done"], done.summary["failed"]) == (1, COUNT + 1, 1)
    assert there(store, "shop/cut/all") == local
    assert str(home) in done.err
    own = Path(done.summary["journal"])
    assert store.files.cat_file(f"shop/cut/all/{FOLDER}/{NAME}") == own.read_bytes()
    told = store.files.info("shop/cut/all/shelf1/p1.png")
    assert told["ContentType"] == "image/png"
    record = read_journal(own.parent.parent).records["shelf1/p1.png"]
    assert (record.output_tag, record.bytes) == (told["ETag"].strip('"'), told["size"])
    again = batch("s3://shop/in", "--out", out, "--resume", "--json").summary  # of other sources: done again
    assert (again["already"], again["done"]) == (0, COUNT + 1)
    assert there(store, "shop/cut/all") == local
    again = batch("s3://shop/in", "--out", out, "--resume", "--json").summary
    assert (again["already"], again["done"]) == (COUNT + 1, 0)
    refused = batch("s3://shop/in", "--out", out)
    assert refused.status == 3
    assert "Add --resume to leave what is done" in refused.err


def test_a_kill_in_the_middle_is_gone_on_from_here_or_on_another_machine(
    store: Store, local: dict[str, bytes], counted: str, tmp_path: Path
) -> None:
    out = f"s3://{counted}/kill"
    process = subprocess.Popen(command(store.folder, "--out", out), cwd=ROOT, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while len(puts(store, counted, "kill")) < 3:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = there(store, f"{counted}/kill")
    assert made.items() <= local.items()  # whole, all of them
    here = planned([str(store.folder)], [], asked(out, resume=True))
    assert here.already == len(made)
    done = run(store.folder, "--out", out, "--resume", "--json", GOSSAMER_HOME=str(tmp_path / "other"))
    summary = json.loads(done.stdout)
    assert (summary["already"], summary["done"]) == (len(made), COUNT + 1 - len(made)), done.stderr
    assert there(store, f"{counted}/kill") == local
    assert set(puts(store, counted, "kill").values()) == {1}


def test_whoever_goes_on_elsewhere_and_here_again_does_nothing_twice(
    store: Store, small: Path, counted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"s3://{counted}/two"
    first = planned([str(small)], [], asked(out), first=1)
    assert worked(first, asked(out)).outcome.done == 1
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "other"))
    plan = planned([str(small)], [], asked(out, resume=True))
    assert (plan.already, len(plan.items)) == (1, 2)
    assert worked(plan, asked(out, resume=True)).outcome.done == 2
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    again = planned([str(small)], [], asked(out, resume=True))
    assert (again.already, again.items, again.adopted) == (3, [], [])
    assert puts(store, counted, "two") == {f"two/{name}.png": 1 for name in "abc"}
    journal = read_journal(StoreResults(address_of(out)).home)
    assert (len(journal.runs), sorted(journal.records), journal.broken) == (2, ["a.png", "b.png", "c.png"], 0)


def test_a_kill_before_the_copy_is_noted_turns_no_line_around(store: Store, small: Path, home: Path) -> None:
    out = "s3://shop/noted"
    assert worked(planned([str(small)], [], asked(out)), asked(out)).outcome.done == 3
    (note,) = home.glob(f"batches/*/{FOLDER}/copied.json")
    note.unlink()
    own = journal_path(note.parent.parent)
    with own.open("ab") as file:
        file.write(b'{"more": "lines"}\n')
    before = own.read_bytes()
    assert planned([str(small)], [], asked(out, resume=True)).already == 3
    assert own.read_bytes() == before
    assert note.exists()


def test_what_somebody_else_has_put_there_is_never_replaced_unasked(
    store: Store, small: Path, batch: Batch, tmp_path: Path
) -> None:
    out = "s3://shop/others"
    store.put("others/b.png", b"mine")
    for how in ((), ("--resume",), ("--reprocess",)):
        shown = batch(small, "--out", out, *how)
        assert (shown.status, there(store, "shop/others")) == (3, {"b.png": b"mine"})
    store.files.rm_file("shop/others/b.png")
    plan = planned([str(small)], [], asked(out))
    store.put("others/c.png", b"mine")  # by now
    summary = worked(plan, asked(out))
    assert (summary.outcome.done, summary.failed) == (2, 1)
    assert "exists already" in summary.failures[0][1].message
    assert there(store, "shop/others")["c.png"] == b"mine"
    store.put("others/b.png", b"retouched")
    store.files.copy("shop/others/a.png", "shop/others/d.png")
    for flag in ("--resume", "--reprocess"):
        shown = batch(small, "--out", out, flag, "--json", "--first", "2")
        assert (shown.status, shown.summary["changed"]) == (1, ["b.png"])
        assert there(store, "shop/others")["b.png"] == b"retouched"
    photograph(small / "d.png", 9)  # its output's name is that of a copy of ours
    shown = batch(small / "d.png", "--out", out)
    assert shown.status == 3
    assert batch(small, "--out", out, "--force", "--json").summary["done"] == 4
    assert batch(small, "--out", tmp_path / "here").status == 0
    assert there(store, "shop/others") == outputs(tmp_path / "here")


def test_two_that_do_the_same_at_once_put_each_picture_once(
    store: Store, small: Path, counted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"s3://{counted}/both"
    mine = planned([str(small)], [], asked(out))
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "other"))
    assert worked(planned([str(small)], [], asked(out), first=2), asked(out)).outcome.done == 2
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    summary = worked(mine, asked(out))
    assert (summary.outcome.done, summary.exit_status) == (3, 0)
    assert puts(store, counted, "both") == {f"both/{name}.png": 1 for name in "abc"}


def test_another_recipe_replaces_and_what_is_set_aside_moves(store: Store, small: Path, batch: Batch) -> None:
    out = "s3://shop/again"
    settings = BatchSettings(on_flag="set-aside")
    plan = planned([str(small)], [], asked(out))
    assert worked(plan, asked(out)).outcome.done == 3
    whole = there(store, "shop/again")
    for path in small.glob("*.png"):
        photograph(path, 30, size=(4, 4))  # in which the checks find a fault
    summary = worked(
        planned([str(small)], [], asked(out, settings=settings, resume=True)),
        asked(out, settings=settings, resume=True),
    )
    assert summary.outcome.set_aside == summary.outcome.flagged == 3
    assert sorted(there(store, "shop/again")) == [f"set-aside/{name}" for name in sorted(whole)]
    again = planned([str(small)], [], asked(out, settings=settings, resume=True))
    assert (again.already, again.items) == (3, [])


def test_layers_of_shadows_are_put_with_their_cut_outs_and_known_again(
    store: Store, counted: str, batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("abc"):
        product(tmp_path / "in" / f"{name}.png", number)
    settings = BatchSettings(shadow_layer=True)
    out, first = f"s3://{counted}/layers", asked(f"s3://{counted}/layers", settings=settings)
    resumed = asked(out, settings=settings, resume=True)
    assert batch(tmp_path / "in", "--out", tmp_path / "here", "--shadow-layer").status == 0
    wanted = outputs(tmp_path / "here")
    put_whole, begun = StoreResults.put, list[str]()

    def lost(self: StoreResults, record: Record, data: bytes, **more: Any) -> Record:
        begun.append(str(record.output))
        if record.output == "b.png":
            raise KeyboardInterrupt
        return put_whole(self, record, data, **more)

    plan = planned([str(tmp_path / "in")], [], first)
    monkeypatch.setattr(StoreResults, "put", lost)
    monkeypatch.setattr(Job, "place", _killed_by(Job.place))
    assert worked(plan, first).outcome.done == 2
    monkeypatch.undo()
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "other"))
    assert sorted(there(store, f"{counted}/layers")) == sorted({*wanted} - {"b.png"})
    for name in store.files.find(f"{counted}/layers/{FOLDER}"):
        store.files.rm_file(name)  # no journal is left: the marks tell
    plan = planned([str(tmp_path / "in")], [], resumed)
    assert (plan.already, [item.target for item in plan.items]) == (2, ["b.png"])
    assert worked(plan, resumed).outcome.done == 1
    assert there(store, f"{counted}/layers") == wanted
    assert puts(store, counted, "layers") == {f"layers/{name}": 1 + (name == "b-shadow.png") for name in wanted}
    assert planned([str(tmp_path / "in")], [], resumed).already == 3
    store.files.pipe_file(f"{counted}/layers/a-shadow.png", b"retouched")
    assert planned([str(tmp_path / "in")], [], resumed).changed == ["a-shadow.png"]


def _killed_by(place: Any) -> Any:
    """Return what leaves a picture as a kill does: nothing is written down of it, and nothing is taken back."""

    def go(self: Job, shop: Any) -> None:
        try:
            place(self, shop)
        except KeyboardInterrupt:
            raise Cancelled from None

    return go


def test_the_report_lies_in_the_store_or_here(store: Store, small: Path, batch: Batch, tmp_path: Path) -> None:
    out, page = "s3://shop/told", "s3://shop/told/report.html"
    assert batch(small, "--out", out, "--report", page).status == 0
    data = store.files.cat_file("shop/told/report.html")
    assert data.startswith(b"<!doctype html>")
    assert b'"outputLink":"a.png"' in data
    assert b"is not there any more" not in data
    assert store.files.info("shop/told/report.html")["ContentType"] == "text/html"
    assert batch(small, "--out", out, "--resume", "--report", page).status == 0  # an earlier one makes room
    assert main(["report", out, page]) == 3
    assert main(["report", out, str(tmp_path / "report.html")]) == 0
    assert main(["report", out, str(tmp_path / "sheet.png")]) == 0
    assert b"cannot be shown" not in (tmp_path / "report.html").read_bytes()
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    learned = write_batch(out, None, tmp_path / "set", Progress())
    assert (learned.accepted + learned.drafts, learned.left_out) == (3, ())
    store.put("told/words.html", b"words")
    assert batch(small, "--out", out, "--resume", "--report", "s3://shop/told/words.html").status == 3


def test_what_cannot_be_written_to_is_told_before_anything_starts(
    store: Store, small: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = batch(small, "--out", "s3://no-such-bucket/cut")
    assert (shown.status, shown.err) == (
        3,
        "gossamer: There is no s3://no-such-bucket to write into. Make it first, or give another.\n",
    )
    shown = batch(small, "--out", "s3://shop/cut", "--watch")
    assert shown.status == 2
    assert "not into a store" in shown.err
    shown = batch("s3://shop/in", "--out", "s3://shop/in")
    assert shown.status == 3
    assert "both where pictures are and where outputs go" in shown.err
    plan = planned([str(small)], [], asked("s3://shop/refused"))
    store.guarded("0")
    try:
        with pytest.raises(OutputError) as refused:
            worked(plan, asked("s3://shop/refused"))
    finally:
        store.guarded("inf")
    assert "may not be written" in refused.value.message
    assert "AWS_SECRET_ACCESS_KEY" in refused.value.remedy
    assert SECRET not in str(refused.value)
    assert there(store, "shop/refused") == {}


def test_outputs_are_not_searched_for_pictures(store: Store, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        store.put(f"nested/{name}", photograph(tmp_path / name, 1).read_bytes())
    out = "s3://shop/nested/cut"
    assert worked(planned(["s3://shop/nested"], [], asked(out)), asked(out)).outcome.done == 2
    again = planned(["s3://shop/nested", "s3://shop/nested/*.png"], [], asked(out, resume=True))
    assert (again.already, again.items) == (2, [])


@pytest.fixture
def brief() -> Iterator[tuple[Any, Any]]:
    """Yield a server that can be stopped, and its files."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(fsspec_config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        patch.setattr(stored, "_PAUSE", 0.05)
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("brief")
        yield server, files


def test_a_store_that_goes_down_ends_the_run_to_be_gone_on_with(
    store: Store, small: Path, brief: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = brief
    out, said, begun = "s3://brief/out", list[str](), list[StoreResults]()
    plan, real = planned([str(small)], [], asked(out)), StoreResults.put

    def going_down(self: StoreResults, *more: Any, **named: Any) -> Record:
        begun.append(self)
        if len(begun) == 2:
            server.stop()
        return real(self, *more, **named)

    monkeypatch.setattr(StoreResults, "put", going_down)
    summary = worked(plan, asked(out), said)
    assert (summary.outcome.done, summary.left, summary.failures) == (1, 2, [])
    assert summary.outcome.ended_by is not None
    assert summary.outcome.ended_by.message.startswith("The store of s3://brief/out/")
    assert "cannot be reached" in summary.outcome.ended_by.message
    assert said[-1].startswith("The store has no copy of the journal's end: ")
    assert len(read_journal(StoreResults(address_of(out)).home).records) == 1


def test_a_connection_that_breaks_is_tried_again_and_a_lost_answer_is_no_second_picture(
    store: Store, small: Path, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"s3://{counted}/lost"
    real, broken = s3fs.S3FileSystem._pipe_file, list[str]()

    async def breaking(self: Any, path: str, data: bytes, **more: Any) -> Any:
        if path.endswith("a.png") and path not in broken:
            broken.append(path)
            raise ConnectionResetError("before anything came")
        done = await real(self, path, data, **more)
        if path.endswith("b.png") and path not in broken:
            broken.append(path)
            raise ConnectionResetError("before the answer came")
        return done

    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", breaking)
    monkeypatch.setattr(stored, "_PAUSE", 0.05)
    summary = worked(planned([str(small)], [], asked(out)), asked(out))
    assert (len(broken), summary.outcome.done, summary.exit_status) == (2, 3, 0)
    assert puts(store, counted, "lost") == {f"lost/{name}.png": 1 for name in "abc"}


def test_one_name_that_is_refused_is_one_picture_and_a_bucket_that_is_gone_is_all(
    store: Store, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = "s3://shop/partly", s3fs.S3FileSystem._pipe_file

    async def refusing(self: Any, path: str, data: bytes, **more: Any) -> Any:
        if path.endswith("b.png") or (refuses_all and path.startswith("shop/gone/")):
            raise PermissionError("Access Denied")
        return await real(self, path, data, **more)

    refuses_all = False
    monkeypatch.setattr(s3fs.S3FileSystem, "_pipe_file", refusing)
    summary = worked(planned([str(small)], [], asked(out)), asked(out))
    assert (summary.outcome.done, summary.failed, summary.left) == (2, 1, 0)
    assert "s3://shop/partly/b.png may not be written: Access Denied." in summary.failures[0][1].message
    refuses_all = True
    summary = worked(planned([str(small)], [], asked("s3://shop/gone")), asked("s3://shop/gone"))
    assert (summary.outcome.done, summary.failures, summary.left) == (0, [], 3)
    assert summary.outcome.ended_by is not None


def test_a_mark_says_what_is_needed_and_no_path() -> None:
    flags = [{"name": "halo", "reason": "A halo: 80% is left.", "severity": "fault", "remedy": "Estimate colours."}]
    record = Record("a.png", "/home/me/secret/a.png", "b/a.png", "b/a.png", "done", flags=flags, score=0.0, bytes=7)
    made = record_of(mark_of(record), "b/a.png", "b/a.png")
    assert made is not None
    assert (made.flags, made.score, made.bytes, made.source_path, made.output) == (flags, 0.0, 7, "", "b/a.png")
    assert record_of(mark_of(record), "b/b.png", "b/b.png") is None
    for mark in ("", "é", "nonsense", mark_of(record)[:-20]):
        assert record_of(mark, "b/a.png", "b/a.png") is None
    many = [{"name": f"flag{number}", "reason": os.urandom(20).hex()} for number in range(90)]
    long = mark_of(Record("a", "a", "a", "a", "done", flags=many, sha256="ab" * 32))
    assert len(long) < 1500
    assert (told := record_of(long, "a", "a")) is not None
    assert (told.flags, told.sha256) == ([], "ab" * 32)


def test_what_only_speaks_like_s3_may_know_no_conditions() -> None:
    class Simple:
        protocol = ("s3", "s3a")

        def __init__(self) -> None:
            self.objects = {"there": b"mine"}

        async def _pipe_file(self, path: str, data: bytes, mode: str = "overwrite", **_: Any) -> None:
            if mode == "create":
                raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
            self.objects[path] = data

        async def _exists(self, path: str) -> bool:
            return path in self.objects

    system = Simple()
    asyncio.run(put(system, "new", b"data", "mark", new=True))
    with pytest.raises(FileExistsError):
        asyncio.run(put(system, "there", b"data", "mark", new=True))
    assert system.objects == {"there": b"mine", "new": b"data"}


def test_the_journal_goes_into_the_store_every_so_often(
    store: Store, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, copy = "s3://shop/often", f"shop/often/{FOLDER}/{NAME}"
    monkeypatch.setattr(stored, "_OFTEN", 0.05)
    monkeypatch.setattr(stored, "_SHARE", 0)
    real, sizes, one_by_one = StoreResults.put, list[int](), threading.Lock()

    def putting(self: StoreResults, *more: Any, **named: Any) -> Record:
        end = time.monotonic() + 30
        with one_by_one:  # two that begin at once would see the same copy
            while (size := store.files.info(copy)["size"]) <= max(sizes, default=0):
                assert time.monotonic() < end
                time.sleep(0.02)
            sizes.append(size)
            return real(self, *more, **named)

    monkeypatch.setattr(StoreResults, "put", putting)
    assert worked(planned([str(small)], [], asked(out)), asked(out)).outcome.done == 3
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_a_cluster_writes_into_the_store(store: Store, local: dict[str, bytes], counted: str, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="not installed here: tests/test_overlays.py runs these with it")
    out = f"s3://{counted}/ray"
    done = run("s3://shop/in", "--out", out, "--engine", "ray", "--worker-cpus", 1, "--json")
    summary = json.loads(done.stdout)
    assert (done.returncode, summary["done"], summary["failed"], summary["left"]) == (1, COUNT + 1, 1, 0)
    assert there(store, f"{counted}/ray") == local
    assert set(puts(store, counted, "ray").values()) == {1}
    again = run("s3://shop/in", "--out", out, "--resume", "--json", GOSSAMER_HOME=str(tmp_path / "other"))
    assert json.loads(again.stdout)["already"] == COUNT + 1

"""The same work on a cluster: Ray hands out blocks of pictures to workers, each of which is an engine of its own.

What is planned, what a picture goes through, the journal and the exit status are those of one process. A worker keeps
its model warm, and writes outputs and intents itself, into OUT, which all machines must see under one name; its lines
go into a part of the journal that is its own. What became of a picture comes back as a row. Ray starts workers, starts
those anew that die, and gives their blocks to others: what was done of a block before is known by the parts, and is not
done twice.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import math
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import gossamer
from gossamer.batch.engine import TICK, Engine, Outcome
from gossamer.batch.job import Shop
from gossamer.batch.journal import Failure, JournalWriter, Record, part_paths
from gossamer.batch.plan import Asked, Item
from gossamer.batch.results import Results, results_of
from gossamer.errors import DeviceError, GossamerError, InputError, OutputError, import_failure
from gossamer.pipeline import Pipeline
from gossamer.progress import Progress
from gossamer.settings.batch import Cluster

if TYPE_CHECKING:
    import ray.data

__all__ = ["BlockWorker", "RayEngine", "cores_of_worker"]

_BLOCK = 8  # pictures that a worker is given at once: its stages overlap within them
_STORE = 256 << 20  # bytes of memory that a cluster of one machine keeps for rows, which are small
_LOCAL = "127.0.0.1"
_ANSWER = 5.0  # seconds that a cluster may take to answer
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class BlockWorker:
    """A process of the cluster: does blocks of pictures with a model of its own, which stays warm.

    Attributes
    ----------
    asked : Asked
    version : str
        Of Gossamer where the batch was planned.
    """

    asked: ClassVar[Asked]
    version: ClassVar[str]

    @classmethod
    def of(cls, asked: Asked) -> type[BlockWorker]:
        """Return the class of the workers of a run: arguments would lie where the loss of a machine loses them."""
        return type("BlockWorker", (cls,), {"asked": asked, "version": gossamer.__version__})

    def __init__(self) -> None:
        self._asked = self.asked
        self._results = results_of(self.asked.out)
        self._pipeline = Pipeline(self.asked.recipe, self.asked.choice)
        self._writer: JournalWriter | None = None
        self._id = uuid4().hex

    def __call__(self, block: Mapping[str, Any]) -> dict[str, list[str]]:
        """Do pictures; return a row for each of which something is known, and one for what ended the run."""
        items: list[Item] = list(block["item"])
        records: list[Record] = []
        try:
            ended_by = self._do(items, records)
        except Exception as error:  # told by whoever asked: Ray would only try it again
            ended_by = error if isinstance(error, GossamerError) else OutputError(f"A worker failed: {error}")
        rows = [json.dumps({"record": asdict(record)}) for record in records]
        if ended_by is not None:
            rows.append(json.dumps({"ended_by": asdict(Failure.of(ended_by))}))
        return {"row": rows or ["{}"]}

    def _do(self, items: list[Item], records: list[Record]) -> GossamerError | None:
        out = self._asked.out
        if gossamer.__version__ != self.version:
            raise InputError(
                f"{socket.gethostname()} has Gossamer {gossamer.__version__}, not {self.version}.",
                "Install the same version on all machines of the cluster.",
            )
        if isinstance(out, Path) and not out.is_dir():
            raise OutputError(
                f"There is no folder {out} on {socket.gethostname()}.",
                "Give a folder for --out, and pictures, that all machines of the cluster see under the same name.",
            )
        if self._writer is None:
            self._writer = self._results.part(self._id)
        writer = self._writer
        known = self._done_before(items)
        for record in known.values():
            if writer is not None:
                writer.append(record)
        records += known.values()
        results = self._results
        engine: Engine

        def look(_: Outcome) -> None:
            if results.is_halted():
                engine.halt()

        shop = Shop(
            self._asked,
            results,
            self._pipeline,
            Progress(lambda *_: engine.tick()),
            lambda _: None,
            _nothing if writer is None else writer.intend,
            _nothing if writer is None else writer.append,
        )
        engine = Engine(shop, lambda record, _: records.append(record), look)
        return engine.run(item for item in items if item.target not in known and not results.is_halted()).ended_by

    def _done_before(self, items: list[Item]) -> dict[str, Record]:
        """Return the records of what another worker, which died, has done of a block."""
        made = self._results.made([item.target for item in items if not item.replaces])
        return {
            item.target: replace(made[item.target], source=item.source.name, source_path=str(item.source.path))
            for item in items
            if item.target in made and made[item.target].recipe == item.hash
        }


class RayEngine:
    """Runs pictures on a cluster; what it is told and tells is what :class:`gossamer.batch.engine.Engine` has.

    Parameters
    ----------
    asked : Asked
    results : Results
        Where outputs go.
    announce : callable
        Told about the cluster.
    append : callable
        Of the journal.
    told, seen : callable
        As the engine's.

    Raises
    ------
    MissingExtra
        Ray is not installed.
    DeviceError
        The cluster cannot be reached.
    """

    def __init__(
        self,
        asked: Asked,
        results: Results,
        announce: Callable[[str], object],
        append: Callable[[Record], object],
        told: Callable[[Record, Outcome], object],
        seen: Callable[[Outcome], object],
    ) -> None:
        self._asked, self._append, self._told, self._seen = asked, append, told, seen
        self._results, self._announce = results, announce
        self._halted, self._aborted = threading.Event(), threading.Event()
        self._ray = _connected(asked)
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._cpus = cores_of_worker(asked.cluster, nodes)
        cores = sum(node.get("CPU", 0.0) for node in nodes)
        announce(f"The cluster has {len(nodes)} {'machine' if len(nodes) == 1 else 'machines'} with {cores:g} cores.")
        gpus = asked.cluster.worker_gpus
        if gpus and not any(node.get("GPU", 0.0) >= gpus for node in nodes):
            if not asked.cluster.address:
                self._ray.shutdown()
                raise DeviceError(f"Ray finds no {gpus:g} GPU on this machine.", "Leave out --worker-gpus.")
            announce(f"No machine of the cluster has {gpus:g} GPU now: this waits for one that has.")
        results.forget_halt()

    def halt(self) -> None:
        """Begin no more pictures; those in hand are finished."""
        self._halted.set()  # the workers are told by what runs: this may be called by a signal

    def abort(self) -> None:
        """Leave everything at once: what is in hand is as if it had never been begun."""
        self._halted.set()
        self._aborted.set()

    @property
    def is_halted(self) -> bool:
        """Whether no more pictures are begun."""
        return self._halted.is_set()

    @property
    def was_stopped(self) -> bool:
        """Whether somebody asked for the end."""
        return self._halted.is_set()

    @property
    def is_aborted(self) -> bool:
        """Whether somebody asked for the end at once."""
        return self._aborted.is_set()

    def run(self, items: Iterator[Item | None]) -> Outcome:
        """Do all items; see the engine's."""
        said = _Said()
        with redirect_stdout(said):  # where Ray writes what its machines say
            return self._run([item for item in items if item is not None], said)

    def _run(self, items: list[Item], said: _Said) -> Outcome:
        outcome = Outcome()
        rows: queue.Queue[str | Exception | None] = queue.Queue()
        missing = {item.target for item in items}
        thread = threading.Thread(target=self._stream, args=(items, rows), name="gossamer-batch-ray", daemon=True)
        last, is_told = time.monotonic(), False
        try:
            thread.start()
            while not self._aborted.is_set():
                if not is_told and (self._halted.is_set() or outcome.ended_by is not None):
                    is_told = True
                    self._results.halt()
                self._seen(outcome)
                for line in said.lines():
                    self._announce(line)
                with suppress(queue.Empty):
                    row = rows.get(timeout=TICK)
                    if row is None:
                        break
                    outcome.ended_by = self._take(row, missing, outcome) or outcome.ended_by
                now = time.monotonic()
                outcome.seconds += now - last
                last = now
        finally:
            self._ray.shutdown()
            if is_told:
                self._results.forget_halt()
        if not missing:
            for path in part_paths(self._results.home):  # all that they say has come back
                with suppress(OSError):
                    path.unlink()
        return outcome

    def _take(self, row: str | Exception, missing: set[str], outcome: Outcome) -> GossamerError | None:
        """Take what came back; return what ends the run."""
        if isinstance(row, Exception):
            reason = next(iter(str(row).strip().splitlines()[-1:]), type(row).__name__)
            return DeviceError(f"The cluster gave up: {reason}", "See Ray's logs, and whether its machines are up.")
        values = json.loads(row)
        if "ended_by" in values:
            failure = Failure(**values["ended_by"])
            return OutputError(failure.message, failure.remedy)
        if "record" in values:
            record = Record.of(values["record"])
            if record.target in missing:  # a block that was done again after its worker's machine was lost
                missing.discard(record.target)
                self._append(record)
                outcome.add(record)
                self._told(record, outcome)
        return None

    def _stream(self, items: list[Item], rows: queue.Queue[str | Exception | None]) -> None:
        """Put the rows of all blocks into a queue, and None at the end; in a thread of its own."""
        try:
            for row in self._dataset(items).iter_rows():
                rows.put(row["row"])
        except Exception as error:
            rows.put(error)
        finally:
            rows.put(None)

    def _dataset(self, items: list[Item]) -> ray.data.Dataset:
        import ray.data

        cluster = self._asked.cluster
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        blocks = max(1, -(-len(items) // _BLOCK))
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=cluster.workers or None)
        return ray.data.from_items([{"item": item} for item in items], override_num_blocks=blocks).map_batches(
            BlockWorker.of(self._asked),
            batch_size=_BLOCK if cluster.worker_gpus else None,  # with GPUs Ray wants a number: that of a block
            batch_format="numpy",
            compute=pool,
            num_cpus=self._cpus,
            num_gpus=cluster.worker_gpus or None,
        )


def cores_of_worker(cluster: Cluster, machines: Sequence[Mapping[str, float]]) -> float:
    """Return how many cores a worker takes: where none are asked for, its part of the smallest machine.

    Parameters
    ----------
    cluster : Cluster
    machines : sequence of mappings
        Of each machine its resources by Ray's names.
    """
    if cluster.worker_cpus:
        return cluster.worker_cpus
    parts = []
    for machine in machines:
        # As many workers as its GPUs take share its cores; on one that has too few none will run.
        count = math.floor(machine.get("GPU", 0.0) / cluster.worker_gpus) if cluster.worker_gpus else 1
        if count:
            parts.append(machine.get("CPU", 1.0) / count)
    return min(parts, default=1.0) or 1.0


def _nothing(_: Record) -> None:
    """Write no journal: what a worker makes tells of itself."""


class _Said(io.TextIOBase):
    """Takes what is printed, by any thread, until it is asked for."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str] = queue.Queue()

    def write(self, text: str) -> int:
        """Keep the lines of a text."""
        for line in _COLOURS.sub("", text).splitlines():
            if line.strip():
                self._lines.put(line.strip())
        return len(text)

    def lines(self) -> Iterator[str]:
        """Yield what has come, once."""
        while True:
            try:
                yield self._lines.get_nowait()
            except queue.Empty:
                return


def _check(address: str) -> None:
    """Raise DeviceError where nothing answers at an address: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto", or what Ray may understand
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except OSError as error:
        raise DeviceError(
            f"The cluster {address} cannot be reached: {error.strerror or error}.",
            "Check the address, and that it is up: ray status --address HOST:PORT",
        ) from error


def _connected(asked: Asked) -> Any:
    """Return Ray, connected to a cluster: the one of an address, or one of this machine, made for now.

    Raises
    ------
    MissingExtra, DeviceError
    """
    from gossamer import telemetry

    try:
        ray = telemetry.ray()
        importlib.import_module("ray.data")
    except ImportError as error:
        raise import_failure(error, "The engine ray", "ray") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    address = asked.cluster.address
    _check(address)
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            # "local", or it would be whichever cluster somebody else has started on this machine.
            own: dict[str, Any] = {"object_store_memory": _STORE, "_node_ip_address": _LOCAL}
            ray.init(address="local", include_dashboard=False, **own, **quiet)
    except Exception as error:
        if "InvalidAuthToken" in str(error):
            raise DeviceError(
                f"The cluster {address} takes nobody without its token.",
                "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a copy of ~/.ray/auth_token of its first machine.",
            ) from error
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__).partition(" Last connection")[0]
        raise DeviceError(
            f"The cluster {address or 'of this machine'} cannot be used: {reason}",
            "Check its address, that it is up, and that Ray and Python have the same versions there.",
        ) from error
    return ray

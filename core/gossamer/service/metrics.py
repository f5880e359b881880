"""What Prometheus is told: requests, errors, seconds of each stage, the queue, models, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class _Counted(Protocol):
    """Hands, as far as they are counted."""

    restarts: int

    @property
    def holds(self) -> tuple[int, int, int]:
        """Networks in memory, the bytes that they take, and the bytes of a process of its own."""


class Metrics:
    """The numbers of one service, its worker processes included.

    Parameters
    ----------
    waiting : callable
        How many requests wait.
    hands : sequence
        What does the work.
    """

    def __init__(self, waiting: Callable[[], int], hands: Sequence[_Counted]) -> None:
        self._registry = CollectorRegistry()
        own = {"registry": self._registry}
        ProcessCollector(registry=self._registry)  # memory, processor time, files
        self._requests = Counter("gossamer_requests", "Requests answered.", ("path", "status"), **own)
        self._latency = Histogram(
            "gossamer_request_seconds", "From request to answer.", ("path",), buckets=_SECONDS, **own
        )
        self._stages = Histogram("gossamer_stage_seconds", "Work by stage.", ("stage",), buckets=_SECONDS, **own)
        self._models = Counter("gossamer_cutouts", "Cut-outs by model.", ("model",), **own)
        self._errors = Counter("gossamer_errors", "Requests refused or failed, by kind.", ("kind",), **own)
        self._left = Counter("gossamer_clients_left", "Clients that left before their answer.", **own)
        Gauge("gossamer_queue_waiting", "Requests that wait for their turn.", **own).set_function(waiting)
        for name, help, count in (
            ("gossamer_models_warm", "Networks in memory.", lambda: sum(each.holds[0] for each in hands)),
            ("gossamer_models_bytes", "Bytes that they take.", lambda: sum(each.holds[1] for each in hands)),
            (
                "gossamer_workers_memory_bytes",
                "Memory of the worker processes, shared parts counted in each; 0 where there are none.",
                lambda: sum(each.holds[2] for each in hands),
            ),
            ("gossamer_hands", "Pictures that are worked on at once at most.", lambda: len(hands)),
            (
                "gossamer_worker_restarts",
                "Worker processes that took the place of one that had ended.",
                lambda: sum(each.restarts for each in hands),
            ),
        ):
            Gauge(name, help, **own).set_function(count)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._latency.labels(path).observe(seconds)

    def worked(self, model: str, stages: Mapping[str, float]) -> None:
        """Count a cut-out."""
        self._models.labels(model or "none").inc()
        for stage, seconds in stages.items():
            self._stages.labels(stage).observe(seconds)

    def failed(self, kind: str) -> None:
        """Count an error."""
        self._errors.labels(kind).inc()

    def left(self) -> None:
        """Count a client that did not wait."""
        self._left.inc()

    def text(self) -> bytes:
        """Return all numbers as Prometheus reads them."""
        data: bytes = generate_latest(self._registry)
        return data

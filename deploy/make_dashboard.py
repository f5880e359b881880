"""Write the Grafana dashboard: ``python deploy/make_dashboard.py > deploy/grafana/dashboards/gossamer.json``."""

from __future__ import annotations

import json
import sys
from typing import Any

_PANELS = (
    ("Requests by status", "reqps", (("sum by (status) (rate(gossamer_requests_total[5m]))", "{{status}}"),)),
    (
        "From request to answer, cut-outs",
        "s",
        tuple(
            (
                f"histogram_quantile({share}, sum by (le) (rate(gossamer_request_seconds_bucket"
                '{path=~"/v1/cutouts|/v1/masks|/v1.0/removebg|/api/remove"}[5m])))',
                f"p{round(100 * share)}",
            )
            for share in (0.5, 0.95, 0.99)
        ),
    ),
    (
        "Work by stage, mean",
        "s",
        (
            (
                "sum by (stage) (rate(gossamer_stage_seconds_sum[5m])) / "
                "sum by (stage) (rate(gossamer_stage_seconds_count[5m]))",
                "{{stage}}",
            ),
        ),
    ),
    ("Waiting for their turn", "short", (("gossamer_queue_waiting", "waiting"), ("gossamer_hands", "at once"))),
    ("Cut-outs by model", "reqps", (("sum by (model) (rate(gossamer_cutouts_total[5m]))", "{{model}}"),)),
    (
        "Refused or failed, by kind",
        "reqps",
        (
            ("sum by (kind) (rate(gossamer_errors_total[5m]))", "{{kind}}"),
            ("rate(gossamer_clients_left_total[5m])", "client left"),
        ),
    ),
    (
        "Memory",
        "bytes",
        (
            ("process_resident_memory_bytes", "service"),
            ("gossamer_workers_memory_bytes", "workers"),
            ("gossamer_models_bytes", "networks"),
        ),
    ),
    (
        "Processor of the service, workers that were replaced",
        "short",
        (
            ("rate(process_cpu_seconds_total[5m])", "cores"),
            ("gossamer_worker_restarts", "replaced"),
            ("gossamer_models_warm", "networks in memory"),
        ),
    ),
)


def _panel(number: int, title: str, unit: str, queries: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "prometheus"}
    targets = [
        {"refId": chr(65 + each), "datasource": source, "expr": expression, "legendFormat": legend}
        for each, (expression, legend) in enumerate(queries)
    ]
    return {
        "id": number + 1,
        "title": title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": targets,
    }


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "uid": "gossamer",
        "title": "Gossamer",
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": [_panel(number, *panel) for number, panel in enumerate(_PANELS)],
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=1)
    sys.stdout.write("\n")

# SPDX-License-Identifier: GPL-3.0-or-later
"""A running ComfyUI with this repository as a node pack, and a driver for it."""

from __future__ import annotations

import copy
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import websocket
from PIL import Image

from tests.comfyui.install import REPOSITORY, Installation

Graph = dict[str, dict[str, Any]]


@dataclass
class Run:
    """What came of one prompt."""

    status: str  # "success", "error", "interrupted" or "refused"
    error: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    seconds_after_interrupt: float = 0.0

    @property
    def message(self) -> str:
        """What the user is told, by a node that failed or one that refused its inputs."""
        for refused in self.error.get("node_errors", {}).values():
            return str(refused["errors"][0]["details"]).strip()
        return str(self.error.get("exception_message", "")).strip()

    @property
    def node(self) -> str:
        """The node that this is shown on."""
        for node in self.error.get("node_errors", {}):
            return str(node)
        return str(self.error.get("node_id", ""))

    def cached(self) -> set[str]:
        """Return the nodes that were not run again."""
        return {node for kind, data in self.events if kind == "execution_cached" for node in data["nodes"]}


class Server:
    """ComfyUI in a process of its own, with its folders under `base`."""

    def __init__(
        self, installation: Installation, base: Path, home: Path, pack: Path = REPOSITORY, *more_arguments: str | Path
    ) -> None:
        self.base = base
        self.log = base / "comfyui.log"
        for name in ("custom_nodes", "input", "output", "temp", "models", "user", "other_models/rembg"):
            (base / name).mkdir(parents=True, exist_ok=True)
        (base / "custom_nodes" / "gossamer").symlink_to(pack, target_is_directory=True)
        odd = Path(__file__).with_name("odd_nodes")
        (base / "custom_nodes" / "odd_nodes").symlink_to(odd, target_is_directory=True)
        more = base / "extra_model_paths.yaml"
        more.write_text(f"elsewhere:\n  base_path: {base}\n  rembg: other_models/rembg\n", encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._client = uuid.uuid4().hex
        kept = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "GOSSAMER_"))}
        environment = kept | {"GOSSAMER_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        command = [installation.python, Path(__file__).with_name("launch.py"), installation.root]
        command += ["--cpu", "--listen", "127.0.0.1", "--port", str(self.port), "--disable-auto-launch"]
        command += ["--base-directory", base, "--database-url", f"sqlite:///{base}/comfy.db"]
        command += ["--extra-model-paths-config", more, *more_arguments]
        with self.log.open("wb") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self._process = subprocess.Popen(command, env=environment, start_new_session=True, **streams)

    @property
    def process(self) -> int:
        """The id of its process."""
        return self._process.pid

    def another(self) -> Server:
        """Return the same server as another person's page knows it: what that person queues is told to it alone."""
        made = copy.copy(self)
        made._client = uuid.uuid4().hex
        return made

    def wait(self, seconds: float = 180) -> None:
        """Wait until it answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"ComfyUI has stopped:\n{self.log_tail()}")
            try:
                self.get("/system_stats")
                return
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"ComfyUI does not answer:\n{self.log_tail()}")

    def stop(self) -> None:
        """End it and what it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def log_tail(self, lines: int = 60) -> str:
        """Return the end of what it printed."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def fetch(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, bytes]:
        """Return status and body of a GET, or of a POST of `body`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if body is None:
                connection.request("GET", path)
            else:
                connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON that a GET answers."""
        status, body = self.fetch(path)
        assert status == 200, (path, status, body[:500])
        return json.loads(body)

    def post(self, path: str, value: Any) -> tuple[int, bytes]:
        """Post JSON."""
        return self.fetch(path, json.dumps(value).encode())

    def upload(self, name: str, picture: np.ndarray) -> str:
        """Upload uint8 (H, W, 3|4) as a PNG; returns the name for Load Image."""
        png = io.BytesIO()
        Image.fromarray(picture).save(png, "PNG")
        mark = uuid.uuid4().hex
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="overwrite"\r\n\r\ntrue\r\n'
            f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = head.encode() + png.getvalue() + f"\r\n--{mark}--\r\n".encode()
        status, answer = self.fetch("/upload/image", body, f"multipart/form-data; boundary={mark}")
        assert status == 200, answer
        return str(json.loads(answer)["name"])

    def run(self, graph: Graph, interrupt_when: Callable[[str, dict[str, Any]], bool] | None = None) -> Run:
        """Queue a graph in API form and follow it to its end; interrupt it at the first such event."""
        address = f"ws://127.0.0.1:{self.port}/ws?clientId={self._client}"
        channel = websocket.create_connection(address, timeout=120)
        try:
            status, body = self.post("/prompt", {"prompt": graph, "client_id": self._client})
            answer = json.loads(body)
            if status != 200:
                return Run("refused", answer)
            run, interrupted = Run(""), 0.0
            while not run.status:
                text = channel.recv()
                if isinstance(text, bytes):  # a preview picture
                    continue
                message = json.loads(text)
                kind, data = message["type"], message["data"]
                if data.get("prompt_id") not in (None, answer["prompt_id"]):
                    continue
                run.events.append((kind, data))
                if interrupt_when and not interrupted and interrupt_when(kind, data):
                    interrupted = time.monotonic()
                    self.post("/interrupt", {})
                if kind in ("execution_success", "execution_error", "execution_interrupted"):
                    run.status = kind.removeprefix("execution_")
                    run.error = data if kind == "execution_error" else {}
            if interrupted:
                run.seconds_after_interrupt = time.monotonic() - interrupted
        finally:
            channel.close()
        run.outputs = self._history(answer["prompt_id"])["outputs"]
        return run

    def pictures(self, run: Run, node: str) -> list[np.ndarray]:
        """Return the pictures, uint8, that a saving or previewing node made."""
        assert run.status == "success", (run.status, run.error)
        found = []
        for picture in run.outputs[node]["images"]:
            status, body = self.fetch(f"/view?{urllib.parse.urlencode(picture)}")
            assert status == 200, body
            found.append(np.asarray(Image.open(io.BytesIO(body))))
        return found

    def _history(self, prompt: str) -> dict[str, Any]:
        for _ in range(100):  # it is written just after the last event
            if prompt in (history := self.get(f"/history/{prompt}")):
                return dict(history[prompt])
            time.sleep(0.05)
        raise RuntimeError("ComfyUI has no history of the prompt")

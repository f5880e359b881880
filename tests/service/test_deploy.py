"""What runs the service elsewhere: image, Prometheus, Grafana, systemd, servers of others; as far as it shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from gossamer.settings import parameters
from gossamer.settings.service import Service
from tests.cached_weights import weights_home
from tests.service.conftest import KEYED, Client, png

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FLAGS = {parameter.flag: parameter for parameter in parameters(Service)}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())
    ]


def check_flags(arguments: list[str]) -> None:
    for flag in (each for each in arguments if each.startswith("--")):
        assert flag in FLAGS, flag


def test_the_image_is_slim_runs_for_nobody_in_particular_and_tells_its_health() -> None:
    found = instructions()
    known = {"FROM", "ARG", "RUN", "COPY", "WORKDIR", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {word for word, _ in found} <= {*known, "ENTRYPOINT"}
    words = [word for word, _ in found]
    assert words.count("FROM") == 2
    assert all("-slim" in rest for word, rest in found if word == "FROM")
    assert dict(found)["USER"] == "gossamer"
    assert words.index("USER") < words.index("HEALTHCHECK") < words.index("ENTRYPOINT")
    entry = json.loads(dict(found)["ENTRYPOINT"])
    assert entry[:2] == ["gossamer", "serve"]
    check_flags(entry)
    assert "--keys" in entry  # others reach it
    port = str(Service().port)
    assert dict(found)["EXPOSE"] == port
    health = json.loads(dict(found)["HEALTHCHECK"].partition("CMD ")[2])
    compile(health[2], "health", "exec")
    assert f"127.0.0.1:{port}/readyz" in health[2]


def test_compose_names_files_that_there_are_and_flags_that_there_are() -> None:
    yaml = pytest.importorskip("yaml")
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ours = told["services"]["gossamer"]
    check_flags(ours["command"])
    assert (DEPLOY / ours["build"]["context"] / ours["build"]["dockerfile"]).is_file()
    assert all(
        each.startswith("127.0.0.1:") for service in told["services"].values() for each in service.get("ports", ())
    )
    made = {"./keys.txt", "./prometheus.key"}  # by whoever runs it
    for service in told["services"].values():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in made or source in told["volumes"] or (DEPLOY / source).exists(), source
    scraped = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"gossamer:{Service().port}"]
    assert scraped["authorization"]["credentials_file"] in {
        each.split(":")[1] for each in told["services"]["prometheus"]["volumes"]
    }
    for file in DEPLOY.glob("grafana/provisioning/*/*.yaml"):
        assert yaml.safe_load(file.read_text())["apiVersion"] == 1


def test_the_dashboard_asks_for_numbers_that_there_are(client: Client, screen: np.ndarray) -> None:
    service = client()
    service.post("/v1/cutouts", files={"image": png(screen)}, data=KEYED)
    service.post("/v1/cutouts", content=b"rubbish")
    text = service.get("/metrics").text
    known = set(re.findall(r"^([a-z_]+)(?:\{| )", text, re.M))
    told = json.loads((DEPLOY / "grafana/dashboards/gossamer.json").read_text())
    asked = {
        name
        for panel in told["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(?:gossamer|process)_[a-z_]+", target["expr"])
    }
    assert len(asked) > 10
    if sys.platform == "linux":  # which tells of processes
        assert asked <= known
    done = subprocess.run(
        [sys.executable, str(DEPLOY / "make_dashboard.py")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == told


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_the_unit_is_sound(tmp_path: Path) -> None:
    text = (DEPLOY / "gossamer.service").read_text()
    command = shlex.split(re.search(r"^ExecStart=(.*)$", text, re.M)[1])
    assert command[1] == "serve"
    check_flags(command)
    assert re.search(r"^KillMode=mixed$", text, re.M)  # workers end when the service has finished
    unit = tmp_path / "gossamer.service"
    unit.write_text(text.replace("/opt/gossamer/bin/gossamer", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert "gossamer.service" not in done.stderr, done.stderr


@pytest.mark.long
def test_uvicorn_runs_the_factory() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--factory", "gossamer.service:app", "--port", str(port)]
    process = subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env={**os.environ, "GOSSAMER_HOME": str(weights_home())}
    )
    try:
        for _ in range(600):
            try:
                answered = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=30)
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        assert answered.json()["status"] == "ready"
    finally:
        process.terminate()
        assert process.wait(60) in (0, -15)

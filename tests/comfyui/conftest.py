# SPDX-License-Identifier: GPL-3.0-or-later
"""One real ComfyUI server for all of these tests."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest
from skimage import data

from tests.cached_weights import weights_home
from tests.comfyui.install import REPOSITORY, comfyui, newest_frontend
from tests.comfyui.server import Server

_SERVER = pytest.StashKey[Server]()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running ComfyUI whose environment holds requirements.txt, not Gossamer: that is a git clone."""
    home = weights_home()
    base = tmp_path_factory.mktemp("comfyui")
    own = base / "models" / "gossamer"
    own.mkdir(parents=True)
    shutil.copy(home / "models" / "u2netp.onnx", own / "of-my-own.onnx")
    elsewhere = base / "other_models" / "rembg"
    elsewhere.mkdir(parents=True)
    shutil.copy(home / "models" / "u2netp.onnx", elsewhere)
    started = Server(comfyui(), base, home)
    request.config.stash[_SERVER] = started
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The same server with a newer interface."""
    base = tmp_path_factory.mktemp("comfyui-newer")
    started = Server(comfyui(), base, weights_home(), REPOSITORY, "--front-end-root", newest_frontend())
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(params=["own", "1.58.1"])
def either(request: pytest.FixtureRequest) -> Server:
    """A server with its own interface, and one with a newer one."""
    found: Server = request.getfixturevalue("server" if request.param == "own" else "newer")
    return found


@pytest.fixture
def drawn(request: pytest.FixtureRequest, either: Server) -> Iterator[str]:
    """How nodes are drawn: on the classic canvas, or as Nodes 2.0."""
    either.post("/api/settings", {"Comfy.VueNodes.Enabled": request.param == "2.0"})
    yield request.param
    either.post("/api/settings", {"Comfy.VueNodes.Enabled": False})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show the server's log with a failed test."""
    report = yield
    if report.failed and (server := item.config.stash.get(_SERVER, None)):
        report.sections.append(("ComfyUI's log", server.log_tail()))
    return report


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A photograph of a person, (512, 512, 3) uint8."""
    return np.asarray(data.astronaut())


@pytest.fixture(scope="session")
def cat() -> np.ndarray:
    """A photograph of a cat, (300, 451, 3) uint8."""
    return np.asarray(data.chelsea())

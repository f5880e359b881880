"""Several processes of one training, as accelerate's or torch's launchers start them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import torch


def environment(**more: str) -> dict[str, str]:
    import gossamer

    places = (
        Path(gossamer.__file__).parents[1],
        Path(__file__).parents[2],
        *filter(None, [os.environ.get("PYTHONPATH")]),
    )
    own = {"PYTHONPATH": os.pathsep.join(map(str, places)), "OMP_NUM_THREADS": "1"}  # as in conftest.py
    return {**os.environ, **own, **more}


def run_together(script: str, *arguments: str, count: int = 2) -> list[tuple[int, str]]:
    """Run a script in processes that know of each other; return what each ended with, and said on stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    own = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    own["ACCELERATE_USE_CPU"] = "true"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            env=environment(**own, RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    said = [process.communicate(timeout=600)[1] for process in started]
    return [(process.returncode, one) for process, one in zip(started, said, strict=True)]


def assert_alike(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], rate: float) -> None:
    """Adam steps by a gradient's sign, however small it is: where it is next to nothing, the order of a sum decides."""
    assert found.keys() == expected.keys()
    one, other = (torch.cat([weights[name].flatten() for name in expected]) for weights in (found, expected))
    odd = ~torch.isclose(one, other, rtol=1e-3, atol=1e-4)
    assert odd.float().mean() < 1e-5
    torch.testing.assert_close(one, other, rtol=0, atol=rate)

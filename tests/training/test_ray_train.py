"""The same training in workers of Ray Train. To run this, type: pip install 'ray[train]'."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from gossamer.settings.dataset import Data
from gossamer.settings.training import Training
from gossamer.training.loop import finetune
from tests.cached_weights import video_weights, weights_home
from tests.training import tiny
from tests.training.clips import scenes
from tests.training.together import assert_alike, environment

pytest.importorskip("ray", reason="not installed here: tests/test_overlays.py runs this")

SETTINGS = {"steps": 2, "batch": 4, "side": 64, "validate_every": 1, "worst": 0, "warmup": 0, "rate": 1e-3}
# What docs/finetuning.md shows.
SCRIPT = """
import json, sys
import ray
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer


def work(given):
    from gossamer.settings.training import Training
    from gossamer.settings.dataset import Data
    from gossamer.training.loop import finetune

    finetune(
        given["data"], given["out"], Training.of(**given["settings"]), model=given["model"], dataset=Data(validation=25)
    )


given = json.loads(sys.argv[1])
ray.init(address="local")  # a cluster of its own, whichever others run here
workers, run = ScalingConfig(num_workers=2), RunConfig(storage_path=given["ray"])
TorchTrainer(work, train_loop_config=given, scaling_config=workers, run_config=run).fit()
"""


@pytest.mark.parametrize("medium", ["pictures", "clips"])
def test_two_workers_come_to_what_one_process_comes_to(medium: str, tmp_path: Path) -> None:
    data, settings = tmp_path / "data", dict(SETTINGS)
    data.mkdir()
    if medium == "pictures":
        for number in range(8):
            rgb, alpha = tiny.Ellipse(number + 20).load()
            cv2.imwrite(str(data / f"{number}.jpg"), rgb[..., ::-1])
            cv2.imwrite(str(data / f"{number}.png"), np.rint(alpha * 255).astype(np.uint8))
        model = str(weights_home() / "models" / "u2netp.onnx")
    else:
        for seed in range(8):
            scenes.save_clip(data, f"take{seed}", seed, 4)
        model = str(video_weights())
        settings |= {"length": 2, "rate": 1e-5}  # far from where a matte is cut off at 0 or 1, it learns smoothly
    given = {"data": str(data), "out": str(tmp_path / "run"), "settings": settings, "model": model}
    quiet = environment(RAY_USAGE_STATS_ENABLED="0", RAY_TRAIN_V2_ENABLED="1")
    quiet["PYTHONPATH"] = os.pathsep.join(filter(None, [quiet["PYTHONPATH"], *sys.path]))
    command = [sys.executable, "-c", SCRIPT, json.dumps({**given, "ray": str(tmp_path / "ray")})]
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    finetune(data, tmp_path / "alone", Training.of(**settings), model=model, dataset=Data(validation=25))
    found, expected = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("run", "alone")
    )
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)
    mine, alone = (load_file(tmp_path / name / "best.safetensors") for name in ("run", "alone"))
    assert_alike(mine, alone, settings["rate"])

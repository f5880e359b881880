"""The adapters to transformers, tested with its last release before 5 as well: its changes broke every peer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).parent.parent
# Laid over the installed packages, so that torch need not be installed twice; what it depends on and 5 has newer.
OLD = (
    *("transformers==4.57.6", "huggingface_hub==0.36.2", "tokenizers==0.22.2"),
    *("requests", "urllib3", "idna", "certifi", "charset-normalizer"),
)
TESTS = (
    "tests/matting/test_vitmatte.py",
    "tests/matting/test_vitmatte_weights.py",
    "tests/prompting/test_grounding.py",
    "tests/prompting/test_sam2.py",
    "tests/prompting/test_grounded_sam2.py",
    "tests/prompting/test_families.py",
    "tests/test_session_networks.py",
)


def _overlay() -> Path:
    cache = Path(os.environ.get("GOSSAMER_TEST_CACHE") or Path.home() / ".cache" / "gossamer-tests").absolute()
    cache.mkdir(parents=True, exist_ok=True)
    name = f"{OLD[0].replace('==', '-')}-python{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / name
    with FileLock(cache / f"{name}.lock"):
        if not (folder / "complete").exists():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps", "--target", str(folder)]
            subprocess.run([*pip, *OLD], check=True, stdout=subprocess.DEVNULL)
            (folder / "complete").touch()
    return folder


def test_everything_works_with_transformers_4_57() -> None:
    path = os.pathsep.join([str(_overlay()), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    version = "import transformers; print(transformers.__version__)"
    found = subprocess.run([sys.executable, "-c", version], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "4.57.6"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *TESTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " skipped" not in done.stdout

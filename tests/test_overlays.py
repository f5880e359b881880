"""What is tested with packages that are not installed: transformers before 5, OpenVINO, Ray, and stores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.overlays import overlay, run_tests_over

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
    "tests/training/test_sam2_decoder.py",
)


def test_everything_works_with_transformers_4_57() -> None:
    folder = overlay(*OLD)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    version = "import transformers; print(transformers.__version__)"
    found = subprocess.run([sys.executable, "-c", version], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "4.57.6"
    run_tests_over(folder, *TESTS)


def test_networks_run_through_openvino() -> None:
    # Not in the extra `dev`: where it is installed, `auto` measures it, and every other test would meet that.
    tests = ("tests/networks/test_openvino_runtime.py", "tests/networks/test_quantised_graph.py")
    folder = overlay("openvino==2026.4.1", "openvino-telemetry")
    run_tests_over(folder, *tests, "tests/test_quantisation.py")


@pytest.mark.parametrize("tests", ["batch/test_ray.py", "batch/test_parquet.py", "training/test_ray_train.py"])
def test_a_batch_and_a_training_run_on_a_cluster(tests: str) -> None:
    run_tests_over(_ray(), f"tests/{tests}")


def test_a_batch_from_a_store_and_into_one() -> None:
    run_tests_over(_ray(), "tests/batch/test_store.py", "tests/batch/test_stored.py", also=_store())


def test_a_batch_runs_on_two_machines() -> None:
    reason = run_tests_over(_ray(), "tests/batch/test_machines.py", may_skip=True)
    if reason:
        pytest.skip(reason)


def _ray() -> Path:
    """Return Ray: half a gigabyte that nothing else needs."""
    schema = ("attrs", "jsonschema", "jsonschema-specifications", "referencing", "rpds-py")
    tables = ("pandas", "pyarrow", "python-dateutil", "six", "tzdata", "fsspec")
    return overlay("ray==2.60.0", "msgpack", *schema, *tables)


def _store() -> Path:
    """Return what speaks to S3, and a server of it, with what they need."""
    speaks = ("aiobotocore==3.10.0", "botocore==1.43.117", "aioitertools", "jmespath", "wrapt", "urllib3", "idna")
    http = ("aiohttp==3.14.5", "aiohappyeyeballs", "aiosignal", "frozenlist", "multidict", "propcache", "yarl", "attrs")
    serves = ("moto==5.2.5", "boto3==1.43.117", "s3transfer", "responses==0.26.3", "requests", "certifi")
    pages = ("flask==3.1.3", "flask-cors==6.0.5", "werkzeug==3.1.9", "jinja2", "markupsafe", "itsdangerous", "blinker")
    tables = (
        "click",
        "charset-normalizer",
        "pyyaml",
        "xmltodict",
        "py-partiql-parser==0.6.3",
        "python-dateutil",
        "six",
    )
    sealed = ("cryptography", "cffi", "pycparser")
    return overlay("s3fs==2026.9.0", "fsspec==2026.9.0", *speaks, *http, *serves, *pages, *tables, *sealed)

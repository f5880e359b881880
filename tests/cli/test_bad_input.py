"""Every bad input gets one sentence with a remedy, its exit status, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data

from tests.cached_weights import weights_home
from tests.cli.conftest import Run


def assert_one_sentence(done: subprocess.CompletedProcess[bytes], status: int, *words: str) -> None:
    text = done.stderr.decode()
    assert done.returncode == status, (done.returncode, text)
    assert text.startswith("gossamer: "), text
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    assert done.stdout == b""
    for word in words:
        assert word in text, text


def jpeg(path: Path) -> bytes:
    PIL.Image.fromarray(skimage.data.chelsea()).save(path, "JPEG")
    return path.read_bytes()


def test_files_that_are_no_pictures(gossamer: Run, tmp_path: Path) -> None:
    whole = jpeg(tmp_path / "whole.jpg")
    (tmp_path / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, word in [
        ("truncated.jpg", "truncated"),
        ("empty.png", "empty"),
        ("text.png", "text.png"),
        ("folder.png", "folder"),
        ("absent.png", "absent.png"),
    ]:
        assert_one_sentence(gossamer("remove", name, "out.png", "--model", "u2netp"), 2, word)
    assert sorted(tmp_path.iterdir()) == before


def test_a_huge_picture_is_refused_by_its_header(gossamer: Run, tmp_path: Path) -> None:
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )  # fmt: skip
    assert_one_sentence(gossamer("remove", "bomb.png", "--model", "u2netp"), 2, "100000")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["CMYK", "P", "L", "LA", "1", "I;16", "RGBA"])
def test_unusual_pictures_work(gossamer: Run, tmp_path: Path, mode: str) -> None:
    picture = PIL.Image.fromarray(skimage.data.chelsea())
    if mode == "I;16":
        picture = PIL.Image.fromarray(skimage.data.chelsea()[..., 1].astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    name = "in.tif" if mode in ("CMYK", "I;16") else "in.png"
    picture.save(tmp_path / name)
    done = gossamer("remove", tmp_path / name, "out.png", "--model", "u2netp")
    assert done.returncode == 0, done.stderr
    with PIL.Image.open(tmp_path / "out.png") as result:
        assert result.mode == "RGBA"


@pytest.mark.long
def test_an_animation_is_its_first_frame_with_a_warning(gossamer: Run, tmp_path: Path) -> None:
    frames = [PIL.Image.fromarray(skimage.data.chelsea()), PIL.Image.new("RGB", (451, 300))]
    frames[0].save(tmp_path / "in.webp", save_all=True, append_images=frames[1:], lossless=True)
    done = gossamer("remove", "in.webp", "--json", "--model", "u2netp")
    assert done.returncode == 0
    assert "frame" in " ".join(json.loads(done.stdout)["warnings"])


def test_the_output_s_faults_are_found_before_the_work(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    model = ("--model", "u2netp")
    assert_one_sentence(gossamer("remove", photograph, "out.jpg", *model), 2, "transparent", "--background")
    assert_one_sentence(gossamer("remove", photograph, "out.xyz", *model), 3, ".png")
    assert_one_sentence(gossamer("remove", photograph, "no/such/out.png", *model), 3, "folder")
    assert_one_sentence(gossamer("remove", photograph, tmp_path, *model), 3)
    assert sorted(tmp_path.iterdir()) == before


def test_impossible_options(gossamer: Run, photograph: Path) -> None:
    for arguments, words in [
        (("--matting", "magic"), ["magic", "closed_form"]),
        (("--matting-band", "0"), ["matting.band"]),
        (("--matting-band", "wide"), ["wide"]),
        (("--background", "#12"), ["#rrggbb"]),
        (("--background", "absent.jpg"), ["absent.jpg"]),
        (("--device", "tpu"), ["tpu"]),
        (("--recipe", "absent.toml"), ["absent.toml"]),
        (("--nonsense",), ["--nonsense", "--help"]),
    ]:
        assert_one_sentence(
            gossamer("remove", photograph, "out.png", "--quiet", "--model", "u2netp", *arguments), 2, *words
        )
    assert_one_sentence(gossamer("remove"), 2, "IN")
    assert_one_sentence(gossamer("vanish"), 2, "remove")


def test_models_that_cannot_be_had(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    remove = ("remove", photograph, "out.png")
    assert_one_sentence(gossamer(*remove, "--model", "u2nett"), 4, "u2netp", "models list")
    assert_one_sentence(gossamer(*remove, "--model", "absent.onnx", "--architecture", "isnet"), 4, "absent.onnx")
    assert_one_sentence(gossamer(*remove, "--model", "broken.onnx", "--architecture", "isnet"), 4, "broken.onnx")
    assert_one_sentence(gossamer(*remove, "--model", "broken.onnx"), 4, "broken.onnx")
    offline = {"GOSSAMER_HOME": str(tmp_path / "home"), "GOSSAMER_OFFLINE": "1"}
    offline |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    assert_one_sentence(gossamer(*remove, "--model", "u2netp", **offline), 4, "u2netp.onnx")
    assert_one_sentence(gossamer(*remove, **offline), 4)
    assert not (tmp_path / "out.png").exists()


def test_corrupt_weights(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    good = (weights_home() / "models" / "u2netp.onnx").read_bytes()
    bad = tmp_path / "home" / "models" / "u2netp.onnx"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    done = gossamer("remove", photograph, "--model", "u2netp", GOSSAMER_HOME=str(tmp_path / "home"))
    assert_one_sentence(done, 4, "SHA-256", "gossamer models get u2netp --force")


def test_errors_are_json_for_scripts(gossamer: Run) -> None:
    done = gossamer("remove", "absent.jpg", "--json")
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["exit_status"] == 2
    assert "absent.jpg" in error["message"]


@pytest.mark.long
def test_a_full_disk_loses_nothing(gossamer: Run, photograph: Path, tmp_path: Path) -> None:
    old = tmp_path / "out.png"
    old.write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000));"
        "from gossamer.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            script,
            "remove",
            str(photograph),
            "--out",
            str(old),
            "--force",
            "--quiet",
            "--model",
            "u2netp",
        ],
        capture_output=True,
        env={**os.environ, "GOSSAMER_HOME": str(weights_home())},
        check=False,
    )
    assert_one_sentence(done, 3, "out.png")
    assert old.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_half_way_leaves_nothing(photograph: Path, number: signal.Signals) -> None:
    large = photograph.with_name("large.png")
    PIL.Image.open(photograph).resize((3000, 3000)).save(large, compress_level=1)
    before = sorted(photograph.parent.iterdir())
    slow = ["--model", "isnet-general-use", "--segmentation-detail", "--segmentation-flips"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gossamer", "remove", str(large), *slow],
        stderr=subprocess.PIPE,
        env={**os.environ, "GOSSAMER_HOME": str(weights_home()), "PYTHONUNBUFFERED": "1"},
    )
    maps = Path(f"/proc/{process.pid}/maps")
    while process.poll() is None and "onnxruntime" not in maps.read_text():
        time.sleep(0.05)
    time.sleep(0.5)  # wherever it then is
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.fail("the run ended before the signal came: choose a slower one")
    assert process.returncode == 130
    assert error.decode().strip().endswith("gossamer: Cancelled.")
    assert sorted(photograph.parent.iterdir()) == before


BUSY = """
import os
import signal
import time
import gossamer.pipeline
import gossamer.cli
def read_image(source):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(300)
gossamer.pipeline.read_image = read_image
gossamer.cli.main()
"""


@pytest.mark.long
def test_stopping_does_not_wait_for_what_cannot_be_stopped(photograph: Path) -> None:
    command = [sys.executable, "-c", BUSY, "remove", str(photograph), "--model", "none", "--matting", "key"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    assert done.stderr.strip().endswith("gossamer: Cancelled.")

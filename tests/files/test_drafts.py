"""What a killed writer leaves is swept by the next one; what is being written is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.files import staging_folder, sweep, write_bytes

BEGIN = (
    "import sys, time\nfrom pathlib import Path\nfrom gossamer.files import drafts, staging_folder\n"
    "with drafts.draft(Path(sys.argv[1]), 0o666) as one, staging_folder(Path(sys.argv[1])) as two:\n"
    "    (two / 'more').write_text('x')\n    print('begun', flush=True)\n    time.sleep(60)\n"
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="on Windows what is old is swept")


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path) -> None:
    theirs = [".gossamer-notes", "x.tmp", ".0123456789ab.tmp"]
    for name in theirs:
        (tmp_path / name).write_text("theirs")
    (tmp_path / ".gossamer-link.tmp").symlink_to(tmp_path / "x.tmp")
    with subprocess.Popen([sys.executable, "-c", BEGIN, tmp_path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 6  # it is alive
        writer.send_signal(signal.SIGKILL)
    assert len(list(tmp_path.iterdir())) == 6
    code = "import sys; from gossamer.files import write_bytes; write_bytes(sys.argv[1], b'new')"
    subprocess.run([sys.executable, "-c", code, tmp_path / "new.png"], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {*theirs, ".gossamer-link.tmp", "new.png"}


def test_a_writer_is_not_swept_by_itself_or_its_threads(tmp_path: Path) -> None:
    with staging_folder(tmp_path) as folder:
        (folder / "half").write_text("x")
        sweep(tmp_path)
        write_bytes(tmp_path / "x.png", b"new")
        assert (folder / "half").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


def test_many_writers_and_sweepers_at_once_lose_nothing(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom gossamer.files import sweep, write_bytes\n"
        "for i in range(150):\n sweep(Path(sys.argv[1]))\n write_bytes(f'{sys.argv[1]}/{sys.argv[2]}-{i % 5}.png',"
        " bytes(100), force=True)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path, str(one)]) for one in range(4)]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    assert {path.name for path in tmp_path.iterdir()} == {f"{one}-{i}.png" for one in range(4) for i in range(5)}

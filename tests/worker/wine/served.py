"""Runs in Windows' Python: the worker itself, with a cutter that gives back what it gets.

What computes is left out, and the catalogue of models: numpy does not load under Wine, pydantic is not there.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

for name in ("numpy", "numpy.typing", "cv2"):
    sys.modules[name] = MagicMock()
sys.modules["numpy"].empty = lambda size, kind: Memory(size)
sys.modules["cv2"].mean = lambda mask: (0.5,)

from gossamer.worker import conversation, server  # noqa: E402


class Memory(bytearray):
    """What stands for an array of bytes."""

    @property
    def data(self):
        return memoryview(self)


class Kept:
    """A picture as it came."""

    def __init__(self, request, data):
        self.request, self.data = request, data
        self.shape = request.height, request.width

    def close(self):
        pass


class Colours(list):
    """Colours in one strip."""

    def __init__(self, data, shape):
        super().__init__([data])
        self.shape, self.nbytes = shape, len(data)


class Echo:
    """Answers with the picture's own bytes, and with its first channel's worth of them for the alpha."""

    busy, device = False, "cpu"

    def __init__(self, inventory, device):
        pass

    def segment(self, picture, request, plane, tell):
        for step in range(request.options.get("steps", 1)):
            tell(step / 10_000, "Counting")
            time.sleep(0.01)
        return SimpleNamespace(warnings=(), mask=None, model="", seconds={})

    def refine(self, picture, request, tell):
        high, wide = picture.shape
        colours = Colours(picture.data, (high, wide, picture.request.channels))
        alpha = memoryview(bytes(picture.data[: high * wide])).cast("B", (high, wide))
        there = {"left": 0, "top": 0, "boxes": None, "report": {"warnings": []}}
        return SimpleNamespace(alpha=alpha, foreground=colours, background=None, shadow=None, **there)


conversation.OpenedPicture = Kept
server.Cutter = Echo
server.Inventory = lambda: SimpleNamespace(about=lambda model: "", reads_text=lambda: False)
path = Path(sys.argv[sys.argv.index("--socket") + 1])
facts = {"pid": os.getpid(), "console": ctypes.windll.kernel32.GetConsoleWindow(), "platform": sys.platform}
Path(f"{path}.facts").parent.mkdir(parents=True, exist_ok=True)
Path(f"{path}.facts").write_text(json.dumps(facts))
server.serve(path, idle_seconds=float(os.environ["IDLE"]))
Path(f"{path}.ended").write_text("")

"""Runs in Windows' Python: the plug-in's own client, and what it finds."""

import json
import os
import sys
import threading
import time

from gossamer_gimp import system
from gossamer_gimp.client import Client, Picture, Settings, WorkerFailure, socket_path

facts = {"platform": sys.platform, "path": socket_path(), "private": None}
settings = Settings(sys.executable, (os.environ["SERVED"],), "0.1.0", 2)

with Client(settings) as client:
    facts["started"] = client.started is not None
    facts["ping"] = client.ping()
    facts["private"] = system.is_private(os.path.dirname(socket_path()))
    data = bytes(range(256)) * 281250  # 72 MB: 24 megapixels
    picture = client.open(Picture(6000, 4000, 3, "u8", data))
    client.segment(picture)
    began = time.perf_counter()
    result = client.refine(picture, {}, foreground=True)
    facts["there"] = time.perf_counter() - began
    facts["same"] = bytes(result.foreground) == data and bytes(result.alpha) == data[:24_000_000]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        number = client.open(Picture(6000, 2000, 3, "u8", data[:36_000_000]))
        half = client.refine(number, {}, foreground=True)
        times.append(time.perf_counter() - began)
        client.close(number)
    facts["echo"] = min(times)  # 36 MB there, 48 MB back
    threading.Timer(0.5, client.cancel).start()
    try:
        client.segment(picture, options={"steps": 3000})
        facts["cancelled"] = "not"
    except WorkerFailure as failure:
        facts["cancelled"] = failure.kind
    facts["after"] = client.ping()["pid"]

with Client(settings) as client:
    facts["again"] = client.started is not None

# Who does not know the secret
path = socket_path()
with open(path, "rb") as file:
    mark, _, rest = file.read().partition(b"\n")
told = json.loads(rest)
told["secret"] = "00" * 32
with open(f"{path}.other", "wb") as file:
    file.write(mark + b"\n" + json.dumps(told).encode())
facts["stranger"] = system.connect(f"{path}.other", 5.0) is not None
with Client(settings) as client:
    facts["still"] = client.ping()["pid"] == facts["ping"]["pid"]
with open(os.environ["FACTS"], "w") as file:
    json.dump(facts, file)

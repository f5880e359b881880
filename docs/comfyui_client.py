"""Run a ComfyUI workflow from a script: ``python comfyui_client.py workflow.json photo.jpg [host:port]``.

The workflow is one in API form, such as those in ``example_workflows/api``; its Load Image gets the photograph, and
what it saves is written beside this script's caller. Needs nothing but Python.
"""

import json
import sys
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path


def ask(server, path, data=None, kind="application/json"):
    """Return what the server answers to a GET, or to a POST of `data`."""
    request = urllib.request.Request(f"http://{server}{path}", data, {"Content-Type": kind} if data else {})
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return answer.read()


def upload(server, photo):
    """Upload a photograph, and return its name for Load Image."""
    mark = uuid.uuid4().hex
    head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{photo.name}"\r\n\r\n'
    body = head.encode() + photo.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    return json.loads(ask(server, "/upload/image", body, f"multipart/form-data; boundary={mark}"))["name"]


def run(server, workflow, photo, folder):
    """Queue a workflow, follow it, and fetch what it saves; returns the files."""
    for node in workflow.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = upload(server, photo)
    queued = json.loads(ask(server, "/prompt", json.dumps({"prompt": workflow}).encode()))["prompt_id"]
    while queued not in (history := json.loads(ask(server, f"/history/{queued}"))):
        ahead = json.loads(ask(server, "/queue"))
        print(f"{len(ahead['queue_running'])} running, {len(ahead['queue_pending'])} waiting", end="\r")  # noqa: T201
        time.sleep(0.5)
    if (status := history[queued]["status"])["status_str"] != "success":
        raise SystemExit(next(told["exception_message"] for kind, told in status["messages"] if kind.endswith("error")))
    files = []
    for output in history[queued]["outputs"].values():
        for picture in output.get("images", []):
            files.append(folder / picture["filename"])
            files[-1].write_bytes(ask(server, f"/view?{urllib.parse.urlencode(picture)}"))
    return files


if __name__ == "__main__":
    graph = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1:8188"
    for file in run(address, graph, Path(sys.argv[2]), Path.cwd()):
        print(file)  # noqa: T201

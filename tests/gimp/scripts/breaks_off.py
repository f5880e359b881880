"""Stands for the worker's Python: a worker that ends while its colours are on their way, for one client."""

import json
import os
import socket
import struct
import sys

path = sys.argv[sys.argv.index("--socket") + 1]


def hear(line):
    (length,) = struct.unpack(">I", line.recv(4, socket.MSG_WAITALL))
    header = json.loads(line.recv(length, socket.MSG_WAITALL))
    left = header.get("payload", 0)
    while left:
        left -= len(line.recv(min(left, 1 << 16)))
    return header


def say(line, header, payload=b"", missing=0):
    text = json.dumps({**header, "payload": len(payload) + missing}).encode()
    line.sendall(struct.pack(">I", len(text)) + text + payload)


with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    listener.listen(1)
    line, _ = listener.accept()
    hello = hear(line)
    say(line, {"type": "hello", "pid": os.getpid(), **hello})
    picture = hear(line)
    pixels = picture["width"] * picture["height"]
    say(line, {"type": "opened", "picture": 1})
    hear(line)
    say(line, {"type": "segmented", "model": "", "about": None, "coverage": 0.5, "warnings": []})
    hear(line)
    report = {"coverage": 0.5, "warnings": []}
    say(line, {"type": "result", "foreground": 4, "background": 0, "report": report}, bytes(3 * pixels), 2 * pixels)
    line.close()
os.unlink(path)

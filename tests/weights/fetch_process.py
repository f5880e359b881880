"""A process that fetches one made-up model: URL SIZE [FILE_SIZE_LIMIT]; prints the path or the error."""

from __future__ import annotations

import resource
import sys

from cards import content, url_card  # this script's own folder is on the path

from gossamer.errors import GossamerError
from gossamer.weights import store

url, size, *limit = sys.argv[1:]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit[0]), int(limit[0])))
said: list[str] = []
try:
    weights = store.fetch(url_card(content(int(size)), url), progress=lambda _, message: said.append(message))
    print(weights.path)
except GossamerError as error:
    print(type(error).__name__, error)
if any(message.startswith("Waiting for another program") for message in said):
    print("waited")

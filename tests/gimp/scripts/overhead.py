"""Runs inside GIMP: how long a layer of 24 megapixels takes from call to result; the worker's log has its own part."""

import json
import os
import time

from gi.repository import Gegl, Gimp, Gio

SHARE = os.environ["SHARE"]
NAME = "plug-in-gossamer-remove-background"
LOG = os.path.join(os.environ["XDG_RUNTIME_DIR"], "gossamer", "worker.log")
found = []


def run(image, layer, **options):
    procedure = Gimp.get_pdb().lookup_procedure(NAME)
    config = procedure.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", [layer])
    for option, value in {"model": "u2netp", "matting": "none", **options}.items():
        config.set_property(option.replace("_", "-"), value)
    began = time.monotonic()
    result = procedure.run(config)
    seconds = time.monotonic() - began
    if result.index(0) != Gimp.PDBStatusType.SUCCESS:
        raise RuntimeError(result.index(1))
    return seconds


Gegl.init(None)
for turn, options in enumerate(({"output": "mask"}, {"output": "mask"}, {"output": "layer"}, {"output": "layer"})):
    image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SHARE, "large.png")))
    if turn == 0:  # the worker starts, and its libraries are loaded
        small = image.duplicate()
        small.scale(600, 400)
        run(small, small.get_layers()[0], output="layer")
        small.delete()
    size = os.path.getsize(LOG)
    seconds = run(image, image.get_layers()[0], **options)
    with open(LOG, encoding="utf-8") as log:
        log.seek(size)
        found.append({**options, "seconds": seconds, "log": log.read()})
    image.delete()
with open(os.path.join(SHARE, "overhead.json"), "w") as file:
    json.dump(found, file)
print("GIMP-TEST-OK")

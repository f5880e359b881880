"""Runs inside GIMP: a bundle that was unzipped, from the first look to the first cut-out."""

import json
import os
import subprocess
import time

from gi.repository import Gegl, Gimp, Gio

SHARE = os.environ["SHARE"]
facts = {}


def call(name, image=None, layers=(), **options):
    procedure = Gimp.get_pdb().lookup_procedure(name)
    config = procedure.create_config()
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", list(layers))
    for option, value in options.items():
        config.set_property(option.replace("_", "-"), value)
    done = procedure.run(config)
    return done, done.index(0).value_name, done.index(1) if done.length() > 1 else None


def plane(drawable, name, encoding):
    buffer = drawable.get_buffer()
    rectangle = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    with open(os.path.join(SHARE, name), "wb") as file:
        file.write(buffer.get(rectangle, 1.0, encoding, Gegl.AbyssPolicy.CLAMP))


Gegl.init(None)
pdb = Gimp.get_pdb()
facts["names"] = sorted(name for name in pdb.query_procedures(*[""] * 8) if name.startswith("plug-in-gossamer"))
facts["labels"] = [pdb.lookup_procedure(name).get_menu_label() for name in facts["names"]]
facts["help"] = pdb.lookup_procedure("plug-in-gossamer-remove-background").find_argument("matting").get_blurb()

image = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SHARE, "cat.png")))
layer = image.get_layers()[0]
main = "plug-in-gossamer-remove-background"
_, status, text = call(main, image, [layer], output="mask")
facts["before"] = [status, str(text)]

# What GIMP itself can do
_, status, text = call("plug-in-gossamer-extract-with-gimp", image, [layer])
facts["nothing selected"] = [status, str(text)]
with open(os.path.join(SHARE, "rough.gray"), "rb") as file:
    rough = file.read()
mask = layer.create_mask(Gimp.AddMaskType.WHITE)
layer.add_mask(mask)
rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
mask.get_buffer().set(rectangle, "Y u8", rough)
image.select_item(Gimp.ChannelOps.REPLACE, mask)
layer.remove_mask(Gimp.MaskApplyMode.DISCARD)
done, status, text = call("plug-in-gossamer-extract-with-gimp", image, [layer])
facts["extracted"] = [status, str(text)]
facts["layers"] = [one.get_name() for one in image.get_layers()]
facts["channels"] = len(image.get_channels())
facts["visible"] = [one.get_visible() for one in image.get_layers()]
plane(image.get_layers()[0].get_mask(), "extracted.mask", "Y u8")
plane(image.get_selection(), "extracted.selection", "Y u8")

# Setting up, and then what Gossamer can
began = time.monotonic()
done, status, text = call("plug-in-gossamer-set-up")
facts["set up"] = [status, str(text)]
facts["seconds"] = time.monotonic() - began
again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SHARE, "cat.png")))
layer = again.get_layers()[0]
_, status, text = call(main, again, [layer], output="mask")
facts["after"] = [status, str(text)]
if layer.get_mask() is not None:
    plane(layer.get_mask(), "after.mask", "Y u8")

# The worker is killed in the middle of the work; the next call starts another
KILLER = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from client import Client, Settings
with Client(Settings.read(sys.argv[1])) as client:
    while not (said := client.ping())["busy"]:
        time.sleep(0.01)
    os.kill(said["pid"], 9)
"""
plug_in = os.path.join(os.environ["GIMP3_DIRECTORY"], "plug-ins", "gossamer_gimp")
third = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SHARE, "cat.png")))
layer = third.get_layers()[0]
dirty = third.is_dirty()
killer = subprocess.Popen(["/usr/bin/python3", "-B", "-c", KILLER, plug_in])
time.sleep(1)
_, status, text = call(main, third, [layer], matting="learning_based", matting_band=60.0)
facts["killed"] = [status, str(text)]
killer.wait(60)
facts["killed layers"] = [len(third.get_layers()), layer.get_mask() is None, third.is_dirty() == dirty]
_, status, text = call(main, third, [layer], output="mask")
facts["revived"] = [status, str(text)]
if layer.get_mask() is not None:
    plane(layer.get_mask(), "revived.mask", "Y u8")

with open(os.path.join(SHARE, "facts.json"), "w") as file:
    json.dump(facts, file)
print("GIMP-TEST-OK")

"""Runs in the box, outside GIMP: uses GIMP as a person would, with keys, and takes pictures of the screen."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time

from desktop import F4, KEY, SHARE, ask, began, end, gone, picture, start, undo, wait_until, window, xdotool

story = []


def note(step):
    """Write down what is in the image now, and keep its planes."""
    print(f"{time.monotonic() - began:.0f} s: {step}", flush=True)
    seen = ask("look")
    for name in ("mask", "pixels"):
        source = os.path.join(SHARE, f"look.{name}")
        if os.path.exists(source):
            shutil.move(source, os.path.join(SHARE, f"{step}.{name}"))
    story.append({"step": step, **seen})
    return seen


def settle(seconds=3):
    """Wait until the preview has stood still for so long: the first ones are drafts."""
    seen, since = None, time.monotonic()
    while time.monotonic() < since + seconds:
        now = ask("look")["digest"]
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.2)


def presets(step):
    """Write down which presets of the user there are."""
    path = os.path.join(os.environ["GIMP3_DIRECTORY"], "gossamer-presets.json")
    with open(path, encoding="utf-8") as file:
        story.append({"step": f"presets {step}", **json.load(file)})


def open_dialog():
    for _ in range(4):  # a key can be lost on a machine that has other things to do
        window(r"\(imported\)")
        xdotool("key", KEY)
        until = time.monotonic() + 15
        while time.monotonic() < until:
            if xdotool("search", "--onlyvisible", "--name", "^Remove Background$"):
                window("^Remove Background$")
                wait_until("the preview", lambda look: "Preview" in look["layers"] and look["lightest"] > 0)
                return
            time.sleep(0.2)
    picture("lost")
    sys.exit("the dialog does not come; see lost.png")


def close_dialog(key):
    window("^Remove Background$")
    xdotool("key", key)
    gone("^Remove Background$")
    wait_until("the end of the preview", lambda look: "Preview" not in look["layers"])


def stroke(points):
    """Draw through points of the screen with GIMP's paintbrush; return when it was finished."""
    window(r"\(imported\)")
    xdotool("key", "p")
    time.sleep(0.5)
    xdotool("mousemove", *map(str, points[0]))
    xdotool("mousedown", "1")
    for (left, top), (right, bottom) in itertools.pairwise(points):
        for part in range(1, 9):
            xdotool("mousemove", str(left + (right - left) * part // 8), str(top + (bottom - top) * part // 8))
            time.sleep(0.02)
    xdotool("mouseup", "1")
    return time.monotonic()


BRUSHED, MARKED = ((240, 290), (260, 360)), ((330, 250), (400, 400))
start(os.path.join(SHARE, "cat.png"))
note("opened")

# Looked at and given up
open_dialog()
time.sleep(2)
picture("2-dialog")
xdotool("key", "alt+a")
time.sleep(1.5)
picture("3-advanced")
shape = xdotool("getwindowgeometry", "--shell", window("^Remove Background$"))
story.append({"step": "geometry", **dict(line.split("=") for line in shape)})
xdotool("key", "alt+a")
for number in range(1, 9):  # every view
    xdotool("key", F4)
    time.sleep(1)
    note(f"view-{number}")
    picture(f"4-view-{number}")
# Presets: saved under a name, something else set, chosen again, deleted
xdotool("key", F4)
time.sleep(1)
settle()
note("preset-saved")
xdotool("key", "alt+s")
window("^Save Preset$")
xdotool("type", "Fine hair")
picture("4-preset")
xdotool("key", "Return")
gone("^Save Preset$")
presets("saved")
window("^Remove Background$")
xdotool("key", "alt+v")
xdotool("key", "Tab", "Tab", "Page_Up")  # the second slider: feather
time.sleep(1)
settle()
note("preset-left")
picture("4-preset-left")
xdotool("key", "alt+y", "Down")
time.sleep(1)
settle()
note("preset-chosen")
picture("4-preset-chosen")
xdotool("key", "alt+l")
time.sleep(1)
picture("4-preset-delete")
xdotool("key", "Return")
time.sleep(1)
presets("deleted")
close_dialog("Escape")
note("cancelled")

# Painted: the refine brush, then marks
ask("select")
note("before painting")
open_dialog()
xdotool("key", "alt+b")
wait_until("the brush", lambda look: any("brush" in name for name in look["layers"]))
settle()
before = note("brush")["digest"]
began_stroke = stroke(BRUSHED)
wait_until("what the brush solves", lambda look: look["digest"] != before)
story.append({"step": "brush time", "seconds": time.monotonic() - began_stroke})
note("brushed")
picture("4-brushed")
window("^Remove Background$")
xdotool("key", "alt+u")
xdotool("key", "Down", "Down", "Down", "Down", "Down")
time.sleep(1)
window("^Remove Background$")
xdotool("key", "alt+b")
wait_until("the marks", lambda look: any("white keeps" in name for name in look["layers"]))
before = note("marks")["digest"]
window(r"\(imported\)")
xdotool("key", "x")  # white
stroke(MARKED)
wait_until("what the marks mean", lambda look: look["digest"] != before)
note("marked")
picture("4-marked")
close_dialog("Escape")
note("unpainted")

# Killed in the preview, with the brush in hand: the next one clears up
open_dialog()
xdotool("key", "alt+b")
wait_until("the brush", lambda look: any("brush" in name for name in look["layers"]))
subprocess.run(["pkill", "-9", "-f", "gossamer_gimp[.]py"], check=False)  # in the box are none but ours
gone("^Remove Background$")
note("killed")
picture("4-killed")
xdotool("key", "Return")  # GIMP's message about it
time.sleep(0.5)
window(r"\(imported\)")
open_dialog()
close_dialog("Escape")
note("cleared")

# Done, undone, done again
open_dialog()
time.sleep(1.5)
close_dialog("Return")
wait_until("the result", lambda look: len(look["layers"]) == 2)
picture("5-result")
note("done")
undo(lambda look: len(look["layers"]) == 1)
note("undone")
xdotool("key", "ctrl+y")
wait_until("the redoing", lambda look: len(look["layers"]) == 2)
ask("blacken")
note("blackened")
xdotool("key", "ctrl+f")  # again, with the last values: in place of the result
wait_until("the repetition", lambda look: look["darkest"] != look["lightest"])
picture("6-repeated")
note("repeated")
undo(lambda look: look["darkest"] == look["lightest"])
note("repeating-undone")

with open(os.path.join(SHARE, "story.json"), "w") as file:
    json.dump(story, file)
end()
print("GUI-TEST-OK")

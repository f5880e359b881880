"""Runs in the box, outside GIMP: presses each of the dialog's keys, and asks what has come of it."""

import json
import os
import sys
import time

from desktop import SHARE, ask, gone, picture, start, window, xdotool

LANGUAGE = os.environ["LANGUAGE"]
DIALOG = "^Gossamer$"
facts = {"pressed": []}


def press(key):
    window(DIALOG)
    xdotool("key", f"alt+{key}")
    time.sleep(0.4)


def geometry():
    """Return the dialog's place and size."""
    shape = xdotool("getwindowgeometry", "--shell", window(DIALOG))
    return {name: int(value) for name, value in (line.split("=") for line in shape)}


start(os.path.join(SHARE, "cat.png"), r"\[cat\]", inside="dialog.py")
window(DIALOG, 120)
time.sleep(3)  # the preview has come
picture(f"8-{LANGUAGE}-folded")
facts["folded"] = [key for key, *_ in ask("keys")]
(expander,) = (key for key, _text, kind in ask("keys") if kind == "expander")
facts["unfolded"] = [ask("unfolded")["unfolded"]]
press(expander)
facts["unfolded"].append(ask("unfolded")["unfolded"])
time.sleep(1)
picture(f"8-{LANGUAGE}-unfolded")
facts["geometry"] = [geometry()]
facts["keys"] = ask("keys")
facts["buttons"] = ask("buttons")
for key, text, kind in facts["keys"]:
    if kind == "focus":
        press(key)
        facts["pressed"].append([key, text, ask("focus")["labels"]])

(brush,) = (key for key, _text, kind in facts["keys"] if kind == "brush")
facts["brush"] = []
for _ in range(2):
    press(brush)
    time.sleep(1)
    facts["brush"].append(ask("brush")["in hand"])
    facts["geometry"].append(geometry())
    picture(f"8-{LANGUAGE}-brush-{len(facts['brush'])}")


def until(wanted, seconds=30):
    """Wait until the row below the subject is as is wanted; return it."""
    end = time.monotonic() + seconds
    while not wanted(seen := ask("fetching")):
        if time.monotonic() > end:
            picture("lost")
            sys.exit(f"it stays {seen}; see lost.png")
        time.sleep(0.2)
    return seen


# A model that is not here: asked for, its licence ticked, stopped on its way, and another chosen
ask("want_missing")
facts["missing"] = until(lambda seen: seen["button"] is not None)
ask("press_fetch")
time.sleep(1)
facts["asked"] = ask("consent")
picture(f"8-{LANGUAGE}-consent")
facts["ticked"] = ask("tick")
ask("agree")
facts["coming"] = until(lambda seen: seen["share"])
picture(f"8-{LANGUAGE}-fetching")
facts["geometry"].append(geometry())
ask("press_fetch")
facts["stopped"] = until(lambda seen: seen["share"] is None)
ask("want_here")
facts["here"] = until(lambda seen: seen["button"] is None)
facts["all greyed"] = ask("all_greyed")
# By hand: the subject is "In the selection", for which no model is asked; its key does nothing then
(subject, model) = (
    next(key for key, text, _kind in facts["keys"] if text == wanted)
    for wanted in (os.environ["SUBJECT"], os.environ["MODEL"])
)
facts["before"] = ask("greyed")
press(subject)
xdotool("key", "Down", "Down", "Down")
time.sleep(1)
facts["after"] = ask("greyed")
facts["focus"] = ask("focus")["labels"]
picture(f"8-{LANGUAGE}-greyed")
press(model)
facts["still"] = ask("focus")["labels"]

# Buttons are pressed: the last of them closes the dialog
(cancel,) = (key for key, text, kind in facts["keys"] if kind == "button" and text == os.environ["CANCEL"])
press(cancel)
gone(DIALOG)
with open(os.path.join(SHARE, "keys.json"), "w") as file:
    json.dump(facts, file)
print("GUI-TEST-OK")

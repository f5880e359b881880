"""Runs in the box, outside GIMP: the set-up's buttons, two layers in the dialog, help, and what undo keeps."""

import json
import os
import sys
import time

from desktop import F1, SHARE, ask, end, gone, picture, start, undo, wait_until, window, xdotool

PLUG_IN = os.path.join(os.environ["GIMP3_DIRECTORY"], "plug-ins", "gossamer_gimp")
sys.dont_write_bytecode = True
sys.path.insert(0, PLUG_IN)
from client import Client, Settings  # noqa: E402

SET_UP, REMOVE, REFINE, SELECTION, NOW, ANIMATION = (f"ctrl+shift+{key}" for key in "kjuynm")
HELP = "^Gossamer$"
WEIGHTS = os.path.join(os.environ["GOSSAMER_HOME"], "models", "u2netp.onnx")
story = {}


def until(what, wanted, seconds=60):
    """Wait until something is as it is wanted, and return it."""
    end_of_it = time.monotonic() + seconds
    while not (found := wanted()):
        if time.monotonic() > end_of_it:
            picture("lost")
            sys.exit(f"{what} does not come; see lost.png")
        time.sleep(0.2)
    return found


def asked(what):
    """Ask the worker something, as another GIMP would."""
    with Client(Settings.read(PLUG_IN)) as client:
        return getattr(client, what)()


def open_window(key, title):
    for _ in range(4):  # a key can be lost on a machine that has other things to do
        window(r"\(imported\)")
        xdotool("key", key)
        end_of_it = time.monotonic() + 15
        while time.monotonic() < end_of_it:
            if xdotool("search", "--onlyvisible", "--name", title):
                window(title)
                return
            time.sleep(0.2)
    picture("lost")
    sys.exit(f"no window {title!r} comes; see lost.png")


def open_set_up():
    open_window(SET_UP, "^Set Up Gossamer$")
    time.sleep(3)  # the models are listed, the computer is examined


def press_button_of(model):
    """Press the button of a model's row: log, list, first row, down to it, its button."""
    listed = sorted(asked("models")["models"], key=lambda one: not one["installed"])
    row = [one["id"] for one in listed].index(model)
    xdotool("key", "Tab", "Tab", "Tab")
    for _ in range(row):
        xdotool("key", "Down")
    xdotool("key", "Tab")
    time.sleep(0.5)
    xdotool("key", "space")
    time.sleep(1.5)


def open_dialog(key=REMOVE, title="^Remove Background$"):
    open_window(key, title)
    wait_until("the preview", lambda look: "Preview" in look["layers"] and look["lightest"] > 0)


def close_dialog(key, title="^Remove Background$"):
    window(title)
    xdotool("key", key)
    gone(title)
    wait_until("the end of the preview", lambda look: "Preview" not in look["layers"])


start(os.path.join(SHARE, "cat.png"))

# Set-up: the worker is started again, a model removed and fetched, the report copied
open_set_up()
first = asked("ping")["pid"]
picture("7-set-up")
xdotool("key", "alt+t")
story["restarted"] = until("another worker", lambda: (pid := asked("ping")["pid"]) != first and pid)
time.sleep(2)


def reported():
    """Copy the report, and return it once the machine has been looked at, which takes a while."""
    xdotool("key", "alt+r")
    time.sleep(1)
    text = ask("clipboard")["text"]
    return text if "--- doctor" in text else None


story["report"] = until("a whole report", reported)
xdotool("key", "Escape")
gone("^Set Up Gossamer$")
open_set_up()
press_button_of("u2netp")
picture("7-remove")
xdotool("key", "alt+r")
story["removed"] = until("the removal", lambda: not os.path.exists(WEIGHTS))
time.sleep(2)
xdotool("key", "Escape")
gone("^Set Up Gossamer$")
open_set_up()
press_button_of("u2netp")
picture("7-fetch")
story["before consent"] = os.path.exists(WEIGHTS)
xdotool("key", "alt+f")
story["fetched"] = until("the model", lambda: os.path.exists(WEIGHTS))
time.sleep(2)
picture("7-fetched")
xdotool("key", "Escape")
gone("^Set Up Gossamer$")

# What was done before can still be undone after Cancel
story["named"] = ask("name")
open_dialog()
for key in ("alt+h", F1):
    xdotool("key", key)
    window(HELP)  # where there is no browser, it says where our page is
    picture("7-help")
    xdotool("key", "Escape")
    gone(HELP)
    window("^Remove Background$")
close_dialog("Escape")
undo(lambda look: look["layers"] == ["cat.png"])
story["undone"] = ask("look")

# The layer is worked on while the dialog is open: what is cut out is what is there on OK
open_dialog()
story["painted"] = ask("paint")["colour"]
close_dialog("Return")
wait_until("the result", lambda look: len(look["layers"]) == 2)
story["cut out"] = ask("colour")["colour"]
undo(lambda look: len(look["layers"]) == 1)
ask("unpaint")
before = ask("look")
open_dialog()
ask("crop")
window("^Remove Background$")
xdotool("key", "alt+v", "Tab", "Page_Up")  # the first slider: there is nothing to draw on any more
time.sleep(2)
picture("7-cropped")
close_dialog("alt+o")
window("^GIMP Message$")
picture("7-cropped-told")
xdotool("key", "Return")
gone("^GIMP Message$")
story["cropped"] = ask("look")
undo(lambda look: look["size"] == before["size"])
story["uncropped"], story["before cropping"] = ask("look"), before

# Two layers that are selected, by the dialog: one step of undo
story["two before"] = ask("double")
open_dialog()
close_dialog("Return")
wait_until("both results", lambda look: len(look["layers"]) == 4)
story["two"] = ask("look")
undo(lambda look: len(look["layers"]) == 2)
story["two undone"] = ask("look")

# The other entries of the menu, each with its own subject
ask("single")
open_dialog(SELECTION, "^Cut Out Selection$")
picture("7-selection")
close_dialog("Escape", "^Cut Out Selection$")
open_dialog(REFINE, "^Refine Edge$")
picture("7-refine")
close_dialog("Escape", "^Refine Edge$")
open_window(ANIMATION, "^Remove Background from Animation$")
xdotool("key", "alt+h")
window(HELP)
xdotool("key", "Escape")
gone(HELP)
window("^Remove Background from Animation$")
xdotool("key", "Escape")
gone("^Remove Background from Animation$")

# What was chosen last is what Now does
open_dialog()
xdotool("key", "alt+v", "Tab", "Tab", "Page_Up")  # the second slider: feather
time.sleep(2)
picture("7-feather")
close_dialog("alt+o")
wait_until("the result", lambda look: len(look["layers"]) == 2)
story["feathered"] = ask("look")
undo(lambda look: len(look["layers"]) == 1)
xdotool("key", NOW)
wait_until("the result again", lambda look: len(look["layers"]) == 2)
story["now"] = ask("look")

# A text can be cut out, and stays one
story["text"] = ask("text")

with open(os.path.join(SHARE, "story.json"), "w") as file:
    json.dump(story, file)
end()
print("GUI-TEST-OK")

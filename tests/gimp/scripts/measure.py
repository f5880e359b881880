"""Runs in the box, outside GIMP: moves sliders, enters views and brushes, and watches the canvas on the screen."""

import json
import os
import sys
import time

import gi
from desktop import F4, KEY, SHARE, end, picture, start, wait_until, window, xdotool

gi.require_version("Gdk", "3.0")
from gi.repository import Gdk  # noqa: E402

CANVAS = (230, 130, 560, 480)  # of the screen: a part of the picture that nothing covers
DIALOG = (930, 90)
STILL = 1.4  # seconds without a change after which the preview is what it will be
MOST = 6.0  # seconds after which no change is waited for any more
VIEWS = ("overlay", "ants", "black", "white", "mask", "onion", "edge", "original", "below")
found = {"sliders": {}, "views": {}}


class Screen:
    """The canvas as it is on the screen."""

    def __init__(self):
        Gdk.init([])
        self._root = Gdk.get_default_root_window()

    def seen(self):
        left, top, width, height = CANVAS
        return Gdk.pixbuf_get_from_window(self._root, left, top, width, height).get_pixels()

    def changes(self, act, still=STILL, most=MOST):
        """Do something; return after how many seconds the canvas changed, each time, until it stands still."""
        before, times = self.seen(), []
        began = since = time.monotonic()
        act()
        while (now := time.monotonic()) - began < most and (not times or now - since < still):
            seen = self.seen()
            if seen != before:
                since = time.monotonic()
                times.append(round(since - began, 3))
                before = seen
            time.sleep(0.004)
        return times

    def settle(self):
        self.changes(lambda: None, most=STILL)


def dialog():
    for _ in range(4):
        window(r"\(imported\)")
        xdotool("key", KEY)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if xdotool("search", "--onlyvisible", "--name", "^Remove Background$"):
                return window("^Remove Background$")
            time.sleep(0.2)
    picture("lost")
    sys.exit("the dialog does not come")


start(os.path.join(SHARE, "large.png"))
main = window(r"\(imported\)")
xdotool("windowmove", main, "0", "0", "windowsize", main, "1366", "740")
time.sleep(1)
asked = time.monotonic()
shown = dialog()
xdotool("windowmove", shown, *map(str, DIALOG))
xdotool("mousemove", "300", "740")
wait_until("the preview", lambda look: "Preview" in look["layers"] and look["lightest"] > 0)
found["opened"] = round(time.monotonic() - asked, 2)
screen = Screen()
screen.settle()
picture("m-dialog")
window("^Remove Background$")
xdotool("key", "alt+v")
for name in ("smooth", "feather", "contrast", "shift edge"):
    xdotool("key", "Tab")
    moved = []
    for number in range(5):
        key = "Page_Up" if number < 4 else "Page_Down"
        moved.append(screen.changes(lambda key=key: xdotool("key", key)))
    found["sliders"][name] = moved
    print(name, moved, flush=True)
    xdotool("key", "Page_Down", "Page_Down", "Page_Down")  # back to where it was
    screen.settle()
picture("m-moved")
for view in VIEWS:
    times = screen.changes(lambda: xdotool("key", F4), most=1.5 if view in ("ants", "original") else MOST)
    found["views"][view] = times[:6]
    picture(f"m-{view}")
window("^Remove Background$")
xdotool("key", "alt+b")
screen.settle()
window(r"\(imported\)")
xdotool("key", "p")
time.sleep(0.3)
xdotool("mousemove", "318", "330", "mousedown", "1")  # along the cat's cheek
for step in range(1, 13):
    xdotool("mousemove", str(318 + step * 2), str(330 + step * 10))
    time.sleep(0.02)
found["brush"] = screen.changes(lambda: xdotool("mouseup", "1"), still=2.0)
picture("m-brushed")
with open(os.path.join(SHARE, "measured.json"), "w") as file:
    json.dump(found, file)
end()
print("MEASURED-OK")

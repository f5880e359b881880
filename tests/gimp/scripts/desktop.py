"""What the drivers of a GIMP with windows share: a screen of their own, keys, windows, and questions to GIMP."""

import json
import os
import subprocess
import sys
import time

SHARE, SCRIPTS = os.environ["SHARE"], os.environ["SCRIPTS"]
KEY = "ctrl+shift+j"  # which the test gave the action
# By their places on the keyboard: newer layouts have these names with Alt, too, and Alt+F4 closes a window.
F1, F4 = "67", "70"
began = time.monotonic()


def start(file, title=r"\(imported\)", inside="watch.py"):
    """Start a screen, a window manager and GIMP with a picture; return when its window is there, and it answers."""
    server = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1366x768x24"], stdout=subprocess.PIPE)
    os.environ["DISPLAY"] = ":" + server.stdout.readline().decode().strip()
    for _ in range(20):  # on a busy machine the display can be slow to open
        manager = subprocess.Popen(["openbox"])
        time.sleep(0.5)
        if manager.poll() is None:
            break
    watch = os.path.join(SCRIPTS, inside)
    subprocess.Popen(
        ["gimp", "--no-splash", file, "--batch-interpreter=python-fu-eval",
         "-b", f"exec(compile(open({watch!r}).read(), {watch!r}, 'exec'))"]
    )  # fmt: skip
    window(title, 120)
    for welcome in xdotool("search", "--onlyvisible", "--name", r"GIMP [0-9.]+$"):
        xdotool("windowclose", welcome)
    window(title)


def end():
    """Have GIMP's answering end."""
    with open(os.path.join(SHARE, "question"), "w") as file:
        file.write("quit")


def xdotool(*words):
    done = subprocess.run(["xdotool", *words], capture_output=True, text=True, check=False)
    return done.stdout.split()


def window(name, seconds=60):
    """Wait for a window of this name to be on the screen, go there, and return its id."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = xdotool("search", "--onlyvisible", "--name", name)
        if found:
            xdotool("windowactivate", "--sync", found[0])
            time.sleep(0.5)
            return found[0]
        time.sleep(0.1)
    picture("lost")
    sys.exit(f"no window {name!r} came; see lost.png")


def gone(name, seconds=30):
    until = time.monotonic() + seconds
    while xdotool("search", "--onlyvisible", "--name", name):
        if time.monotonic() > until:
            picture("lost")
            sys.exit(f"the window {name!r} stays; see lost.png")
        time.sleep(0.1)


def picture(name):
    subprocess.run(["import", "-window", "root", os.path.join(SHARE, f"{name}.png")], check=True)


def ask(question, seconds=60):
    path = os.path.join(SHARE, "answer")
    if os.path.exists(path):
        os.remove(path)
    with open(os.path.join(SHARE, "question.part"), "w") as file:
        file.write(question)
    os.rename(os.path.join(SHARE, "question.part"), os.path.join(SHARE, "question"))
    until = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > until:
            picture("lost")
            sys.exit(f"GIMP did not answer {question!r}; see lost.png")
        time.sleep(0.05)
    with open(path) as file:
        return json.load(file)


def undo(wanted):
    """Press Ctrl+Z in GIMP's window, and wait until the image looks as is wanted.

    A window that has only just got the focus back from another one may not hear a key, on a busy machine: where nothing
    at all happened for long, it is pressed once more, and said.
    """
    window(r"\(imported\)")
    before = ask("look")
    time.sleep(0.5)
    xdotool("key", "ctrl+z")
    until = time.monotonic() + 20
    while ask("look") == before:
        if time.monotonic() > until:
            print("Ctrl+Z was not heard, and is pressed again.", flush=True)
            window(r"\(imported\)")
            xdotool("key", "ctrl+z")
            break
        time.sleep(0.2)
    wait_until("the undoing", wanted)


def wait_until(what, wanted, seconds=120):
    """Wait until the image looks as is wanted: ``wanted(look)``."""
    until = time.monotonic() + seconds
    while True:
        seen = ask("look")
        # Layers and masks come and go while they are looked at: where one has just gone, it is looked again.
        if "fault" not in seen and wanted(seen):
            break
        if time.monotonic() > until:
            picture("lost")
            sys.exit(f"{what} does not come; see lost.png. {seen.get('fault', '')}")
        time.sleep(0.2)
    time.sleep(0.5)

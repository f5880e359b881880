"""Runs in the box, outside GIMP: uses GIMP as a person would, with keys, and takes pictures of the screen."""

import json
import os
import shutil
import subprocess
import sys
import time

SHARE, SCRIPTS = os.environ["SHARE"], os.environ["SCRIPTS"]
story = []


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


def note(step):
    """Write down what is in the image now, and keep its planes."""
    seen = ask("look")
    for name in ("mask", "pixels"):
        source = os.path.join(SHARE, f"look.{name}")
        if os.path.exists(source):
            shutil.move(source, os.path.join(SHARE, f"{step}.{name}"))
    story.append({"step": step, **seen})
    return seen


def wait_for_mask(wanted, seconds=120):
    until = time.monotonic() + seconds
    while ask("look")["mask"] is not wanted:
        if time.monotonic() > until:
            picture("lost")
            sys.exit(f"the mask is still {'not ' if wanted else ''}there; see lost.png")
        time.sleep(0.2)
    time.sleep(0.5)


def wait_for_change(step, seconds=120):
    """Wait until the mask differs from the one kept at `step`."""
    with open(os.path.join(SHARE, f"{step}.mask"), "rb") as file:
        before = file.read()
    until = time.monotonic() + seconds
    while True:
        ask("look")
        with open(os.path.join(SHARE, "look.mask"), "rb") as file:
            if file.read() != before:
                break
        if time.monotonic() > until:
            picture("lost")
            sys.exit("the mask does not change; see lost.png")
        time.sleep(0.2)
    time.sleep(0.5)


server = subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x900x24"], stdout=subprocess.PIPE)
os.environ["DISPLAY"] = ":" + server.stdout.readline().decode().strip()
subprocess.Popen(["openbox"])
watch = os.path.join(SCRIPTS, "watch.py")
gimp = subprocess.Popen(
    ["gimp", "--no-splash", os.path.join(SHARE, "cat.png"), "--batch-interpreter=python-fu-eval",
     "-b", f"exec(compile(open({watch!r}).read(), {watch!r}, 'exec'))"]
)  # fmt: skip
window(r"\(imported\)", 120)
for welcome in xdotool("search", "--onlyvisible", "--name", "Welcome to GIMP"):
    xdotool("windowclose", welcome)
window(r"\(imported\)")
note("opened")

xdotool("key", "slash")
time.sleep(1.5)
xdotool("type", "--delay", "60", "Remove Background")
time.sleep(1.5)
picture("1-search")
xdotool("key", "Return")
window("^Remove Background$")
time.sleep(1)
picture("2-dialog")
xdotool("key", "Return")
gone("^Remove Background$")
wait_for_mask(True)
picture("3-result")
note("done")

window(r"\(imported\)")
xdotool("key", "ctrl+z")
wait_for_mask(False)
note("undone")

xdotool("key", "ctrl+f")  # again, with the last values
wait_for_mask(True)
note("repeated")

ask("blacken")
note("blackened")
xdotool("key", "ctrl+f")
wait_for_change("blackened")
picture("4-replaced")
note("replaced")
window(r"\(imported\)")
xdotool("key", "ctrl+z")
wait_for_change("replaced")
note("replacing-undone")

xdotool("key", "ctrl+shift+f")  # the dialog once more
window("^Remove Background$")
xdotool("key", "Escape")
gone("^Remove Background$")
note("cancelled")

with open(os.path.join(SHARE, "story.json"), "w") as file:
    json.dump(story, file)
with open(os.path.join(SHARE, "question"), "w") as file:
    file.write("quit")
print("GUI-TEST-OK")

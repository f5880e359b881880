# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedures' arguments: those of parameters.json, with the library's defaults, and what only GIMP has."""

import json
import os

from gi.repository import Gimp, GLib, GObject
from outputs import OUTPUTS

SUBJECTS = (
    ("balanced", "Automatic", "The best model that is installed finds the subject."),
    ("fast", "Automatic, fast", "A small model finds the subject."),
    ("best", "Automatic, best", "A large model finds the subject, and looks at uncertain edges again."),
    ("box", "In the selection", "What lies in the selection's bounds: draw a rectangle around the subject."),
    ("limit", "Automatic, within the selection", "What the model finds, where it is selected."),
    (
        "scribbles",
        "As marked with a brush",
        "Paint on the canvas with GIMP's brush: white on what stays, black on what goes. A few strokes are enough.",
    ),
    ("trimap", "By a trimap", "A layer or channel that is white on the subject and black behind it; grey is solved."),
    ("text", "By a description", "What a few words mean, where a model that reads is installed."),
    ("existing", "As masked or selected", "The layer's mask, else the selection, else the layer's own alpha: refined."),
)
QUALITIES = ("fast", "balanced", "best")
SLIDERS = ("refinement_smooth", "refinement_feather", "refinement_contrast", "refinement_shift_edge")

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def known():
    """Return what parameters.json says: ``models``, ``edges``, ``presets`` and ``arguments``."""
    with open(os.path.join(_FOLDER, "parameters.json"), encoding="utf-8") as file:
        return json.load(file)


def add(procedure, subject):
    """Give a procedure its arguments and its return values; `subject` is the default of the first."""
    data = known()
    _add_choice(procedure, "subject", "S_ubject", "What is cut out.", SUBJECTS, subject)
    models = [("auto", "Automatic", ""), *((model["id"], model["title"], "") for model in data["models"])]
    text = "What finds the subject where that is automatic; Automatic takes what fits the subject's quality."
    _add_choice(procedure, "model", "_Model", text, models, "auto")
    _add_choice(procedure, "output", "Ou_tput", "Where the result goes.", OUTPUTS, "layer")
    for argument in data["arguments"]:
        _add_argument(procedure, argument)
    _add_more(procedure, data)
    text = "Fetch a model that is not on this machine without asking (for scripts; the dialog asks)."
    procedure.add_boolean_argument("fetch", "Fetch models", text, False, GObject.ParamFlags.READWRITE)
    procedure.add_double_return_value(
        "coverage", "Coverage", "The part of the layer that is foreground", 0.0, 1.0, 0.0, GObject.ParamFlags.READWRITE
    )
    procedure.add_layer_return_value(
        "layer", "Layer", "The layer that has the result", False, GObject.ParamFlags.READWRITE
    )


def _add_more(procedure, data):
    """Add what belongs to some of the subjects and outputs."""
    flags = GObject.ParamFlags.READWRITE
    text = "Words for what is cut out, several with commas between them."
    procedure.add_string_argument("text", "_Description", text, "", flags)
    text = "The layer or channel with the marks (white stays, black goes), or with the trimap."
    procedure.add_drawable_argument("marks", "Marks or tr_imap", text, True, flags)
    text = "A layer or channel: where it is painted the edge is solved again, as with the refine brush."
    procedure.add_drawable_argument("strokes", "Strokes of the refine brush", text, True, flags)
    presets = [(preset["id"], preset["title"], "") for preset in data["presets"]]
    text = "The shop or authority whose rules a finished picture follows."
    _add_choice(procedure, "preset", "_Preset", text, presets, presets[0][0])


def options(config):
    """Return the library's settings, by their flat names."""
    return {
        argument["name"]: config.get_property(argument["name"].replace("_", "-")) for argument in known()["arguments"]
    }


def _add_argument(procedure, argument):
    name = argument["name"].replace("_", "-")
    slider = argument["name"] in SLIDERS
    unit = argument["unit"].removesuffix(" of the diagonal").partition(",")[0]
    unit = f" ({'px' if slider and unit.startswith('px') else unit})" if unit else ""
    title, text, default = argument["title"] + unit, argument["help"], argument["default"]
    flags, kind = GObject.ParamFlags.READWRITE, argument["kind"]
    low, high = argument["minimum"], argument["maximum"]
    if kind == "choice":
        choices = [(nick, label, "") for nick, label in zip(argument["choices"], argument["labels"], strict=True)]
        _add_choice(procedure, name, title, text, choices, default)
    elif kind == "bool":
        procedure.add_boolean_argument(name, title, text, default, flags)
    elif kind == "int":
        limits = (-(2**31) if low is None else int(low), 2**31 - 1 if high is None else int(high))
        procedure.add_int_argument(name, title, text, *limits, default, flags)
    elif kind == "float":
        limits = (-GLib.MAXDOUBLE if low is None else low, GLib.MAXDOUBLE if high is None else high)
        procedure.add_double_argument(name, title, text, *limits, default, flags)
    else:
        procedure.add_string_argument(name, title, text, default, flags)


def _add_choice(procedure, name, title, text, choices, default):
    choice = Gimp.Choice.new()
    for number, (nick, label, explained) in enumerate(choices):
        choice.add(nick, number, label, explained)
    procedure.add_choice_argument(name, title, text, choice, default, GObject.ParamFlags.READWRITE)

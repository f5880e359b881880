# SPDX-License-Identifier: GPL-3.0-or-later
"""The procedures' arguments: those of parameters.json, with the library's defaults, and what only GIMP has."""

import functools
import json
import os

from gi.repository import Gimp, GLib, GObject
from language import N_, _
from outputs import OUTPUTS

SUBJECTS = (
    ("balanced", N_("Automatic"), N_("The best model that is installed finds the subject.")),
    ("fast", N_("Automatic, fast"), N_("A small model finds the subject.")),
    ("best", N_("Automatic, best"), N_("A large model finds the subject, and looks at uncertain edges again.")),
    ("box", N_("In the selection"), N_("What lies in the selection's bounds: draw a rectangle around the subject.")),
    ("limit", N_("Automatic, within the selection"), N_("What the model finds, where it is selected.")),
    (
        "scribbles",
        N_("As marked with a brush"),
        N_("Paint on the canvas with GIMP's brush: white on what stays, black on what goes. A few strokes are enough."),
    ),
    (
        "trimap",
        N_("By a trimap"),
        N_("A layer or channel that is white on the subject and black behind it; grey is solved."),
    ),
    ("text", N_("By a description"), N_("What a few words mean, where a model that reads is installed.")),
    (
        "existing",
        N_("As masked or selected"),
        N_("The layer's mask, else the selection, else the layer's own alpha: refined."),
    ),
)
QUALITIES = ("fast", "balanced", "best")
ANIMATED = ("matting", "foreground", "refinement_smooth", "refinement_feather", "refinement_shift_edge")
"""The settings that are offered for an animation; all others are as they are by themselves."""
SLIDERS = ("refinement_smooth", "refinement_feather", "refinement_contrast", "refinement_shift_edge")

_FOLDER = os.path.dirname(os.path.abspath(__file__))


def known():
    """Return what parameters.json says, in the user's language: models, edges, presets and arguments."""
    with open(os.path.join(_FOLDER, "parameters.json"), encoding="utf-8") as file:
        data = json.load(file)
    for one in data["edges"] + data["arguments"]:
        one["help"] = _(one["help"])
    for one in data["edges"] + data["arguments"] + data["presets"]:
        one["title"] = _(one["title"])
    for one in data["arguments"]:
        one["labels"] = [_(label) for label in one["labels"]]
    return data


def added_models():
    """Return the models that the user has added to the library, which writes them down beside the plug-in."""
    try:
        with open(os.path.join(_FOLDER, "models.json"), encoding="utf-8") as file:
            return [(str(model["id"]), str(model["title"]), "") for model in json.load(file)]
    except (OSError, ValueError, KeyError, TypeError):  # most have none
        return []


def add(procedure, subject):
    """Give a procedure its arguments and its return values; `subject` is the default of the first."""
    data = known()
    _add_choice(procedure, "subject", _("S_ubject"), _("What is cut out."), SUBJECTS, subject)
    _add_model(procedure, data)
    _add_choice(procedure, "output", _("Ou_tput"), _("Where the result goes."), OUTPUTS, "layer")
    for argument in data["arguments"]:
        _add_argument(procedure, argument)
    _add_more(procedure, data)
    _add_fetch(procedure)
    text = _("The part of the layer that is foreground")
    procedure.add_double_return_value("coverage", _("Coverage"), text, 0.0, 1.0, 0.0, GObject.ParamFlags.READWRITE)
    text = _("The layer that has the result")
    procedure.add_layer_return_value("layer", _("Layer"), text, False, GObject.ParamFlags.READWRITE)


def add_to_animation(procedure):
    """Give the procedure for animations its arguments and its return value."""
    choices = [one for one in SUBJECTS if one[0] in QUALITIES]
    _add_choice(procedure, "subject", _("S_ubject"), _("What is cut out."), choices, "balanced")
    data = known()
    _add_model(procedure, data)
    for argument in data["arguments"]:
        if argument["name"] in ANIMATED:
            _add_argument(procedure, argument)
    _add_fetch(procedure)
    text = _("The image that has the result")
    procedure.add_image_return_value("result", _("Image"), text, False, GObject.ParamFlags.READWRITE)


def _add_model(procedure, data):
    models = [
        ("auto", N_("Automatic"), ""),
        *((model["id"], model["title"], "") for model in data["models"]),
        *added_models(),
    ]
    text = _("What finds the subject where that is automatic; Automatic takes what fits the subject's quality.")
    _add_choice(procedure, "model", _("_Model"), text, models, "auto")


def _add_fetch(procedure):
    text = _("Fetch a model that is not on this machine without asking (for scripts; the dialog asks).")
    procedure.add_boolean_argument("fetch", _("Fetch models"), text, False, GObject.ParamFlags.READWRITE)


def _add_more(procedure, data):
    """Add what belongs to some of the subjects and outputs."""
    flags = GObject.ParamFlags.READWRITE
    text = _("Words for what is cut out, several with commas between them.")
    procedure.add_string_argument("text", _("_Description"), text, "", flags)
    text = _("The layer or channel with the marks (white stays, black goes), or with the trimap.")
    procedure.add_drawable_argument("marks", _("Marks or tr_imap"), text, True, flags)
    text = _("A layer or channel: where it is painted the edge is solved again, as with the refine brush.")
    procedure.add_drawable_argument("strokes", _("Strokes of the refine brush"), text, True, flags)
    presets = [(preset["id"], preset["title"], "") for preset in data["presets"]]
    text = _("The shop or authority whose rules a finished picture follows.")
    _add_choice(procedure, "preset", _("_Preset"), text, presets, presets[0][0])


def kept():
    """Return the names of the arguments that a preset of the user's keeps: all but layers and what scripts may."""
    return ["subject", "model", "output", "text", "preset", *(name.replace("_", "-") for name in _names())]


def options(config, names=None):
    """Return the library's settings, by their flat names: all, or those that are named."""
    return {name: config.get_property(name.replace("_", "-")) for name in (_names() if names is None else names)}


@functools.cache
def _names():
    """Return the library's settings, by their flat names: asked for at every move of a slider."""
    return [argument["name"] for argument in known()["arguments"]]


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
        choice.add(nick, number, _(label), _(explained))
    procedure.add_choice_argument(name, title, text, choice, default, GObject.ParamFlags.READWRITE)

"""ModelChoice and Finding: as data, in messages, and as the command line shows them."""

from __future__ import annotations

import argparse
import copy
import itertools
import pickle
from pathlib import Path

import pytest

from gossamer.cli.modelling import add_model_flags, model_choice_of
from gossamer.cli.parser import Parser
from gossamer.cli.prompting import add_prompt_flags, finding_of
from gossamer.errors import InputError
from gossamer.settings import Finding, ModelChoice, Parameter, Recipe, parameters

Kind = type[ModelChoice] | type[Finding]

CHANGED = {
    ModelChoice: ModelChoice.of("u2net", quality="best", compile=True, folders=["a", Path("b")]),
    Finding: Finding.of(prompt_model="sam3", every=False, box_threshold=0.5, on_empty="full"),
}
both = pytest.mark.parametrize("kind", [ModelChoice, Finding])


# -- as data -----------------------------------------------------------------------------------------------


@both
def test_they_are_frozen_hashable_and_equal_by_value(kind: Kind) -> None:
    assert kind() == kind.of() != CHANGED[kind]
    assert hash(kind()) == hash(kind.of())
    again = kind.of(**CHANGED[kind].model_dump())
    assert len({kind(), CHANGED[kind], again}) == 2
    for name in kind.model_fields:
        with pytest.raises(ValueError, match="frozen"):
            setattr(CHANGED[kind], name, getattr(CHANGED[kind], name))


@both
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_they_go_to_other_processes_and_come_back(kind: Kind, protocol: int) -> None:
    for one in (kind(), CHANGED[kind]):
        again = pickle.loads(pickle.dumps(one, protocol))  # noqa: S301
        assert (again, hash(again), type(again)) == (one, hash(one), kind)
    assert copy.deepcopy(CHANGED[kind]) == copy.copy(CHANGED[kind]) == CHANGED[kind]
    assert kind.model_validate_json(CHANGED[kind].model_dump_json()) == CHANGED[kind]


@both
def test_a_base_is_changed_in_what_is_given_and_left_as_it_was(kind: Kind) -> None:
    before = CHANGED[kind].model_dump()
    for parameter in parameters(kind):
        if parameter.kind == "choice":
            for value in parameter.choices:
                changed = kind.of(CHANGED[kind], **{parameter.path: value})
                assert changed.model_dump() == {**before, parameter.path: value}
    assert CHANGED[kind].model_dump() == before
    assert kind.of(CHANGED[kind]) == CHANGED[kind]


def test_a_name_or_a_path_stands_for_a_choice_of_that_model() -> None:
    assert ModelChoice.of("u2net") == ModelChoice(model="u2net")
    assert ModelChoice.of(Path("weights/mine.onnx")).model == str(Path("weights/mine.onnx"))
    assert ModelChoice.of(model="u2net", subject=None, architecture=None) == ModelChoice(model="u2net")
    assert ModelChoice.of(folders=[Path("a"), "b"]).folders == ("a", "b")


# -- limits and messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (
            ModelChoice,
            {"device": "tpu"},
            "There is no device 'tpu'. Choose one of: auto, cpu, cuda, mps, xpu, directml, ",
        ),
        (ModelChoice, {"quality": "bst"}, "There is no quality 'bst'. Choose one of: fast, balanced, best."),
        (ModelChoice, {"subject": "hare"}, "There is no subject 'hare'. Did you mean hair?"),
        (ModelChoice, {"runtime": "tf"}, "There is no runtime 'tf'. Choose one of: auto, onnx, torch, openvino."),
        (
            ModelChoice,
            {"precision": 16},
            "There is no precision 16. Choose one of: auto, float32, float16, bfloat16, int8.",
        ),
        (ModelChoice, {"combine": "min"}, "There is no combination 'min'. Choose one of: mean, max, vote."),
        (ModelChoice, {"model": " "}, "The model is empty. Give an id of the catalogue, auto, or the path"),
        (ModelChoice, {"model": None}, "The model is None, not a text. Give an id of the catalogue"),
        (ModelChoice, {"compile": "yes"}, "The option compile is of the type str. Give True or False."),
        (ModelChoice, {"accept_licence": 1}, "The option accept_licence is of the type int. Give True or False."),
        (ModelChoice, {"folders": "here"}, "The argument folders is of the type str, not a list."),
        (ModelChoice, {"folders": [3]}, "In the argument folders is something of the type int, not a path."),
        (ModelChoice, {"devise": "cpu"}, "There is no setting devise. Did you mean device?"),
        (
            ModelChoice,
            {"matting": "none"},
            "It belongs to the recipe: recipe=gossamer.Recipe.of({'matting': {'method': 'none'}}).",
        ),
        (Finding, {"combine": "mean"}, "There is no combination 'mean'. Choose one of: prompt, intersection."),
        (Finding, {"masks": "some"}, "There is no masks 'some'. Choose one of: best, all."),
        (Finding, {"on_empty": "x"}, "There is no answer to an empty result 'x'. Choose one of: error, empty, full."),
        (Finding, {"every": 1}, "The option every is of the type int. Give True or False."),
        (Finding, {"prompt_model": 3}, "The prompt model is of the type int, not a text."),
        (Finding, {"box_threshold": 1.5}, "The setting box_threshold cannot be 1.5. Give a number from 0 to 1."),
        (
            Finding,
            {"box_threshold": float("nan")},
            "The setting box_threshold cannot be nan. Give a number from 0 to 1.",
        ),
        (Finding, {"box_threshold": True}, "The setting box_threshold cannot be True. Give a number from 0 to 1."),
        (Finding, {"text_threshold": -0.1}, "The setting text_threshold cannot be -0.1. Give a number from 0 to 1."),
        (Finding, {"text_threshold": "0.3"}, "The setting text_threshold cannot be '0.3'. Give a number from 0 to 1."),
        (Finding, {"on_emty": "full"}, "There is no setting on_emty. Did you mean on_empty? See gossamer.Finding."),
    ],
)
def test_impossible_settings_are_refused_in_one_sentence(kind: Kind, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        kind.of(**settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["box_threshold", "text_threshold"])
def test_the_limits_of_thresholds_are_inclusive_and_those_that_faces_are_told(name: str) -> None:
    (told,) = (parameter for parameter in parameters(Finding) if parameter.path == name)
    assert (told.minimum, told.maximum, told.default) == (0.0, 1.0, None)
    for value in (0, 1, 0.25, None):
        assert getattr(Finding.of(**{name: value}), name) == value
    for value in (-1e-9, 1 + 1e-9):
        with pytest.raises(InputError, match=name):
            Finding.of(**{name: value})


# -- as faces show them ------------------------------------------------------------------------------------


@both
def test_flattened_they_are_complete_and_in_order(kind: Kind) -> None:
    found = parameters(kind)
    assert [parameter.path for parameter in found] == list(kind.model_fields)
    for parameter in found:
        assert parameter.stage == ""
        assert parameter.help.endswith("."), parameter.path
        assert parameter.title.lower() == parameter.name.replace("_", " ")
        assert parameter.default == getattr(kind(), parameter.path)
        assert parameter.kind != "choice" or parameter.default in parameter.choices


def test_no_flat_name_means_two_things() -> None:
    names = [parameter.name for kind in (Recipe, ModelChoice, Finding) for parameter in parameters(kind)]
    assert len(set(names)) == len(names)


def flags(kind: Kind) -> Parser:
    parser = Parser("remove")
    {ModelChoice: add_model_flags, Finding: add_prompt_flags}[kind](parser)
    return parser


def read(kind: Kind, *argv: str) -> ModelChoice | Finding:
    arguments = flags(kind).parse(argv)
    return model_choice_of(arguments) if kind is ModelChoice else finding_of(arguments)


def values(parameter: Parameter) -> dict[str, object]:
    """Return texts that a flag may be given, and what each means."""
    if parameter.kind == "choice":
        return dict(zip(parameter.choices, parameter.choices, strict=True))
    if parameter.kind == "float":
        return {"0": 0.0, "0.25": 0.25, "1": 1.0}
    return {"mine": "mine"}


def given_alone(parameter: Parameter) -> dict[tuple[str, ...], object]:
    """Return all ways to give a setting on the command line, and what each means."""
    if parameter.name == "every":
        return {("--best-only",): False}
    if parameter.kind == "bool":
        return {(parameter.flag,): True, (parameter.flag.replace("--", "--no-", 1),): False}
    return {(parameter.flag, text): value for text, value in values(parameter).items()}


@both
def test_flags_are_the_flattened_settings_and_mean_them(kind: Kind) -> None:
    assert read(kind) == kind()
    for parameter in parameters(kind):
        if parameter.kind == "texts":
            with pytest.raises(InputError, match=r"--folders"):
                read(kind, parameter.flag, "a")
            continue
        for argv, value in given_alone(parameter).items():
            assert read(kind, *argv) == kind.of(**{parameter.path: value}), argv
    # All of them at once.
    ways = {parameter.path: list(given_alone(parameter).items())[-1] for parameter in parameters(kind)[:10]}
    everything = itertools.chain.from_iterable(argv for argv, _ in ways.values())
    assert read(kind, *everything) == kind.of(**{path: value for path, (_, value) in ways.items()})


@both
def test_help_tells_their_texts_choices_and_defaults(kind: Kind) -> None:
    actions = {flag: action for action in flags(kind)._actions for flag in action.option_strings}
    for parameter in parameters(kind):
        if parameter.kind == "texts" or parameter.name == "every":
            continue
        action = actions[parameter.flag]
        assert action.default is argparse.SUPPRESS
        assert str(action.help).replace("%%", "%").startswith(parameter.help)
        assert parameter.default is None or f"(default: {parameter.default}" in str(action.help)
        assert tuple(action.choices or ()) == parameter.choices


@pytest.mark.parametrize(
    ("kind", "argv", "message"),
    [
        (ModelChoice, ("--device", "tpu"), "--device cannot be 'tpu'"),
        (ModelChoice, ("--model", " "), "The model is empty."),
        (Finding, ("--box-threshold", "1.5"), "box_threshold cannot be 1.5"),
        (Finding, ("--text-threshold", "much"), "invalid float value: 'much'"),
        (Finding, ("--prompt-combine", "mean"), "--prompt-combine cannot be 'mean'"),
    ],
)
def test_flags_refuse_what_the_settings_refuse(kind: Kind, argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(kind, *argv)

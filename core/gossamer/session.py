"""A session: one picture, looked at once, and cut out prompt by prompt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gossamer.arguments import check_call
from gossamer.arrays import Array
from gossamer.compositing import Backdrop, read_backdrop
from gossamer.cutout import Cutout, Origin
from gossamer.image import Image, ImageSource, read_image
from gossamer.matting.preparing import prepare_matting
from gossamer.matting.vitmatte.lent import unload_vitmatte
from gossamer.parallel.patience import patiently
from gossamer.pipeline import Runs, checked_recipe, finish, profile_of
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.choice import check_prompt_model, choose, load_prompt_model
from gossamer.prompting.combining import intersection, union
from gossamer.prompting.prediction import Prediction, check_prompt, instead, nothing_sentence
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import TEXT_THRESHOLD, Embedding, PromptedModel
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_models
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings import Finding, ModelChoice, Recipe
from gossamer.settings.finding import OnEmpty

__all__ = ["Prediction", "Session", "open"]

_Announce: TypeAlias = Callable[[str], object] | None


class Session:
    """One picture and what models remember of it: the second prompt costs only what depends on it.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture; an existing alpha multiplies the results.
    finding : Finding, optional
        How subjects are found, unless a prompt comes with another one.
    choice : ModelChoice, optional
        The automatic model that ``combine="intersection"`` takes, and that GrabCut starts from; its device and folders
        count for the prompted models too.
    prompt_model : PromptedModel or str, optional
        Instead of what `finding` names: a loaded model, which several sessions can share, or a name.
    model : SegmentationModel, Ensemble or str, optional
        Instead of what `choice` names: a loaded model, or a name.
    of_clip : bool
        Whether the picture is a frame of a clip: see :func:`gossamer.matting.auto_alpha`.
    progress : callable, optional
        ``progress(fraction, message)`` while the picture is read; what it raises ends that.
    **settings
        Fields of :class:`~gossamer.settings.Finding` and :class:`~gossamer.settings.ModelChoice`:
        ``Session("photo.jpg", device="cpu", box_threshold=0.4)``.

    Raises
    ------
    InputError
        The picture cannot be read, a setting is unknown or impossible, or there is no such prompt model.
    """

    def __init__(
        self,
        image: ImageSource,
        *,
        finding: Finding | None = None,
        choice: ModelChoice | None = None,
        prompt_model: str | PromptedModel | None = None,
        model: str | SegmentationModel | Ensemble | None = None,
        of_clip: bool = False,
        progress: ProgressCallback | Progress | None = None,
        **settings: Any,
    ) -> None:
        self.image: Image = read_image(image, progress)
        of_finding = {name: settings.pop(name) for name in list(settings) if name in Finding.model_fields}
        if isinstance(prompt_model, str):
            of_finding["prompt_model"] = prompt_model
        if not (model is None or hasattr(model, "predict")):
            settings["model"] = model
        self.finding, self.choice = Finding.of(finding, **of_finding), ModelChoice.of(choice, **settings)
        self._given = None if isinstance(prompt_model, str) else prompt_model
        check_prompt_model(self.finding.prompt_model if self._given is None else self._given)
        self._automatic_given = None if isinstance(model, str) else model
        self._of_clip = of_clip
        self._models: dict[str, PromptedModel] = {}
        # By identity of the model, which is kept beside its embedding so that the identity stays its own.
        self._embeddings: dict[int, tuple[PromptedModel, Embedding]] = {}
        self._automatic: dict[int, _Automatic] = {}  # by the resolution that was asked for

    def subjects(
        self,
        prompt: Prompt,
        *,
        finding: Finding | None = None,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
        prompt_model: str | PromptedModel | None = None,
        **settings: Any,
    ) -> Prediction:
        """Find what a prompt means, as the prompted model draws it: masks before matting.

        Parameters
        ----------
        prompt : Prompt
        finding : Finding, optional
            Instead of the session's.
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
        announce : callable, optional
            Told in one sentence what is fetched, and which model ``auto`` took.
        prompt_model : PromptedModel or str, optional
            Instead of the session's.
        **settings
            Fields of :class:`~gossamer.settings.Finding`, instead of those in `finding`.

        Returns
        -------
        Prediction

        Raises
        ------
        InputError
            The prompt is impossible for this picture or the model, or nothing was found.
        GossamerError
            The model cannot be had or run.
        """
        return self._subjects(prompt, self._request(finding, prompt_model, settings), Progress.of(progress), announce)

    def cutout(
        self,
        prompt: Prompt,
        *,
        recipe: Recipe | None = None,
        finding: Finding | None = None,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
        prompt_model: str | PromptedModel | None = None,
        **settings: Any,
    ) -> Cutout:
        """Cut out what a prompt means, all subjects together.

        Parameters
        ----------
        prompt : Prompt
        recipe : Recipe, optional
            The settings of every stage.
        finding, progress, announce, prompt_model, **settings
            As for :meth:`subjects`.

        Returns
        -------
        Cutout
            Its report names the model, and in its warnings everything that was put right in the prompt.

        Raises
        ------
        GossamerError
            As :meth:`subjects`.
        """
        steps = Progress.of(progress)
        wanted = self._request(finding, prompt_model, {"masks": "best", **settings})
        recipe, backdrop = self._finishing(recipe, wanted.finding, steps, announce)
        found = self._subjects(prompt, wanted, steps.part(0.0, 0.6), announce)
        empty = np.zeros((self.image.height, self.image.width), np.float32)
        mask = patiently(
            lambda: union([subject.mask for subject in found.subjects]) if found.subjects else empty, steps
        )
        return self._finished(mask, found, recipe, backdrop, wanted.finding, steps.part(0.6, 1.0), announce)

    def cutouts(
        self,
        prompt: Prompt,
        *,
        recipe: Recipe | None = None,
        finding: Finding | None = None,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
        prompt_model: str | PromptedModel | None = None,
        **settings: Any,
    ) -> list[Cutout]:
        """Cut out what a prompt means, each subject by itself.

        Parameters
        ----------
        prompt, recipe, finding, progress, announce, prompt_model, **settings
            As for :meth:`cutout` and :meth:`subjects`.

        Returns
        -------
        list of Cutout
            In the order of the subjects; empty where nothing was found and `on_empty` is ``"empty"``.

        Raises
        ------
        GossamerError
            As :meth:`subjects`.
        """
        steps = Progress.of(progress)
        wanted = self._request(finding, prompt_model, settings)
        recipe, backdrop = self._finishing(recipe, wanted.finding, steps, announce)
        found = self._subjects(prompt, wanted, steps.part(0.0, 0.6), announce)
        count = len(found.subjects)
        return [
            self._finished(
                subject.mask,
                found,
                recipe,
                backdrop,
                wanted.finding,
                steps.part(0.6 + 0.4 * number / count, 0.6 + 0.4 * (number + 1) / count),
                announce,
            )
            for number, subject in enumerate(found.subjects)
        ]

    def automatic(
        self,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> Array:
        """Return the automatic model's mask of the picture, (H, W) float32; computed once."""
        return self._automatically(Progress.of(progress), announce).mask

    def unload(self) -> None:
        """Free the memory that models and what they remember of the picture take; the next prompt starts anew."""
        for model in self._models.values():
            unload = getattr(model, "unload", None)
            if unload is not None:
                unload()
        self._models.clear()
        self._embeddings.clear()
        self._automatic.clear()
        unload_vitmatte()

    def _request(
        self, finding: Finding | None, prompt_model: str | PromptedModel | None, settings: dict[str, Any]
    ) -> _Request:
        if isinstance(prompt_model, str):
            settings = {**settings, "prompt_model": prompt_model}
        wanted = Finding.of(finding or self.finding, **settings)
        named = finding is not None or isinstance(prompt_model, str)
        given = None if isinstance(prompt_model, str) else prompt_model
        model = given if given is not None else None if named else self._given
        return _Request(wanted, wanted.prompt_model if model is None else model)

    def _finishing(
        self, recipe: Recipe | None, finding: Finding, steps: Progress, announce: _Announce
    ) -> tuple[Recipe, Backdrop]:
        """Return the recipe and its background: what is wrong with them, or lacks for them, is told before the work."""
        check_call(announce, "announce", "announce(sentence)")
        recipe = checked_recipe(recipe) or Recipe()
        backdrop = read_backdrop(recipe.background, profile_of(self.image, recipe))
        prepare_matting(recipe.matting, progress=steps, device=self.choice.device, announce=announce)
        if finding.combine == "intersection" and not self._automatic and self._automatic_given is None:
            self._automatic_given = load_models(self.choice, progress=steps.part(0.0, 0.0), announce=announce)
        return recipe, backdrop

    def _subjects(self, prompt: Prompt, wanted: _Request, steps: Progress, announce: _Announce) -> Prediction:
        check_prompt(prompt)
        check_call(announce, "announce", "announce(sentence)")
        finding = wanted.finding
        pixels, warnings = prompt.in_pixels(self.image.width, self.image.height)
        seconds: dict[str, float] = {}
        start = time.perf_counter()
        model = self._model(wanted.model, pixels, steps.part(0.0, 0.2), announce)
        box = model.box_threshold if finding.box_threshold is None else finding.box_threshold
        text = TEXT_THRESHOLD if finding.text_threshold is None else finding.text_threshold
        seconds["load"] = -start + (start := time.perf_counter())
        embedding = self._embedding(model, steps.part(0.2, 0.7))
        seconds["embed"] = -start + (start := time.perf_counter())
        found = model.predict(
            embedding,
            pixels,
            progress=steps.part(0.7, 1.0),
            box_threshold=box,
            text_threshold=text,
            every=finding.every,
            masks=finding.masks,
        )
        if found.embedding is not None:
            self._embeddings[id(model)] = model, found.embedding
        seconds["segment"] = time.perf_counter() - start
        warnings = (*warnings, *model.warnings, *found.warnings)
        subjects = patiently(lambda: tuple(subject for subject in found if (subject.mask > 0.5).any()), steps)
        is_found = bool(subjects)
        if not is_found:
            sentence = nothing_sentence(pixels, found.best_score, box, text)
            empty = finding.on_empty
            subjects = instead(sentence, empty, (self.image.height, self.image.width), warnings)
            warnings = (*warnings, f"{sentence} The result is {'empty' if empty == 'empty' else 'the whole picture'}.")
        return Prediction(
            subjects,
            pixels,
            model.id,
            model.device,
            tuple(dict.fromkeys(warnings)),
            is_found,
            {name: round(value, 4) for name, value in seconds.items()},
        )

    def _finished(
        self,
        mask: Array,
        found: Prediction,
        recipe: Recipe,
        backdrop: Backdrop,
        finding: Finding,
        steps: Progress,
        announce: _Announce,
    ) -> Cutout:
        start = time.perf_counter()
        on_empty: OnEmpty = finding.on_empty
        seconds, warnings, model, resolution = dict(found.seconds), found.warnings, found.model, 0
        if finding.combine == "intersection" and found.found:
            seen = self._automatically(steps.part(0.0, 0.4), announce, recipe.segmentation.resolution)
            name, resolution = seen.model, seen.resolution
            warnings, model = (*warnings, *seen.warnings), f"{model} and {name}"
            mask, before = intersection(mask, seen.mask), mask
            seconds["automatic"] = round(time.perf_counter() - start, 4)
            if not (mask > 0.5).any():
                sentence = f"{name} finds nothing where the prompt points."
                whole = instead(sentence, on_empty, mask.shape, warnings)
                mask = whole[0].mask if whole else np.zeros_like(mask)
                warnings = (*warnings, sentence)
            elif np.count_nonzero(mask > 0.5) < 0.5 * np.count_nonzero(before > 0.5):
                warnings = (
                    *warnings,
                    f"{name} finds less than half of what the prompt means: see combine='prompt'.",
                )
        hints = found.prompt.scribbles
        if hints is not None:
            mask = mask.copy()
            mask[hints >= 0.9], mask[hints <= 0.1] = 1, 0
        origin = Origin(model, found.device, seconds, warnings, resolution=resolution)
        runs = Runs(self.choice.device, announce, self._of_clip)
        return finish(self.image, mask, recipe, backdrop, origin, steps.part(0.4, 1.0), runs, hints)

    def _model(
        self, wanted: str | PromptedModel, prompt: Prompt, steps: Progress, announce: _Announce
    ) -> PromptedModel:
        check_prompt_model(wanted)
        if not isinstance(wanted, str):
            return wanted
        name = wanted
        if wanted == "auto":
            name, reason = choose(prompt, folders=self.choice.folders)
            if name not in self._models and announce is not None:
                announce(f"Prompt model {name}: {reason}.")
        if name not in self._models:
            self._models[name] = load_prompt_model(name, choice=self.choice, progress=steps, announce=announce)
        return self._models[name]

    def _embedding(self, model: PromptedModel, steps: Progress) -> Embedding:
        if id(model) not in self._embeddings:
            rgb = patiently(lambda: self.image.rgb, steps)
            self._embeddings[id(model)] = model, model.embed(rgb, steps)
        return self._embeddings[id(model)][1]

    def _automatically(self, steps: Progress, announce: _Announce, resolution: int = 0) -> _Automatic:
        if resolution not in self._automatic:
            model = self._automatic_given
            if model is None:
                model = load_models(self.choice, progress=steps.part(0.0, 0.2), announce=announce)
            model = model.at(resolution) if resolution else model
            mask = model.predict(self.image.pixels, steps.part(0.2, 1.0))
            at = model.resolution if resolution else 0
            self._automatic[resolution] = _Automatic(mask, model.id, tuple(model.warnings), at)
        return self._automatic[resolution]


@dataclass(frozen=True, eq=False)
class _Automatic:
    """What a model sees without a prompt, and at which resolution where that is not its authors' own."""

    mask: Array
    model: str
    warnings: tuple[str, ...]
    resolution: int


@dataclass(frozen=True)
class _Request:
    """How subjects are found, and the model that finds them, by name or loaded."""

    finding: Finding
    model: str | PromptedModel


def open(image: ImageSource, *, progress: ProgressCallback | Progress | None = None, **settings: Any) -> Session:
    """Open a picture for prompts: ``gossamer.open("photo.jpg").cutout(gossamer.Prompt(text="the lamp"))``.

    Parameters
    ----------
    image, progress, **settings
        As for :class:`Session`.

    Returns
    -------
    Session

    Raises
    ------
    InputError
        As :class:`Session`.
    """
    return Session(image, progress=progress, **settings)

"""A session: one picture, looked at once, and cut out prompt by prompt."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from gossamer.arrays import Array
from gossamer.cutout import Cutout
from gossamer.image import Image, ImageSource, read_image
from gossamer.pipeline import refine, warm_vitmatte
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.choice import check_prompt_model, choose, load_prompt_model
from gossamer.prompting.combining import PROMPT_COMBINATIONS, PromptCombination, intersection, union
from gossamer.prompting.prediction import (
    ON_EMPTY,
    OnEmpty,
    Prediction,
    check_choice,
    check_request,
    instead,
    nothing_sentence,
)
from gossamer.prompting.prompt import Prompt
from gossamer.prompting.protocol import BOX_THRESHOLD, TEXT_THRESHOLD, Embedding, Masks, PromptedModel
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_models
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings.recipe import FINISHING, Recipe

__all__ = ["ON_EMPTY", "OnEmpty", "Prediction", "Session", "open"]


class Session:
    """One picture and what models remember of it: the second prompt costs only what depends on it.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture; an existing alpha multiplies the results.
    prompt_model : {"auto", "grabcut", "grounded-sam2", "sam2", "sam3"}, str or PromptedModel
        What finds subjects: one of these, a certain one as for
        :func:`gossamer.prompting.choice.load_prompt_model`, or a loaded one, which several sessions can
        share. ``auto`` takes, prompt by prompt, the best that is installed and can serve it, and says which.
    model : str or a loaded model
        The automatic model that ``combine="intersection"`` takes, as for :class:`gossamer.Pipeline`.
    device : {"auto", "cpu", "cuda"}
        Where models run.
    folders : iterable of path
        Where weights are looked for besides the usual folders.
    announce : callable, optional
        Told in one sentence what is fetched, and which model ``auto`` took.

    Raises
    ------
    InputError
        The picture cannot be read, or there is no such prompt model.
    """

    def __init__(
        self,
        image: ImageSource,
        *,
        prompt_model: str | PromptedModel = "auto",
        model: str | SegmentationModel | Ensemble = "auto",
        device: str = "auto",
        folders: Iterable[str | Path] = (),
        announce: Callable[[str], object] | None = None,
    ) -> None:
        self.image: Image = read_image(image)
        check_prompt_model(prompt_model)
        self._wanted, self._automatic_wanted = prompt_model, model
        self._device, self._folders, self._announce = device, tuple(folders), announce
        self._models: dict[str, PromptedModel] = {}
        # By identity of the model, which is kept beside its embedding so that the identity stays its own.
        self._embeddings: dict[int, tuple[PromptedModel, Embedding]] = {}
        self._automatic: tuple[Array, str, tuple[str, ...]] | None = None
        self._vitmatte = warm_vitmatte(device, announce)

    def subjects(
        self,
        prompt: Prompt,
        *,
        prompt_model: str | PromptedModel | None = None,
        on_empty: OnEmpty = "error",
        every: bool = True,
        masks: Masks = "best",
        box_threshold: float | None = None,
        text_threshold: float | None = None,
        progress: ProgressCallback | Progress | None = None,
    ) -> Prediction:
        """Find what a prompt means, as the prompted model draws it: masks before matting.

        Parameters
        ----------
        prompt : Prompt
        prompt_model : str or PromptedModel, optional
            Instead of the session's.
        on_empty : {"error", "empty", "full"}
            Where nothing is found: raise InputError, return no subject, or the whole picture as one.
        every : bool
            All that answers to a phrase, or the best alone.
        masks : {"best", "all"}
            Of several masks for one place the best, or all as subjects of their own.
        box_threshold, text_threshold : float, optional
            In [0, 1]: what the boxes and words of a text must score to count. Without them what the model's authors
            use: 0.3 and 0.25, and 0.5 for SAM 3.
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

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
        check_request(prompt, on_empty, masks, box=box_threshold, text=text_threshold)
        steps = Progress.of(progress)
        pixels, warnings = prompt.in_pixels(self.image.width, self.image.height)
        seconds: dict[str, float] = {}
        start = time.perf_counter()
        model = self._model(prompt_model, pixels, steps.part(0.0, 0.2))
        if box_threshold is None:
            box_threshold = getattr(model, "box_threshold", BOX_THRESHOLD)
        if text_threshold is None:
            text_threshold = TEXT_THRESHOLD
        seconds["load"] = -start + (start := time.perf_counter())
        embedding = self._embedding(model, steps.part(0.2, 0.7))
        seconds["embed"] = -start + (start := time.perf_counter())
        found = model.predict(
            embedding,
            pixels,
            progress=steps.part(0.7, 1.0),
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            every=every,
            masks=masks,
        )
        seconds["segment"] = time.perf_counter() - start
        warnings = (*warnings, *model.warnings, *getattr(found, "warnings", ()))
        subjects = tuple(subject for subject in found if (subject.mask > 0.5).any())
        is_found = bool(subjects)
        if not is_found:
            sentence = nothing_sentence(pixels, getattr(found, "best_score", None), box_threshold, text_threshold)
            subjects = instead(sentence, on_empty, (self.image.height, self.image.width), warnings)
            warnings = (
                *warnings,
                f"{sentence} The result is {'empty' if on_empty == 'empty' else 'the whole picture'}.",
            )
        return Prediction(
            subjects,
            pixels,
            model.id,
            model.device,
            tuple(dict.fromkeys(warnings)),
            is_found,
            {name: round(value, 4) for name, value in seconds.items()},
        )

    def cutout(
        self,
        prompt: Prompt,
        *,
        recipe: Recipe | None = None,
        combine: PromptCombination = "prompt",
        prompt_model: str | PromptedModel | None = None,
        on_empty: OnEmpty = "error",
        every: bool = True,
        box_threshold: float | None = None,
        text_threshold: float | None = None,
        progress: ProgressCallback | Progress | None = None,
    ) -> Cutout:
        """Cut out what a prompt means, all subjects together.

        Parameters
        ----------
        prompt : Prompt
        recipe : Recipe, optional
            The settings of every stage. Without it edges are solved again
            (:data:`gossamer.settings.recipe.FINISHING`): prompted models draw coarse masks.
        combine : {"prompt", "intersection"}
            The prompt's mask, or what the automatic model finds there, hair and all.
        prompt_model, on_empty, every, box_threshold, text_threshold, progress
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
        check_choice(combine, PROMPT_COMBINATIONS, "combination")
        found = self.subjects(
            prompt,
            prompt_model=prompt_model,
            on_empty=on_empty,
            every=every,
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            progress=steps.part(0.0, 0.6),
        )
        empty = np.zeros((self.image.height, self.image.width), np.float32)
        mask = union([subject.mask for subject in found.subjects]) if found.subjects else empty
        return self._finished(mask, found, recipe, combine, on_empty, steps.part(0.6, 1.0))

    def cutouts(
        self,
        prompt: Prompt,
        *,
        recipe: Recipe | None = None,
        combine: PromptCombination = "prompt",
        prompt_model: str | PromptedModel | None = None,
        on_empty: OnEmpty = "error",
        every: bool = True,
        masks: Masks = "best",
        box_threshold: float | None = None,
        text_threshold: float | None = None,
        progress: ProgressCallback | Progress | None = None,
    ) -> list[Cutout]:
        """Cut out what a prompt means, each subject by itself.

        Parameters
        ----------
        prompt, recipe, combine, prompt_model, on_empty, every, masks, box_threshold, text_threshold, progress
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
        check_choice(combine, PROMPT_COMBINATIONS, "combination")
        found = self.subjects(
            prompt,
            prompt_model=prompt_model,
            on_empty=on_empty,
            every=every,
            masks=masks,
            box_threshold=box_threshold,
            text_threshold=text_threshold,
            progress=steps.part(0.0, 0.6),
        )
        count = len(found.subjects)
        return [
            self._finished(
                subject.mask,
                found,
                recipe,
                combine,
                on_empty,
                steps.part(0.6 + 0.4 * number / count, 0.6 + 0.4 * (number + 1) / count),
            )
            for number, subject in enumerate(found.subjects)
        ]

    def automatic(self, progress: ProgressCallback | Progress | None = None) -> Array:
        """Return the automatic model's mask of the picture, (H, W) float32; computed once."""
        return self._automatically(Progress.of(progress))[0]

    def unload(self) -> None:
        """Free the memory that models and what they remember of the picture take; the next prompt starts anew."""
        self._models.clear()
        self._embeddings.clear()
        self._automatic = None
        self._vitmatte.unload()

    def _finished(
        self,
        mask: Array,
        found: Prediction,
        recipe: Recipe | None,
        combine: PromptCombination,
        on_empty: OnEmpty,
        steps: Progress,
    ) -> Cutout:
        start = time.perf_counter()
        seconds, warnings, model = dict(found.seconds), found.warnings, found.model
        if combine == "intersection" and found.found:
            automatic, name, more = self._automatically(steps.part(0.0, 0.4))
            warnings, model = (*warnings, *more), f"{model} and {name}"
            mask, before = intersection(mask, automatic), mask
            seconds["automatic"] = round(time.perf_counter() - start, 4)
            if not (mask > 0.5).any():
                sentence = f"{name} finds nothing where the prompt points."
                whole = instead(sentence, on_empty, mask.shape, warnings)
                mask = whole[0].mask if whole else np.zeros_like(mask)
                warnings = (*warnings, sentence)
            elif np.count_nonzero(mask > 0.5) < 0.5 * np.count_nonzero(before > 0.5):
                warnings = (*warnings, f"{name} finds less than half of what the prompt means: see combine='prompt'.")
        hints = found.prompt.scribbles
        if hints is not None:
            mask = mask.copy()
            mask[hints >= 0.9], mask[hints <= 0.1] = 1, 0
        cutout = refine(
            self.image,
            mask,
            recipe or FINISHING,
            hints=hints,
            vitmatte=self._vitmatte,
            progress=steps.part(0.4, 1.0),
        )
        report = cutout.report
        report = replace(
            report,
            model=model,
            device=found.device,
            seconds={**seconds, **report.seconds},
            warnings=tuple(dict.fromkeys((*warnings, *report.warnings))),
        )
        return replace(cutout, report=report)

    def _model(self, wanted: str | PromptedModel | None, prompt: Prompt, steps: Progress) -> PromptedModel:
        wanted = self._wanted if wanted is None else wanted
        check_prompt_model(wanted)
        if not isinstance(wanted, str):
            return wanted
        name = wanted
        if wanted == "auto":
            name, reason = choose(prompt, folders=self._folders)
            if name not in self._models and self._announce is not None:
                self._announce(f"Prompt model {name}: {reason}.")
        if name not in self._models:
            self._models[name] = load_prompt_model(
                name, device=self._device, folders=self._folders, progress=steps, announce=self._announce
            )
        return self._models[name]

    def _embedding(self, model: PromptedModel, steps: Progress) -> Embedding:
        if id(model) not in self._embeddings:
            self._embeddings[id(model)] = model, model.embed(self.image.rgb, steps)
        return self._embeddings[id(model)][1]

    def _automatically(self, steps: Progress) -> tuple[Array, str, tuple[str, ...]]:
        if self._automatic is None:
            model = self._automatic_wanted
            if isinstance(model, str):
                model = load_models(
                    model,
                    device=self._device,
                    folders=self._folders,
                    progress=steps.part(0.0, 0.2),
                    announce=self._announce,
                )
            mask = model.predict(self.image.pixels, steps.part(0.2, 1.0))
            self._automatic = mask, model.id, tuple(model.warnings)
        return self._automatic


def open(
    image: ImageSource,
    *,
    prompt_model: str | PromptedModel = "auto",
    model: str | SegmentationModel | Ensemble = "auto",
    device: str = "auto",
    folders: Iterable[str | Path] = (),
    announce: Callable[[str], object] | None = None,
) -> Session:
    """Open a picture for prompts: ``gossamer.open("photo.jpg").cutout(gossamer.Prompt(text="the lamp"))``.

    Parameters
    ----------
    image, prompt_model, model, device, folders, announce
        As for :class:`Session`.

    Returns
    -------
    Session

    Raises
    ------
    InputError
        The picture cannot be read, or there is no such prompt model.
    """
    return Session(image, prompt_model=prompt_model, model=model, device=device, folders=folders, announce=announce)

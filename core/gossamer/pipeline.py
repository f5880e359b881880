"""The pipeline: owns a warm model and runs the stages from picture to cut-out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gossamer.arguments import check_call, check_kind
from gossamer.arrays import Array
from gossamer.canvas.stage import changes_the_picture, finish_picture
from gossamer.card.stages import made_ahead, matte, subject_colours
from gossamer.clock import Clock
from gossamer.compositing import Backdrop, read_backdrop
from gossamer.cutout import Ahead, Cutout, Origin
from gossamer.errors import InputError
from gossamer.image import Image, ImageSource, MaskSource, kept_metadata, read_image, read_mask
from gossamer.matting.preparing import prepare_matting
from gossamer.matting.vitmatte.lent import unload_vitmatte
from gossamer.native import slowness
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.refinement import adjust_alpha, clean_mask
from gossamer.segmentation.ensemble import Ensemble
from gossamer.segmentation.loading import load_models
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings import ModelChoice, Recipe
from gossamer.settings.belonging import knows_its_arguments

__all__ = ["Pipeline", "Runs", "checked_recipe", "finish", "profile_of", "refine", "remove_background"]

NO_MODEL = "none"  # the model's name where the backdrop alone tells the subject


class Pipeline:
    """Cuts out subjects; its model stays warm between pictures.

    Parameters
    ----------
    recipe : Recipe, optional
        The settings of every stage.
    choice : ModelChoice or str, optional
        Which model, where and how it runs; the name of a model stands for a choice of it.
    **settings
        Fields of :class:`~gossamer.settings.ModelChoice`, instead of those in `choice`: ``Pipeline(model="u2net")``.

    Raises
    ------
    InputError
        A setting is unknown or impossible, or an argument is of the wrong type.

    Notes
    -----
    The model is loaded (and fetched, where it is missing) by the first :meth:`run`, or by :meth:`load`. Its network
    belongs to :data:`gossamer.warm.warm`, so that two pipelines with one choice share it.
    """

    def __init__(self, recipe: Recipe | None = None, choice: ModelChoice | str | None = None, **settings: Any) -> None:
        self.recipe = checked_recipe(recipe) or Recipe()
        self.choice = ModelChoice.of(choice, **settings)
        self._model: SegmentationModel | Ensemble | None = None

    def load(
        self,
        progress: ProgressCallback | Progress | None = None,
        announce: Callable[[str], object] | None = None,
    ) -> SegmentationModel | Ensemble:
        """Return the model, or several as one, loading it first where that has not happened yet.

        Parameters
        ----------
        progress : callable, optional
            As for :meth:`run`.
        announce : callable, optional
            Called with one sentence when weights are fetched: what, how big, under which licence. Without it that
            sentence goes to the logger ``gossamer`` as a warning.

        Raises
        ------
        ModelError
            As :meth:`run`.
        """
        if self._model is None:
            self._model = load_models(self.choice, progress=progress, announce=announce)
        return self._model

    @knows_its_arguments
    def run(
        self,
        image: ImageSource,
        progress: ProgressCallback | Progress | None = None,
        *,
        recipe: Recipe | None = None,
        announce: Callable[[str], object] | None = None,
        of_clip: bool = False,
    ) -> Cutout:
        """Cut the subject out of one picture.

        Parameters
        ----------
        image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
            The picture; an existing alpha multiplies the result.
        progress : callable, optional
            ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
        recipe : Recipe, optional
            Settings for this picture alone.
        announce : callable, optional
            As for :meth:`load`.
        of_clip : bool
            Whether the picture is a frame of a clip: see :func:`gossamer.matting.auto_alpha`.

        Returns
        -------
        Cutout

        Raises
        ------
        InputError
            The picture, or the recipe's background, cannot be read or used: told before the model is loaded.
        MissingExtra, ModelError
            What the recipe's matting needs cannot be had: told before the model is loaded, too.
        ModelError
            The model cannot be found, fetched, loaded or run.
        """
        steps = Progress.of(progress)
        recipe = checked_recipe(recipe) or self.recipe
        keyed_alone = self.choice.model == NO_MODEL
        if keyed_alone and recipe.matting.method != "key":
            raise InputError("Without a model only the matting key finds a subject.", "Choose it, or a model.")
        clock = Clock()
        steps(0.0, "Reading the picture")
        with clock("read"):
            source, backdrop = patiently(lambda: _read(image, recipe), steps)
        part = steps if keyed_alone else steps.part(0.02, 0.7)
        mask, origin = self.find(source, recipe, part, announce=announce, seconds=clock.seconds, ahead=True)
        runs = Runs(self.choice.device, announce, of_clip)
        return finish(source, mask, recipe, backdrop, origin, steps if keyed_alone else steps.part(0.7, 1.0), runs)

    def find(
        self,
        source: Image,
        recipe: Recipe,
        steps: Progress,
        *,
        announce: Callable[[str], object] | None = None,
        seconds: dict[str, float] | None = None,
        ahead: bool = False,
    ) -> tuple[Array, Origin]:
        """Return the subject's mask, (H, W) float32, and where it is from: what :func:`finish` takes.

        Parameters
        ----------
        source : Image
        recipe : Recipe
        steps : Progress
        announce : callable, optional
            As for :meth:`load`.
        seconds : dict, optional
            Of the stages before, to which those of this one are added.
        ahead : bool
            Whether a card goes on with what it can of the recipe, for who calls :func:`finish` next.

        Raises
        ------
        GossamerError
            As :meth:`run`, and for what stages after the mask lack.
        """
        clock = Clock(seconds)
        if self.choice.model == NO_MODEL:
            return np.ones(source.pixels.shape[:2], np.float32), Origin("", "cpu", clock.seconds)
        prepare_matting(recipe.matting, progress=steps, device=self.choice.device, announce=announce)
        loaded = 0.4 if self._model is None else 0.04
        with clock("load"):
            model = self.load(steps.part(0.0, loaded), announce).at(recipe.segmentation.resolution)
        with clock("segment"):
            part = steps.part(loaded, 1.0)
            look = {
                "flips": recipe.segmentation.flips,
                "detail": recipe.segmentation.looks_closer(self.choice.quality == "best"),
            }
            made: Ahead | None = None
            told: tuple[str, ...] = ()
            if ahead and isinstance(model, SegmentationModel) and not any(look.values()):
                made, told = made_ahead(model, source.pixels, recipe, part)
            if made is not None:
                mask, disagreement = made.mask, None
            elif isinstance(model, Ensemble):
                combined = model.predict_all(source.pixels, part, **look, clock=clock)
                mask, disagreement = combined.mask, combined.disagreement
            else:
                mask, disagreement = model.predict(source.pixels, part, **look, clock=clock), None
        warnings = (*model.warnings, *told)
        return mask, Origin(
            model.id, model.device, clock.seconds, warnings, disagreement, model.engine, model.resolution, made
        )

    def unload(self) -> None:
        """Free the memory that models take; the next picture loads them again."""
        if self._model is not None:
            self._model.unload()
        unload_vitmatte()


def remove_background(
    image: ImageSource,
    recipe: Recipe | None = None,
    choice: ModelChoice | str | None = None,
    *,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    **settings: Any,
) -> Cutout:
    """Cut the subject out of one picture; calls with the same choice share their model, which stays warm.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture: uint8, uint16 or float in [0, 1]; an existing alpha multiplies the result.
    recipe : Recipe, optional
        The settings of every stage.
    choice : ModelChoice or str, optional
        Which model, where and how it runs.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
    announce : callable, optional
        As for :meth:`Pipeline.load`.
    **settings
        Fields of :class:`~gossamer.settings.ModelChoice`: ``remove_background("photo.jpg", model="u2net")``.

    Returns
    -------
    Cutout
        With ``foreground`` (H, W, 3) and ``alpha`` (H, W), float32 in [0, 1].

    Raises
    ------
    InputError
        The picture cannot be read or used.
    ModelError
        The model cannot be found, fetched, loaded or run.
    """
    return Pipeline(recipe, choice, **settings).run(image, progress, announce=announce)


@knows_its_arguments
def refine(
    image: ImageSource,
    mask: MaskSource,
    recipe: Recipe | None = None,
    *,
    hints: MaskSource | None = None,
    device: str = "auto",
    backdrop: Backdrop | None = None,
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
    of_clip: bool = False,
) -> Cutout:
    """Finish a mask from anywhere: matting, foreground colours and background of the recipe.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture; an existing alpha multiplies the mask.
    mask : (H, W) array, path, bytes, PIL image, Image or Cutout
        1 = foreground; of the picture's size. :func:`gossamer.image.read_mask` says what it takes and how it is read;
        what was guessed is in the report's warnings.
    recipe : Recipe, optional
        The settings of every stage.
    hints : the same, optional
        What is certain whatever mask and matting say: 1 = foreground, 0 = background, between: nothing.
    device : {"auto", "cpu", "cuda"}
        Where a network runs that the recipe wants for matting.
    backdrop : gossamer.compositing.Backdrop, optional
        The recipe's background where it was read already.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.
    announce : callable, optional
        Told in one sentence what is fetched for it.
    of_clip : bool
        Whether the picture is a frame of a clip: see :func:`gossamer.matting.auto_alpha`.

    Returns
    -------
    Cutout

    Raises
    ------
    InputError
        The picture cannot be read, or the mask is of another size or has values outside [0, 1].
    """
    clock, steps = Clock(), Progress.of(progress)
    check_call(announce, "announce", "announce(sentence)")
    recipe = checked_recipe(recipe) or Recipe()
    steps(0.0, "Reading the picture")
    with clock("read"):
        source, backdrop = patiently(lambda: _read(image, recipe, backdrop), steps)
        shape = source.pixels.shape
        rough = patiently(lambda: read_mask(mask, shape), steps)
        certain = None
        if hints is not None:
            certain = patiently(lambda: read_mask(hints, shape, "hints", scribbles=True), steps)
    prepare_matting(recipe.matting, progress=steps, device=device, announce=announce)
    told = (*rough.warnings, *(certain.warnings if certain else ()))
    origin = Origin(seconds=clock.seconds, warnings=told)
    hinted = None if certain is None else certain.plane
    return finish(source, rough.plane, recipe, backdrop, origin, steps, Runs(device, announce, of_clip), hinted)


def _read(image: ImageSource, recipe: Recipe, backdrop: Backdrop | None = None) -> tuple[Image, Backdrop]:
    source = read_image(image)
    return source, backdrop or read_backdrop(recipe.background, profile_of(source, recipe))


def checked_recipe(recipe: object) -> Recipe | None:
    """Return a recipe as it is; raises InputError where something else stands for one."""
    if recipe is not None:
        check_kind(
            recipe,
            Recipe,
            "recipe",
            'Give gossamer.Recipe.of({"matting": {"band": 20}}) or gossamer.Recipe.load("recipe.toml").',
        )
    return recipe  # type: ignore[return-value]


def profile_of(source: Image, recipe: Recipe) -> bytes | None:
    """Return the colour profile of a picture's cut-out: its own, or that of sRGB, None, where the recipe wants it."""
    return None if recipe.output.srgb else source.icc_profile


@dataclass(frozen=True)
class Runs:
    """Where networks of later stages run, who is told what is fetched for them, and whether a clip's frame is cut."""

    device: str = "auto"
    announce: Callable[[str], object] | None = None
    of_clip: bool = False


def finish(
    source: Image,
    mask: Array,
    recipe: Recipe,
    backdrop: Backdrop,
    origin: Origin,
    steps: Progress,
    runs: Runs | None = None,
    hints: Array | None = None,
    correct: Callable[[Array], Array] | None = None,
) -> Cutout:
    """Run every stage after the mask.

    Parameters
    ----------
    source : Image
    mask : (H, W) float32
        1 = foreground.
    recipe : Recipe
    backdrop : Backdrop
        The recipe's background.
    origin : Origin
        Where the mask is from: the beginning of the report.
    steps : Progress
    runs : Runs, optional
        Where networks run.
    hints : (H, W) float32, optional
        As for :func:`refine`.
    correct : callable, optional
        ``correct(alpha)`` returns the matte as somebody has corrected it, before its edge is adjusted.
    """
    clock, runs = Clock(), runs or Runs()
    warnings = [*source.warnings, *backdrop.warnings, *slowness()]
    steps(0.0, "Refining the edge")
    with clock("refinement"):
        alpha = mask = clean_mask(mask, recipe.refinement, progress=steps.part(0.0, 0.1))
    if recipe.matting.method != "none":
        with clock("matting"):
            how = steps.part(0.1, 0.4), warnings.append, runs.device, runs.announce, runs.of_clip
            alpha = matte(source.pixels, mask, recipe, origin.ahead, *how)
    if correct is not None:
        alpha = correct(alpha)
    if hints is not None:
        alpha = alpha.copy()
        alpha[hints >= 0.9], alpha[hints <= 0.1] = 1, 0
    with clock("refinement"):
        alpha = adjust_alpha(alpha, recipe.refinement, progress=steps.part(0.4, 0.5))
    steps(0.5, "Estimating foreground colours")
    with clock("foreground"):
        on_canvas = changes_the_picture(recipe)
        final = recipe.background.fill == "transparent" and not on_canvas
        part = steps.part(0.5, 0.9)
        wanted: dict[str, Any] = {
            "final": final,
            "keyed": recipe.matting.method == "key",
            "progress": part,
            "warn": warnings.append,
        }
        colours = subject_colours(source, alpha, recipe, origin.ahead, **wanted)
    steps(0.9, "Compositing")
    kept = kept_metadata(source.metadata, whole=recipe.output.metadata == "keep", srgb=recipe.output.srgb)
    warnings += kept.warnings
    own = recipe.foreground.method != "none"
    if on_canvas:
        with clock("canvas"):
            finished = finish_picture(
                colours,
                alpha,
                recipe,
                backdrop,
                source,
                estimated=own,
                progress=steps.part(0.9, 1.0),
                warn=warnings.append,
            )
        steps(1.0, "Done")
        return Cutout(
            pixels=finished.pixels,
            alpha=finished.alpha,
            report=origin.report(finished.alpha, clock.seconds, warnings),
            recipe=recipe,
            composite=finished.composite,
            composite_alpha=finished.composite_alpha,
            icc_profile=finished.icc_profile,
            bit_depth=finished.bit_depth,
            dpi=finished.dpi,
            disagreement=finished.placed(origin.disagreement),
            metadata=kept.metadata,
            shadow=finished.shadow,
        )
    with clock("composite"):
        composite = backdrop.under(colours, alpha, source.pixels, source.alpha, estimated=own)
    if source.alpha is not None:
        # Straight colours under an existing alpha are the subject's own already: it plays no part above.
        alpha = alpha * source.alpha
    steps(1.0, "Done")
    return Cutout(
        pixels=colours,
        alpha=alpha,
        report=origin.report(alpha, clock.seconds, warnings),
        recipe=recipe,
        composite=None if composite is None else composite.rgb,
        composite_alpha=None if composite is None else composite.alpha,
        icc_profile=source.icc_profile,
        bit_depth=source.bit_depth,
        dpi=source.dpi,
        disagreement=origin.disagreement,
        metadata=kept.metadata,
    )

"""The pipeline: owns a warm model and runs the stages from picture to cut-out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gossamer.arrays import Array, as_mask, unit_float
from gossamer.compositing import background_for, over
from gossamer.cutout import Cutout, Report
from gossamer.image import Image, ImageSource, read_image
from gossamer.progress import Progress, ProgressCallback
from gossamer.refinement import adjust_alpha, clean_mask
from gossamer.segmentation.ensemble import Combination, Ensemble
from gossamer.segmentation.loading import load_models
from gossamer.segmentation.model import SegmentationModel
from gossamer.settings.recipe import Recipe

if TYPE_CHECKING:
    from gossamer.matting.vitmatte.warm import WarmVitMatte
    from gossamer.weights.choice import Quality
    from gossamer.weights.inventory import RuntimeChoice

__all__ = ["Pipeline", "refine", "remove_background"]


class Pipeline:
    """Cuts out subjects, keeping its model warm between pictures.

    Parameters
    ----------
    recipe : Recipe, optional
        The settings of every stage.
    model : str
        A catalogue id, ``auto`` (what `quality` and `subject` choose), the path of a file of weights (.onnx,
        .safetensors, .pth), or several of these with commas between them.
    device : {"auto", "cpu", "cuda"}
        Where the model runs.
    architecture : str, optional
        What a file of weights is, e.g. ``isnet``; without it the file's own keys and shapes tell.
    runtime : {"auto", "onnx", "torch"}
        What runs the model; ``auto``: what its file is made for.
    precision : {"auto", "float32", "float16", "bfloat16"}
        For torch.
    compile : bool
        Compile a torch network: a slow start, then faster.
    quality : {"fast", "balanced", "best"}
        For ``auto``: how much one picture may cost on this device.
    subject : {"portrait", "hair", "anime", "camouflaged"}, optional
        For ``auto``: what the pictures show.
    combine : {"mean", "max", "vote"}
        How the masks of several models become one.
    accept_licence : bool
        Accept, once and for all, a licence that does not allow commercial use.
    announce : callable, optional
        Called with one sentence when weights are fetched: what, how big, under which licence. Without it that
        sentence goes to the logger ``gossamer`` as a warning.

    Notes
    -----
    The model is loaded (and fetched, where it is missing) by the first :meth:`run`, or by :meth:`load`.
    """

    def __init__(
        self,
        recipe: Recipe | None = None,
        *,
        model: str = "auto",
        device: str = "auto",
        architecture: str | None = None,
        runtime: RuntimeChoice = "auto",
        precision: str = "auto",
        compile: bool = False,
        quality: Quality = "balanced",
        subject: str | None = None,
        combine: Combination = "mean",
        accept_licence: bool = False,
        announce: Callable[[str], object] | None = None,
    ) -> None:
        self.recipe = recipe or Recipe()
        self._wanted: dict[str, Any] = {
            "models": model,
            "device": device,
            "architecture": architecture,
            "runtime": runtime,
            "precision": precision,
            "compile": compile,
            "quality": quality,
            "subject": subject,
            "combine": combine,
            "accept_licence": accept_licence,
            "announce": announce,
        }
        self._model: SegmentationModel | Ensemble | None = None
        self._vitmatte = warm_vitmatte(device, announce)

    def load(self, progress: ProgressCallback | Progress | None = None) -> SegmentationModel | Ensemble:
        """Return the model, or several as one, loading it first where that has not happened yet."""
        if self._model is None:
            self._model = load_models(**self._wanted, progress=progress)
        return self._model

    def run(
        self,
        image: ImageSource,
        progress: ProgressCallback | Progress | None = None,
        *,
        recipe: Recipe | None = None,
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

        Returns
        -------
        Cutout

        Raises
        ------
        InputError
            The picture cannot be read or used.
        ModelError
            The model cannot be found, fetched, loaded or run.
        """
        steps = Progress.of(progress)
        recipe = recipe or self.recipe
        clock = _Clock()
        steps(0.0, "Reading the picture")
        with clock("read"):
            source = read_image(image)
        first_load = self._model is None
        with clock("load"):
            model = self.load(steps.part(0.02, 0.3 if first_load else 0.05))
        with clock("segment"):
            part = steps.part(0.3 if first_load else 0.05, 0.7)
            look = {"flips": recipe.segmentation.flips, "detail": recipe.segmentation.detail}
            disagreement = None
            if isinstance(model, Ensemble):
                combined = model.predict_all(source.pixels, part, **look)
                mask, disagreement = combined.mask, combined.disagreement
            else:
                mask = model.predict(source.pixels, part, **look)
        cutout = _finish(source, mask, recipe, clock, steps.part(0.7, 1.0), model, self._vitmatte)
        if disagreement is None:
            return cutout
        report = replace(cutout.report, disagreement=round(combined.mean_disagreement, 6))
        return replace(cutout, report=report, disagreement=disagreement)

    def unload(self) -> None:
        """Free the memory that models take; the next picture loads them again."""
        if self._model is not None:
            self._model.unload()
        self._vitmatte.unload()


def remove_background(
    image: ImageSource,
    recipe: Recipe | None = None,
    *,
    model: str = "auto",
    device: str = "auto",
    progress: ProgressCallback | Progress | None = None,
) -> Cutout:
    """Cut the subject out of one picture.

    For several pictures use :class:`Pipeline`, which keeps the model in memory.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture: uint8, uint16 or float in [0, 1]; an existing alpha multiplies the result.
    recipe : Recipe, optional
        The settings of every stage.
    model : str
        A catalogue id, ``auto`` or the path of an .onnx file.
    device : {"auto", "cpu", "cuda"}
        Where the model runs.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

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
    return Pipeline(recipe, model=model, device=device).run(image, progress)


def refine(
    image: ImageSource,
    mask: ArrayLike,
    recipe: Recipe | None = None,
    *,
    hints: ArrayLike | None = None,
    vitmatte: WarmVitMatte | None = None,
    progress: ProgressCallback | Progress | None = None,
) -> Cutout:
    """Finish a mask from anywhere: matting, foreground colours and background of the recipe.

    Parameters
    ----------
    image : path, bytes, PIL image, Image or (H, W), (H, W, 3), (H, W, 4) array
        The picture; an existing alpha multiplies the mask.
    mask : (H, W) array
        1 = foreground; of the picture's size.
    recipe : Recipe, optional
        The settings of every stage.
    hints : (H, W) array, optional
        What is certain whatever mask and matting say: 1 = foreground, 0 = background, between: nothing.
    vitmatte : gossamer.matting.vitmatte.warm.WarmVitMatte, optional
        Keeps that model from call to call, where the recipe wants it.
    progress : callable, optional
        ``progress(fraction, message)``; raising :class:`gossamer.Cancelled` in it stops the work.

    Returns
    -------
    Cutout

    Raises
    ------
    InputError
        The picture cannot be read, or the mask is of another size or has values outside [0, 1].
    """
    clock = _Clock()
    with clock("read"):
        source = read_image(image)
        alpha = as_mask(mask, source.pixels.shape)
        certain = None if hints is None else as_mask(hints, source.pixels.shape, "hints")
    return _finish(source, alpha, recipe or Recipe(), clock, Progress.of(progress), None, vitmatte, certain)


def warm_vitmatte(device: str = "auto", announce: Callable[[str], object] | None = None) -> WarmVitMatte:
    """Return what keeps ViTMatte in memory; nothing is loaded before a recipe wants it."""
    from gossamer.matting.vitmatte.warm import WarmVitMatte

    return WarmVitMatte(device, announce)


class _Clock:
    """Wall-clock seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - start, 4)


def _finish(
    source: Image,
    mask: Array,
    recipe: Recipe,
    clock: _Clock,
    steps: Progress,
    model: SegmentationModel | Ensemble | None,
    vitmatte: WarmVitMatte | None = None,
    hints: Array | None = None,
) -> Cutout:
    """Run every stage after the mask."""
    import cv2

    warnings = [*source.warnings, *(model.warnings if model else ())]
    steps(0.0, "Refining the edge")
    with clock("refinement"):
        alpha = mask = clean_mask(mask, recipe.refinement, progress=steps.part(0.0, 0.1))
    if recipe.matting.method != "none":
        with clock("matting"):
            alpha = _matte(source.rgb, mask, recipe, warnings, steps.part(0.1, 0.4), vitmatte)
    if hints is not None:
        alpha = alpha.copy()
        alpha[hints >= 0.9], alpha[hints <= 0.1] = 1, 0
    with clock("refinement"):
        alpha = adjust_alpha(alpha, recipe.refinement, progress=steps.part(0.4, 0.5))
    steps(0.5, "Estimating foreground colours")
    with clock("foreground"):
        colours = _foreground(source, alpha, recipe, steps.part(0.5, 0.9))
    if source.alpha is not None:
        # Straight colours under an existing alpha are the subject's own already: it plays no part above.
        alpha = alpha * source.alpha
    steps(0.9, "Compositing")
    composite = None
    with clock("composite"):
        behind = recipe.background
        background = background_for(behind.fill, source.pixels, blur=behind.blur, icc_profile=source.icc_profile)
        if background is not None:
            composite = over(unit_float(colours), alpha, background, linear_light=behind.linear_light)
    coverage = float(cv2.mean(alpha)[0])
    if coverage < 0.001:
        warnings.append("Almost nothing was found to be foreground: is there a subject in the picture?")
    elif coverage > 0.999:
        warnings.append("Almost everything was found to be foreground: is there a background in the picture?")
    report = Report(
        model=model.id if model else "",
        device=model.device if model else "cpu",
        seconds=clock.seconds,
        coverage=round(coverage, 6),
        warnings=tuple(warnings),
    )
    steps(1.0, "Done")
    return Cutout(
        pixels=colours,
        alpha=alpha,
        report=report,
        recipe=recipe,
        composite=composite,
        icc_profile=source.icc_profile,
        bit_depth=source.bit_depth,
        dpi=source.dpi,
    )


def _matte(
    rgb: Array,
    mask: Array,
    recipe: Recipe,
    warnings: list[str],
    steps: Progress,
    vitmatte: WarmVitMatte | None,
) -> Array:
    from gossamer import matting

    method, band = recipe.matting.method, recipe.matting.band
    if method == "from_mask":
        return matting.matte_from_mask(rgb, mask, progress=steps)
    if method == "guided":
        return matting.guided_alpha(rgb, mask, radius=band, progress=steps)
    trimap = matting.trimap_from_mask(mask, band=band)
    if not (trimap == 1).any() or not (trimap == 0).any():
        side = "foreground" if not (trimap == 1).any() else "background"
        warnings.append(
            f"Matting was left out: a band of {band} px leaves no certain {side}. Choose a narrower matting band."
        )
        return mask
    if method == "vitmatte":
        network = (vitmatte or warm_vitmatte())(recipe.matting.model, steps.part(0.0, 0.2))
        return network.predict(rgb, trimap, progress=steps.part(0.2, 1.0), warn=warnings.append)
    solvers = {
        "closed_form": matting.closed_form_alpha,
        "knn": matting.knn_alpha,
        "learning_based": matting.learning_based_alpha,
    }
    return solvers[method](rgb, trimap, progress=steps)


def _foreground(source: Image, alpha: Array, recipe: Recipe, steps: Progress) -> NDArray[Any]:
    """Return the subject's colours: bytes where a large picture has bytes and nothing more is computed from them."""
    from gossamer import foreground
    from gossamer.foreground.band_solver import LARGE

    settings = recipe.foreground
    plain = settings.despill == "none"
    if settings.method == "none":
        colours = source.pixels if plain else source.rgb
    elif settings.method in ("auto", "soft_band"):
        final = plain and recipe.background.fill == "transparent"
        thrifty = final and source.pixels.dtype == np.uint8 and alpha.size > LARGE
        colours = foreground.soft_band(source.pixels, alpha, eight_bit=thrifty, progress=steps)
    elif settings.method == "blur_fusion":
        colours = foreground.blur_fusion(source.rgb, alpha, settings.radius, settings.fine_radius, progress=steps)
        colours = foreground.fill_hidden(colours, alpha, (settings.fine_radius - 1) // 2)
    else:
        colours = foreground.estimate_foreground(source.rgb, alpha, settings.method, progress=steps).foreground
    return colours if plain else foreground.despill(colours, alpha, settings.despill, settings.despill_strength)

"""One picture on its way through a batch, a method a stage: what ``gossamer remove`` calls, in the same order."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gossamer.arrays import Array
from gossamer.batch.addresses import ObjectStatus, Where
from gossamer.batch.identity import stamp_of
from gossamer.batch.journal import Failure, Record
from gossamer.batch.objects import read_object
from gossamer.batch.plan import Asked, Item
from gossamer.batch.record import Layer, shadow_name
from gossamer.batch.results import Results
from gossamer.batch.retry import attempts
from gossamer.batch.targets import SET_ASIDE
from gossamer.canvas.stage import changes_the_picture
from gossamer.compositing import Backdrop, read_backdrop
from gossamer.cutout import Cutout, Origin
from gossamer.errors import Cancelled, GossamerError, InputError, OutputError, is_lack_of_memory, memory_remedy
from gossamer.image import Image, check_size_for, read_image
from gossamer.parallel.patience import patiently
from gossamer.pipeline import Pipeline, Runs, finish, profile_of
from gossamer.progress import Progress
from gossamer.quality import Check, check
from gossamer.session import Session
from gossamer.settings import Recipe
from gossamer.settings.batch import Batch

__all__ = ["Job", "Shop", "failure_of", "now"]


@dataclass(frozen=True)
class Shop:
    """What all pictures of a run have in common.

    Attributes
    ----------
    asked : Asked
    results : Results
        Where outputs go.
    pipeline : Pipeline
        With the one warm model.
    steps : Progress
        What it raises ends the work of all stages within half a second.
    announce : callable
        Told what is fetched.
    intend, append : callable
        Of the journal.
    """

    asked: Asked
    results: Results
    pipeline: Pipeline
    steps: Progress
    announce: Callable[[str], object]
    intend: Callable[[Record], object]
    append: Callable[[Record], object]


@dataclass
class Job:
    """A picture in hand.

    Attributes
    ----------
    item : Item
    weight : int
        About how many bytes of memory it takes.
    failure : Failure or None
        Why it goes no further.
    record : Record or None
        What became of it, at the end.
    is_left : bool
        It was given up, as if it had never been begun.
    seconds : dict of str to float
        Of the stages so far.
    warnings : list of str
    """

    item: Item
    weight: int = 0
    failure: Failure | None = None
    record: Record | None = None
    is_left: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _status: os.stat_result | ObjectStatus | None = None
    _image: Image | None = None
    _backdrop: Backdrop | None = None
    _mask: Array | None = None
    _origin: Origin | None = None
    _cutout: Cutout | None = None
    _check: Check | None = None
    _model: str = ""
    _used: dict[str, Any] | None = None

    def read(self, shop: Shop) -> None:
        """Read the picture and its background.

        Raises
        ------
        GossamerError
            It cannot be read or written, or changed meanwhile.
        """
        path = self.item.source.path
        with self._clock("read"):
            before = _status(path, shop.steps)
            self._image = _picture(path, before, shop.steps)
            self._status = _status(path, shop.steps)
            if before is None or self._status is None or stamp_of(before) != stamp_of(self._status):
                raise InputError(
                    f"{path} changed while it was read.", "Run it again with --resume when it is finished."
                )
            check_size_for(shop.asked.settings.format, self._image.width, self._image.height)
            recipe = self.item.recipe
            self._backdrop = read_backdrop(recipe.background, profile_of(self._image, recipe))

    def find(self, shop: Shop) -> None:
        """Find the subject, unless a prompt says what it is; raises GossamerError."""
        assert self._image is not None  # noqa: S101 - the stage before
        if self.item.meant() is None:
            self._mask, self._origin = shop.pipeline.find(
                self._image, self.item.recipe, shop.steps, announce=shop.announce, seconds=self.seconds, ahead=True
            )

    def finish(self, shop: Shop) -> None:
        """Make the cut-out and check it, and others where that finds a fault and they are asked for.

        Raises
        ------
        GossamerError
            A stage failed.
        """
        assert self._image is not None  # noqa: S101 - the stages before
        recipe, settings = self.item.recipe, shop.asked.settings
        self._cutout = self._cut(shop, recipe, shop.pipeline, self._mask, self._origin)
        self._mask = None
        self._model = self._cutout.report.model
        if settings.check:
            with self._clock("check"):
                self._check = self._checked(shop, self._cutout, recipe)
            if settings.on_flag == "retry" and self._check.faulty:
                self._try_others(shop)
        self._image = self._backdrop = self._origin = None

    def place(self, shop: Shop) -> None:
        """Encode the cut-out, put it in its place, and write down what became of it.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        if self.failure is not None:
            self.record = self._told(shop, "failed", None)
            shop.append(self.record)
            return
        assert self._cutout is not None  # noqa: S101 - the stages before
        assert self._status is not None  # noqa: S101 - the stages before
        cutout, asked = self._cutout, shop.asked
        with self._clock("encode"):
            data, layer = patiently(lambda: _encoded(cutout, asked.settings), shop.steps)
            if self.item.preset is not None:
                from gossamer.canvas.presets import preset
                from gossamer.canvas.rules import check_picture

                self.warnings += check_picture(data, preset(self.item.preset), cutout.alpha, cutout.recipe)
        aside = asked.settings.on_flag == "set-aside" and self._check is not None and self._check.faulty
        output = f"{SET_ASIDE}/{self.item.target}" if aside else self.item.target
        height, width = cutout.alpha.shape
        report = cutout.report
        self.warnings = [*report.warnings, *self.warnings]
        self.seconds |= {name: value for name, value in report.seconds.items() if name not in self.seconds}
        meant = replace(
            self._told(shop, "set-aside" if aside else "done", output),
            width=width,
            height=height,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            shadow=None if layer is None else _meant(layer, shadow_name(output)),
        )
        self._cutout = None
        with self._clock("write"):
            meant = self._settle(shop, data, layer, meant)
        self.record = replace(meant, seconds=_rounded(self.seconds), finished=now())
        shop.append(self.record)

    def encoded_size(self, shop: Shop) -> int:
        """Return how many bytes the output takes, which is not written; raises GossamerError."""
        assert self._cutout is not None  # noqa: S101 - the stages before
        with self._clock("encode"):
            data, layer = _encoded(self._cutout, shop.asked.settings)
            return len(data) + (0 if layer is None else len(layer))

    def _settle(self, shop: Shop, data: bytes, layer: bytes | None, meant: Record) -> Record:
        results = shop.results
        shop.intend(meant)
        # What is set aside is only ever ours: its folder is refused to everything else.
        replaces = self.item.replaces or meant.output != self.item.target
        output, *shadows = meant.files()
        if layer is not None:  # first: where there is a cut-out its layer is there
            shadows = [results.put(shadows[0], layer, replaces=replaces, steps=shop.steps)]
            meant = meant.with_files(output, shadows[0])
        try:
            settled = results.put(meant, data, replaces=replaces, steps=shop.steps)
        except OutputError:
            if shadows and not replaces:
                results.remove(str(shadows[0].output), shop.steps)
            raise
        for name in self.item.earlier:
            if name not in [each.output for each in settled.files()]:
                results.remove(name, shop.steps)
        return settled

    def _cut(self, shop: Shop, recipe: Recipe, pipeline: Pipeline, mask: Array | None, origin: Origin | None) -> Cutout:
        assert self._image is not None  # noqa: S101 - the stages before
        assert self._backdrop is not None  # noqa: S101 - the stages before
        prompt = self.item.meant()
        if prompt is not None:
            session = Session(self._image, finding=shop.asked.finding, choice=pipeline.choice)
            cutout = session.cutout(prompt, recipe=recipe, progress=shop.steps, announce=shop.announce)
        else:
            if mask is None or origin is None:
                mask, origin = pipeline.find(self._image, recipe, shop.steps, announce=shop.announce)
            runs = Runs(pipeline.choice.device, shop.announce)
            cutout = finish(self._image, mask, recipe, self._backdrop, origin, shop.steps, runs)
        return cutout.apart() if shop.asked.settings.shadow_layer else cutout

    def _checked(self, shop: Shop, cutout: Cutout, recipe: Recipe) -> Check:
        # What was put on a canvas does not lie upon its photograph any more; a shadow in a layer moves nothing.
        kept = "none" if shop.asked.settings.shadow_layer else recipe.foreground.shadow
        own = recipe.foreground.model_copy(update={"shadow": kept})
        photo = None if changes_the_picture(recipe.model_copy(update={"foreground": own})) else self._image
        return check(cutout, photo, recipe=recipe, progress=shop.steps)

    def _try_others(self, shop: Shop) -> None:
        """Try better recipes until the checks find no fault, and keep what they find best."""
        assert self._cutout is not None  # noqa: S101 - made before
        assert self._check is not None  # noqa: S101 - made before
        choice, tried = shop.pipeline.choice, [_attempt("as asked for", self._check)]
        best: tuple[Cutout, Check] = self._cutout, self._check
        used: dict[str, Any] | None = None
        with self._clock("retry"):
            prompted = self.item.meant() is not None
            for attempt in attempts(self.item.recipe, choice, self._model, prompted=prompted):
                try:
                    pipeline = shop.pipeline if attempt.choice == choice else Pipeline(choice=attempt.choice)
                    cutout = self._cut(shop, attempt.recipe, pipeline, None, None)
                    found = self._checked(shop, cutout, attempt.recipe)
                except Cancelled:
                    raise
                except (GossamerError, MemoryError) as error:  # nobody asked for it: what there is counts
                    self.warnings.append(f"The retry with {attempt.what} failed: {error}")
                    continue
                tried.append(_attempt(attempt.what, found))
                if (not found.faulty, found.score) > (not best[1].faulty, best[1].score):
                    best = cutout, found
                    used = {"what": attempt.what, "settings": attempt.settings, "model": cutout.report.model}
                if not found.faulty:
                    break
        self._cutout, self._check = best
        self._model = self._cutout.report.model
        if used is not None:
            self._used = {**used, "tried": tried}
            self.warnings.append(
                f"The checks found a fault; with {used['what']} it is better by them, and that is kept."
            )
        elif len(tried) > 1:
            self.warnings.append("The checks found a fault; what was tried instead is no better by them.")

    def _told(self, shop: Shop, state: Any, output: str | None) -> Record:
        """Return the record as far as it is known."""
        source, found = self.item.source, self._check
        size, changed, tag = (0, 0, "") if self._status is None else stamp_of(self._status)
        return Record(
            source=source.name,
            source_path=str(source.path),
            target=self.item.target,
            output=output,
            state=state,
            error=self.failure,
            warnings=list(dict.fromkeys(self.warnings)),
            score=None if found is None else found.score,
            flags=[] if found is None else [_flag(flag.as_dict()) for flag in found.flags],
            measures={} if found is None else found.measures.as_dict(),
            model=self._model,
            recipe=self.item.hash,
            recipe_used=self._used,
            seconds=_rounded(self.seconds),
            source_bytes=size,
            source_mtime=changed,
            source_tag=tag,
            finished=now(),
        )

    @contextmanager
    def _clock(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _encoded(cutout: Cutout, settings: Batch) -> tuple[bytes, bytes | None]:
    """Return the cut-out's file, and where it is asked for and there is one, its shadow's."""
    data = cutout.encode(settings.format)
    apart = settings.shadow_layer and cutout.shadow is not None
    return data, cutout.encode_shadow(settings.format) if apart else None


def _meant(data: bytes, output: str) -> Layer:
    return Layer(output, len(data), hashlib.sha256(data).hexdigest())


def now() -> str:
    """Return the time of day for people to read: nothing is ever decided by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def failure_of(error: BaseException) -> Failure:
    """Return what an error means for one picture."""
    if isinstance(error, GossamerError):
        return Failure.of(error)
    if is_lack_of_memory(error):
        return Failure(
            "There is not enough memory for this picture.",
            memory_remedy("Resize it first, or free memory."),
            "MemoryError",
            1,
        )
    return Failure(
        f"Unexpected {type(error).__name__}: {error}.",
        "This is a fault of Gossamer: please report it, with the picture.",
        type(error).__name__,
        70,
    )


def _attempt(what: str, found: Check) -> dict[str, Any]:
    return {"what": what, "score": found.score, "flags": [flag.id for flag in found.flags]}


def _flag(flag: dict[str, Any]) -> dict[str, Any]:
    return {"name": flag.pop("id"), **flag}


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in seconds.items()}


def _picture(path: Where, status: os.stat_result | ObjectStatus | None, steps: Progress) -> Image:
    """Read a picture from a file or a store."""
    if isinstance(path, Path):
        return patiently(lambda: read_image(path), steps)
    known = status if isinstance(status, ObjectStatus) else None
    return read_object(replace(path, status=None), known, steps)


def _status(path: Where, steps: Progress) -> os.stat_result | ObjectStatus | None:
    try:
        return path.stat() if isinstance(path, Path) else path.stat(steps)
    except (OSError, ValueError):
        return None  # reading it tells the reason

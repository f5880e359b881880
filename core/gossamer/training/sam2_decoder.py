"""The mask decoder of SAM 2 taught one's own domain: boxes, and boxes with a rough mask, to masks.

The image encoder, nearly all of the network, stays as it is, and so does Grounding DINO, which finds the boxes for
words. Losses are those of the authors' training (github.com/facebookresearch/sam2, training/loss_fns.py): focal 20,
Dice 1, and the error of the IoU that the network predicts 1; of the three masks for doubtful prompts the best one
learns, and all predict their IoU.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gossamer.arrays import Array
from gossamer.errors import Cancelled, DeviceError, InputError, ModelError, OutputError
from gossamer.files import make_folder, move_into_place, staging_folder
from gossamer.prompting.families import LoadedModel
from gossamer.prompting.sam import mask_of
from gossamer.prompting.sam2 import preprocess
from gossamer.resampling import area, bilinear
from gossamer.settings.training import Training
from gossamer.training.augmentation import augmented, cut
from gossamer.training.checkpoints import load_checkpoint, restore, save_checkpoint, save_tensors, tensors_of
from gossamer.training.feeding import LONGEST, Taught, shrunk
from gossamer.training.lessons import Lessons
from gossamer.training.processes import Processes
from gossamer.training.run_folder import RunFolder
from gossamer.training.schedules import rate_at

__all__ = ["DecoderTrainer", "check_settings", "mask_loss"]

RATE = 1e-5
"""Where none is given; the authors go on with the whole network at 5e-6."""

_DECAY = 0.1  # the authors'
_FOCAL, _DICE, _IOU = 20.0, 1.0, 1.0
_BALANCE, _FOCUS = 0.25, 2.0
_SHAKEN, _AT_MOST = 0.1, 20 / 1024  # of the box's side and of the picture's: the authors' noise on boxes
_ROUGH = 0.5  # of the pictures have a rough mask beside the box
_MASK_SCALE, _MASK_OFFSET = 20.0, -10.0  # see gossamer.prompting.sam2
_MEASURES = ("iou", "mae")
_LEAST = 16  # pixels of a subject
_UNUSED = ("loss", "lora", "freeze", "side", "tiles", "recompute", "precision", "parts", "optimiser", "general_truth")


def check_settings(settings: Training) -> None:
    """Raise InputError where a setting asks for what the decoder's training has not."""
    plain = Training()
    for name in _UNUSED:
        if getattr(settings, name) != getattr(plain, name):
            option = "--" + name.replace("_", "-")
            raise InputError(f"The mask decoder of SAM 2 is trained without {option}.", f"Leave {option} out.")


def mask_loss(logits: Tensor, predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of each mask, and that of the IoU that the network predicts for it.

    Parameters
    ----------
    logits : Tensor, (k, h, w)
    predicted : Tensor, (k,)
        IoU.
    truth : Tensor, (h, w)
        0 or 1.

    Returns
    -------
    masks, scores : Tensor, (k,)
    """
    target = truth.expand_as(logits)
    probability = logits.sigmoid()
    crossed = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = probability * (1 - target) + (1 - probability) * target
    weight = _BALANCE * target + (1 - _BALANCE) * (1 - target)
    focal = (weight * missed**_FOCUS * crossed).mean((1, 2))
    dice = 1 - (2 * (probability * target).sum((1, 2)) + 1) / (probability.sum((1, 2)) + target.sum((1, 2)) + 1)
    found = logits.detach() > 0
    both, either = (found & (target > 0)).sum((1, 2)), (found | (target > 0)).sum((1, 2))
    return _FOCAL * focal + _DICE * dice, _IOU * (predicted - both / either.clamp_min(1)).abs()


class DecoderTrainer:
    """One training of a mask decoder.

    Parameters
    ----------
    model : LoadedModel
        A SAM 2; its decoder is changed.
    lessons : Lessons
    settings : Training
    folder : RunFolder
        It is this process's own.
    announce : callable
        Told what people should know at once.

    Attributes
    ----------
    state : tuple of (float, str)
        How far it is, and in words; for another thread to read.
    ended : threading.Event
        Set when :meth:`run` has ended, however it did.
    """

    def __init__(
        self,
        model: LoadedModel,
        lessons: Lessons,
        settings: Training,
        folder: RunFolder,
        announce: Callable[[str], object],
    ) -> None:
        self.folder, self.processes = folder, Processes("cpu")
        self.state: tuple[float, str] = (0.0, "Beginning")
        self.ended = threading.Event()
        self._module, self._decoder = model.network, model.network.mask_decoder
        self._side = int(model.network.config.prompt_encoder_config.image_size)
        self._lessons, self._settings, self._announce = lessons, settings, announce
        self._rows: list[dict[str, float]] = []
        self._before: dict[str, float] = {}
        self._best: dict[str, float] = {}
        self._best_step, self._idle = 0, 0
        self._stopped = False

    def stop(self) -> None:
        """End the work soon, between two layers: :class:`gossamer.Cancelled` is raised on its thread."""
        self._stopped = True

    def run(self, resume: bool) -> dict[str, Any]:
        """Train, and return the fields of a report; with `resume` from the newest checkpoint on, where there is one."""
        try:
            return self._run(resume)
        finally:
            self.ended.set()

    def _run(self, resume: bool) -> dict[str, Any]:
        settings = self._settings
        there = torch.cuda.is_available()
        if settings.device == "cuda" and not there:
            raise DeviceError("There is no graphics card that torch can use.", "Choose --device cpu.")
        self._where = "cuda" if settings.device != "cpu" and there else "cpu"
        self._module.to(self._where).requires_grad_(False).eval()
        self._decoder.requires_grad_(True)
        for layer in self._module.modules():
            if not any(layer.children()):
                layer.register_forward_pre_hook(self._ask)
        decay = _DECAY if settings.decay < 0 else settings.decay
        optimiser = torch.optim.AdamW(self._decoder.parameters(), lr=0.0, weight_decay=decay)
        first = self._begin(optimiser, resume)
        done, early = first, self._is_idle()
        while done < settings.steps and not early:
            self._step(done, optimiser)
            done += 1
            if done % settings.validate_every and done < settings.steps:
                continue
            self._validate(done)
            self._save(done, optimiser)
            early = self._is_idle()
        self._write_model()
        return {
            "steps": done,
            "best_step": self._best_step,
            "before": self._before,
            "after": self._best,
            "resumed": first,
            "stopped_early": early,
            "made": str(self.folder.path / "model"),
        }

    def _begin(self, optimiser: torch.optim.Optimizer, resume: bool) -> int:
        found = load_checkpoint(self.folder.checkpoints) if resume else None
        if found is None:
            self._validate(0)
            self._save(0, optimiser)
            return 0
        told, tensors = found
        restore(tensors, self._decoder, optimiser, {})
        self._before, self._best = told["before"], told["best"]
        self._best_step, self._idle = told["best_step"], told["idle"]
        step: int = told["step"]
        self._rows = self.folder.rows(step)
        self.folder.write_rows(self._rows)
        self._announce(f"Going on after step {step}.")
        return step

    def _is_idle(self) -> bool:
        return bool(self._settings.patience) and self._idle >= self._settings.patience

    # -- learning -------------------------------------------------------------------------------------------

    def _step(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        settings = self._settings
        rate = rate_at(step, settings, settings.rate or RATE)
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        self._decoder.train()  # in evaluation it takes another mask where the single one is unsteady
        total = 0.0
        for place in range(settings.batch):
            loss = self._loss(*self._drawn(step * settings.batch + place)) / settings.batch
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        norm = float(nn.utils.clip_grad_norm_(self._decoder.parameters(), settings.clip or math.inf))
        self._decoder.eval()
        if not math.isfinite(total) or not math.isfinite(norm):
            self.folder.write_rows(self._rows)
            raise ModelError(
                f"In step {step + 1} the loss is {total} and its gradient {norm} (learning rate {rate:.3g}).",
                "Give a smaller --rate.",
            )
        optimiser.step()
        self._rows.append({"step": step + 1, "loss": total, "norm": norm, "rate": rate})
        self.state = ((step + 1) / settings.steps, f"Step {step + 1} of {settings.steps}, loss {total:.4g}")

    def _drawn(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_], np.random.Generator]:
        """Return the `number`-th picture to learn from, each once before any a second time."""
        settings, pictures = self._settings, self._lessons.train
        round_, place = divmod(number, len(pictures))
        order = np.random.default_rng([settings.seed, round_]).permutation(len(pictures))
        lots = np.random.default_rng([settings.seed, 7, number])
        rgb, alpha = shrunk(*pictures[int(order[place])].load(int(lots.integers(2**31))), 2 * self._side)
        part = cut(rgb, alpha, self._side, settings, lots)
        rgb, alpha = augmented(*(part if _is_shown(part[1]) else (rgb, alpha)), settings, lots)
        return rgb, alpha > 0.5, lots

    def _loss(self, rgb: NDArray[np.uint8], subject: NDArray[np.bool_], lots: np.random.Generator) -> Tensor:
        """Return the loss of a picture for a box that is nearly its subject's, maybe with a rough mask."""
        truth = _seen_at(subject, self._side)
        if int(truth.sum()) < _LEAST:
            weight: Tensor = next(self._decoder.parameters())
            return weight.sum() * 0.0  # nothing of it is there to be pointed at
        features = self._features(rgb)
        inputs = self._prompt(_shaken(_box(truth), self._side, lots))
        if lots.random() < _ROUGH:
            inputs["input_masks"] = self._rough(truth, lots)
        target = torch.from_numpy(truth.astype(np.float32)).to(self._where)
        total = target.new_zeros(())
        for many in (False, True):
            answer = self._module(image_embeddings=features, multimask_output=many, **inputs)
            logits = functional.interpolate(
                answer.pred_masks[0].float(), target.shape, mode="bilinear", align_corners=False
            )
            masks, scores = mask_loss(logits[0], answer.iou_scores[0, 0].float(), target)
            total = total + masks.min() + scores.mean()
        return total

    def _features(self, rgb: NDArray[np.uint8]) -> Any:
        with torch.no_grad():
            return self._module.get_image_embeddings(preprocess(rgb, self._side).to(self._where))

    def _prompt(self, box: Array) -> dict[str, Any]:
        return {"input_boxes": torch.from_numpy(box.reshape(1, 1, 4)).to(self._where)}

    def _rough(self, truth: NDArray[np.bool_], lots: np.random.Generator) -> Tensor:
        """Return what somebody may have painted in a hurry: the subject, grown or shrunk and without detail."""
        import cv2

        height, width = self._module.prompt_encoder.mask_input_size
        soft = np.ascontiguousarray(area(truth.astype(np.float32), height, width))
        soft = np.asarray(cv2.GaussianBlur(soft, (0, 0), float(lots.uniform(0.5, 4.0)) * width / 256 + 0.3), np.float32)
        rough = (soft > lots.uniform(0.25, 0.75)).astype(np.float32)
        logits = torch.from_numpy(rough * np.float32(_MASK_SCALE) + np.float32(_MASK_OFFSET))
        return logits[None, None].to(self._where)

    # -- validating -----------------------------------------------------------------------------------------

    def _validate(self, step: int) -> None:
        self.state = (step / self._settings.steps, f"Validating after step {step}")
        found = [self._measured(one, number) for number, one in enumerate(self._lessons.validation)]
        means = {name: math.fsum(one[name] for one in found) / len(found) for name in _MEASURES}
        self._before = self._before or means
        self._idle += 1
        if not self._best or means["iou"] > self._best["iou"]:
            self._best, self._best_step, self._idle = means, step, 0
            plain = {name: one.detach().cpu().contiguous() for name, one in self._decoder.state_dict().items()}
            save_tensors(self.folder.best, plain, {"step": str(step), "part": "mask_decoder"})
        self._rows.append({"step": step, **means})
        self.folder.write_rows(self._rows)

    def _measured(self, picture: Taught, number: int) -> dict[str, float]:
        """Return how the mask for the subject's own box comes out."""
        rgb, alpha = shrunk(*picture.load(number), LONGEST)
        truth = _seen_at(alpha > 0.5, self._side)
        box = _box(truth) if truth.any() else np.array([0, 0, self._side, self._side], np.float32)
        with torch.no_grad():
            answer = self._module(
                image_embeddings=self._features(rgb), multimask_output=False, **self._prompt(box)
            ).pred_masks[0, 0, 0]
        mask = mask_of(answer.float(), *alpha.shape)
        found, wanted = mask > 0.5, alpha > 0.5
        either = int((found | wanted).sum())
        return {
            "iou": int((found & wanted).sum()) / either if either else 1.0,
            "mae": float(np.abs(mask - alpha).mean()),
        }

    def _save(self, step: int, optimiser: torch.optim.Optimizer) -> None:
        told = {"before": self._before, "best": self._best, "best_step": self._best_step, "idle": self._idle}
        save_checkpoint(self.folder.checkpoints, step, tensors_of(self._decoder, optimiser, {}), told)

    def _write_model(self) -> None:
        """Write the whole network with its best decoder, as ``load_sam2`` reads it."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from gossamer.networks.transformers_loading import quiet_transformers

        self.state = (1.0, "Writing the model")
        self._decoder.load_state_dict(load_file(self.folder.best, self._where))
        folder = self.folder.path / "model"
        try:
            make_folder(folder)
            with staging_folder(folder) as staging, quiet_transformers():
                self._module.to("cpu").save_pretrained(staging)
                for path in sorted(staging.iterdir()):
                    move_into_place(path, folder / path.name, force=True)
        except (OSError, SafetensorError) as error:
            raise OutputError(f"{folder} could not be written: {error}.", "Free the disk, then add --resume.") from None

    def _ask(self, layer: nn.Module, inputs: Any) -> None:
        if self._stopped:
            raise Cancelled


def _is_shown(alpha: Array) -> bool:
    return int((alpha > 0.5).sum()) >= _LEAST


def _seen_at(subject: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Return where a subject is in the square that the network sees."""
    plane = subject.astype(np.float32)
    seen: NDArray[np.bool_] = (area if min(plane.shape) > side else bilinear)(plane, side, side) > 0.5
    return seen


def _box(truth: NDArray[np.bool_]) -> Array:
    """Return left, top, right and bottom of what is set."""
    rows, columns = (np.flatnonzero(truth.any(axis)) for axis in (1, 0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _shaken(box: Array, side: int, lots: np.random.Generator) -> Array:
    """Return a box as somebody would draw it."""
    reach = np.minimum(_SHAKEN * np.tile(box[2:] - box[:2], 2), _AT_MOST * side)
    moved = box + np.clip(lots.normal(0, 1, 4), -1, 1) * reach
    return np.asarray(np.clip(moved, 0, side), np.float32)

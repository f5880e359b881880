"""SAM 2.1 on clips: what a prompt on one frame means is followed through the others, forth and back.

Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), run by the transformers package. Frames are given
one at a time and forgotten when the network's memory reaches them no more: it does not grow with the clip.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gossamer.errors import InputError
from gossamer.networks.transformers_loading import load_classes, load_pretrained
from gossamer.networks.transformers_network import TransformersNetwork
from gossamer.parallel.patience import patiently
from gossamer.progress import Progress, ProgressCallback
from gossamer.prompting.families import find_weights
from gossamer.prompting.places import Places
from gossamer.prompting.sam import stretched
from gossamer.prompting.sam2 import preprocess

__all__ = ["POINTERS", "TIED", "Sam2Tracker", "Track", "TrackState", "load_sam2_tracker"]

POINTERS = 16
"""Frames that the network looks back at by what it remembers of their subject; at masks of 7."""

_NEAR = POINTERS + 8  # frames


class Sam2Tracker:
    """A loaded SAM 2.1 that remembers frames.

    Parameters
    ----------
    module : Sam2VideoModel
        Of transformers.
    id, device, precision : str
        As for :class:`~gossamer.prompting.sam.Sam`.
    """

    what = "SAM 2"
    session = "Sam2VideoInferenceSession"
    """The class of transformers that keeps what is remembered of one clip."""

    def __init__(self, module: Any, id: str = "sam2", *, device: str = "auto", precision: str = "auto") -> None:
        self.id, self.side = id, int(module.config.image_size)
        self.network = TransformersNetwork(module, self.what, device=device, precision=precision, automatic="bfloat16")

    @property
    def device(self) -> str:
        """Where it runs."""
        return self.network.device

    def small(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Return a frame, (H, W, 3) uint8 or uint16, as the network sees it, (side, side, 3) uint8."""
        import cv2

        if pixels.dtype != np.uint8:
            pixels = (pixels >> 8).astype(np.uint8)
        shrinks = max(pixels.shape[:2]) > self.side
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.ascontiguousarray(cv2.resize(pixels, (self.side, self.side), interpolation=how))

    def prepared(self, small: NDArray[np.uint8]) -> Any:
        """Return what :meth:`small` gave as the network takes it, a tensor (1, 3, side, side)."""
        return preprocess(small, self.side)


@dataclass(frozen=True, eq=False)
class TrackState:
    """What is remembered of frames that were followed; nobody writes into it.

    Attributes
    ----------
    session : object
        Of transformers, in the processor's memory.
    subjects : int
    size : (height, width)
        Of the frames.
    network : tuple of str
        The id, device and precision of what followed them.
    """

    session: Any
    subjects: int
    size: tuple[int, int]
    network: tuple[str, str, str]


class Track:
    """Subjects that are followed through a clip.

    Parameters
    ----------
    tracker : Sam2Tracker
    height, width : int
        Of the frames, in whose pixels places are given.
    count : int
        How many frames there are; more than :data:`POINTERS` are as many.
    before : TrackState, optional
        What was remembered of the frames before.

    Raises
    ------
    InputError
        Those frames were of another size, or followed by another network.
    """

    def __init__(
        self,
        tracker: Sam2Tracker,
        height: int,
        width: int,
        count: int = POINTERS,
        before: TrackState | None = None,
    ) -> None:
        self._tracker, self._size = tracker, (height, width)
        self._network = tracker.id, tracker.device, tracker.network.precision
        self._session: Any
        self._subjects = 0
        if before is None:
            self._session = self._begun()
        else:
            self._check(before)
            self._session, self._subjects = _copied(before.session, tracker.device), before.subjects
        # The network reads their number alone: it looks back at no more pointers than there are frames.
        self._session.processed_frames = dict.fromkeys(range(1 - min(count, POINTERS), 0))

    @property
    def state(self) -> TrackState:
        """What is remembered of the frames so far."""
        return TrackState(_copied(self._session, "cpu"), self._subjects, self._size, self._network)

    def _begun(self) -> Any:
        tracker, (height, width) = self._tracker, self._size
        classes = load_classes(f"{tracker.what} on clips", "prompts", tracker.session)
        return classes[0](
            video_height=height,
            video_width=width,
            inference_device=tracker.device,
            inference_state_device=tracker.device,
            video_storage_device=tracker.device,
            dtype=getattr(_torch(), tracker.network.precision),
        )

    def _check(self, before: TrackState) -> None:
        if before.size != self._size:
            (height, width), (h, w) = before.size, self._size
            raise InputError(
                f"The frames before are {width} x {height} pixels, these {w} x {h}.", "Give frames of one size."
            )
        if before.network != self._network:
            theirs, ours = (f"{name} ({', '.join(how)})" for name, *how in (before.network, self._network))
            raise InputError(f"The frames before were followed by {theirs}, not by {ours}.", "Give the same model.")

    def frame(
        self,
        number: int,
        small: NDArray[np.uint8],
        places: Sequence[Places],
        progress: Progress,
        *,
        back: bool = False,
    ) -> NDArray[np.float32]:
        """Return the subjects' mask in a frame, as logits, (h, w) float32; above 0 is inside.

        Parameters
        ----------
        number : int
            Of the frame; the first that is given has places.
        small : (side, side, 3) uint8
            See :meth:`Sam2Tracker.small`.
        places : sequence of Places
            What is said of this frame: each one's box, points or mask belongs to the subject of its number. A box or a
            mask says where it is; points alone correct what was followed up to here.
        progress : Progress
            What it raises stops the work and passes through.
        back : bool
            Whether frames come in reverse.

        Raises
        ------
        InputError
            The places are of more subjects than the first ones.
        """
        if not self._subjects:
            self._subjects = len(places)
        if len(places) > self._subjects:
            raise InputError(
                f"The prompt on a later frame names {len(places)} subjects and the first one {self._subjects}.",
                "Name all subjects on the first frame.",
            )
        tracked = any(self._session.frames_tracked_per_obj.values())
        corrects = bool(places) and tracked and all(one.box is None and one.mask is None for one in places)

        def work(module: Any) -> NDArray[np.float32]:
            picture = self._tracker.prepared(small).to(self._tracker.device, self._session.dtype)
            self._session.add_new_frame(picture, number)
            if corrects:
                module(self._session, frame_idx=number, reverse=back)
            if places:
                self._say(module, number, places)
            found = module(self._session, frame_idx=number, reverse=back).pred_masks
            logits: NDArray[np.float32] = found.float().amax(dim=(0, 1)).cpu().numpy()
            return logits

        result = self._tracker.network.run(work, progress)
        self._forget(number)
        return result

    def _say(self, module: Any, number: int, places: Sequence[Places]) -> None:
        torch = _torch()
        height, width = self._size
        scale = torch.tensor([self._tracker.side / width, self._tracker.side / height])
        named = []
        for subject, place in enumerate(places):
            index = self._session.obj_id_to_idx(subject)
            corners = [] if place.box is None else [place.box[:2], place.box[2:]]
            points = [*corners, *place.points, *place.not_points]
            labels = [2, 3][: len(corners)] + [1] * len(place.points) + [0] * len(place.not_points)
            if not points and place.mask is None:
                continue
            named.append(subject)
            if not points and place.mask is not None:
                side = self._tracker.side
                logits = stretched(place.mask[..., None], side, side) > 0.5
                self._session.add_mask_inputs(index, number, logits.float())
                continue
            coordinates = torch.tensor(np.array(points, np.float32)) * scale
            given = {
                "point_coords": coordinates[None, None].to(self._session.dtype),
                "point_labels": torch.tensor([[labels]], dtype=torch.int32),
            }
            self._session.add_point_inputs(index, number, given)
        self._session.obj_with_new_inputs = named

    def _forget(self, number: int) -> None:
        """Let go of frames that the network's memory reaches no more from here; those that places are on stay."""
        session = self._session
        del session.processed_frames[number]
        for outputs in session.output_dict_per_obj.values():
            kept = outputs["non_cond_frame_outputs"]
            for far in [one for one in kept if abs(one - number) > _NEAR]:
                del kept[far]


def load_sam2_tracker(
    model: str | Path = "auto",
    *,
    device: str = "auto",
    precision: str = "auto",
    folders: Iterable[str | Path] = (),
    progress: ProgressCallback | Progress | None = None,
    announce: Callable[[str], object] | None = None,
) -> Sam2Tracker:
    """Load a SAM 2.1 for clips, fetching its weights first where they are not on this machine.

    Parameters
    ----------
    model, device, precision, folders, progress, announce
        As for :func:`gossamer.prompting.sam2.load_sam2`, which raises the same. A folder has to hold the video's
        model, as the published ones do.
    """
    steps = Progress.of(progress)
    classes = patiently(lambda: load_classes("SAM 2 on clips", "prompts", "Sam2VideoModel", "Sam2VideoConfig"), steps)
    name, folder = find_weights(model, "sam2", folders=folders, progress=steps, announce=announce)

    def load() -> Sam2Tracker:
        module = load_pretrained(folder, model=classes[0], config=classes[1], types={"sam2_video": ""}, tied=TIED)
        return Sam2Tracker(module, name, device=device, precision=precision)

    return patiently(load, steps)


TIED = {"prompt_encoder.shared_embedding.positional_embedding": "shared_image_embedding.positional_embedding"}
"""Tensors that are the same as others: saved twice by transformers 5, once by transformers 4."""


def _copied(session: Any, device: str) -> Any:
    """Return a session that can go its own way, on a device; its tensors are replaced, never changed."""
    twin = copy.copy(session)
    for name, value in vars(session).items():
        setattr(twin, name, _own(value, device))
    twin.cache = copy.copy(session.cache)
    twin.cache._vision_features = {}  # of the last frame
    return twin


def _own(value: Any, device: str) -> Any:
    if isinstance(value, dict):
        return type(value)((key, _own(one, device)) for key, one in value.items())
    return list(value) if isinstance(value, list) else value.to(device) if hasattr(value, "to") else value


def _torch() -> Any:
    import torch

    return torch

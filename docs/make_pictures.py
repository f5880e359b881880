"""Make docs/before-after.jpg with `python docs/make_pictures.py`: the dev extra has the photograph (public domain)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data

import gossamer
from gossamer.compositing import cover, over
from gossamer.image import encode_image, write_bytes

photograph = skimage.data.astronaut()
cutout = gossamer.remove_background(photograph, model="isnet-general-use")
height, width = cutout.alpha.shape
squares = (np.indices((height, width)) // 12).sum(0) % 2
checks = np.where(squares[..., None], 0.8, 1.0).astype(np.float32).repeat(3, axis=2)
colour = over(cutout.foreground, cutout.alpha, np.float32([0.09, 0.42, 0.36]))
row = [gossamer.read_image(photograph).rgb, over(cutout.foreground, cutout.alpha, checks), colour]
sheet = np.hstack([np.pad(cover(cell, height, width), ((0, 0), (0, 6), (0, 0)), constant_values=1) for cell in row])
write_bytes(Path(__file__).with_name("before-after.jpg"), encode_image(sheet[:, :-6], None, "jpeg"), force=True)

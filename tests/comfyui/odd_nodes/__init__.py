# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for the tests only: they hand out what nodes of others may, and write tensors as they are."""

from __future__ import annotations

import os

import comfy.model_management
import folder_paths
import numpy as np
import torch


class OddImage:
    """Makes an IMAGE, or what is none."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"how": ("STRING", {}), "image": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "tests"

    def make(self, how, image):
        image = image.clone()
        if how == "none":
            return (image[:0],)
        if how == "text":
            return ("a picture",)
        if how == "mask":
            return (image[..., 0],)
        if how == "bytes":
            return (image * 255,)
        if how == "bright":
            image[:, :20, :, 0] = 6.5
        else:
            image[:, 5, 5] = float(how)
        return (image,)


class OddMask:
    """Makes a MASK of an image's red channel in a shape or with values that are unusual."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"how": ("STRING", {}), "image": ("IMAGE",)}}

    RETURN_TYPES = ("MASK",)
    FUNCTION = "make"
    CATEGORY = "tests"

    def make(self, how, image):
        mask = image[..., 0].clone()
        if how == "list":
            return (mask.tolist(),)
        if how == "image":
            return (image,)
        shapes = {"BHW1": mask[..., None], "B1HW": mask[:, None], "HW": mask[0], "none": mask[:0]}
        if how in shapes:
            return (shapes[how],)
        mask[:, 5, 5] = float(how)
        return (mask,)


class WriteTensor:
    """Writes a tensor as it is into the output folder."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"tensor": ("*", {}), "name": ("STRING", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    RETURN_TYPES = ()
    FUNCTION = "write"
    OUTPUT_NODE = True
    CATEGORY = "tests"

    def write(self, tensor, name):
        np.save(os.path.join(folder_paths.get_output_directory(), f"{name}.npy"), torch.as_tensor(tensor).numpy())
        return {}


class ManyPictures:
    """Makes a batch of random pictures of one size."""

    @classmethod
    def INPUT_TYPES(cls):
        number = ("INT", {"default": 1, "min": 1, "max": 100000})
        return {"required": {"count": number, "width": number, "height": number}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "make"
    CATEGORY = "tests"

    def make(self, count, width, height):
        one = torch.rand(1, height, width, 3, generator=torch.Generator().manual_seed(1))
        return (one.expand(count, -1, -1, -1),)


class LoadedModels:
    """Tells how large the models are that ComfyUI counts as loaded, after something else has run."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"after": ("*", {})}}

    @classmethod
    def VALIDATE_INPUTS(cls, input_types):
        return True

    RETURN_TYPES = ()
    FUNCTION = "tell"
    OUTPUT_NODE = True
    CATEGORY = "tests"

    def tell(self, after):
        sizes = [one.model_memory() for one in comfy.model_management.current_loaded_models]
        return {"ui": {"sizes": sizes}}


class OwnRemover:
    """What ComfyUI's own Load Background Removal Model hands out since 0.21; it finds red, and what is to the right."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("BACKGROUND_REMOVAL",)
    FUNCTION = "load"
    CATEGORY = "tests"

    def load(self):
        return (self,)

    def encode_image(self, image):
        across = torch.linspace(0, 0.2, image.shape[2], device=image.device)  # not the same when it is mirrored
        return image[..., 0] + across


NODE_CLASS_MAPPINGS = {
    "LoadedModels": LoadedModels,
    "OddImage": OddImage,
    "OddMask": OddMask,
    "WriteTensor": WriteTensor,
    "ManyPictures": ManyPictures,
    "OwnRemover": OwnRemover,
}

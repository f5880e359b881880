"""A tiny ViTMatte with seeded weights, of transformers' own classes, and something to show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import transformers

__all__ = ["scene", "write_model"]


def write_model(folder: Path) -> Path:
    backbone = transformers.VitDetConfig(
        num_channels=4,
        image_size=64,
        pretrain_image_size=32,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        use_absolute_position_embeddings=True,
        use_relative_position_embeddings=True,
        window_size=3,
        window_block_indices=[0, 1],
        residual_block_indices=[2],
        out_features=["stage3"],
    )
    config = transformers.VitMatteConfig(
        backbone_config=backbone,
        hidden_size=16,
        convstream_hidden_sizes=[6, 8, 10],
        fusion_hidden_sizes=[12, 8, 8, 6],
    )
    network = transformers.VitMatteForImageMatting(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        # As they are initialised, all alphas are 0.5 and hardly depend on the picture.
        for name, parameter in network.named_parameters():
            scale = 1.5 / max(parameter[0].numel(), 1) ** 0.5 if parameter.ndim > 1 else 0.3
            centre = parameter.ndim == 1 and name.endswith("weight")  # of a normalisation layer
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + centre)
        last = network.decoder.matting_head.matting_convs[3]
        alphas = network.eval()(torch.randn((1, 4, 96, 96), generator=generator)).alphas
        logits = torch.logit(alphas.double(), eps=1e-12)
        last.weight.div_(logits.std() / 2)
        last.bias.copy_((last.bias - logits.mean()) / (logits.std() / 2))
    network.save_pretrained(folder)
    return folder


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture of noise, and a trimap whose unknown band runs from top to bottom."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    trimap = np.full((height, width), 0.5, np.float32)
    trimap[:, : max(width // 5, 1)] = 0
    trimap[:, -max(width // 4, 1) :] = 1
    return image, trimap

"""Small seeded models of the very classes that prompted models are, saved by ``save_pretrained``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from gossamer.networks.transformers_loading import quiet_transformers

SIDE = 64
"""Of the pictures that the small SAM 2 sees."""

SAM3_SIDE = 112
"""Of those that the small SAM 3 sees."""

VOCABULARY = ("a", "the", "lamp", "table", "cat", "red", "##s", "dog")
HAS_SAM3 = int(transformers.__version__.partition(".")[0]) >= 5


@contextmanager
def reference() -> Iterator[None]:
    """Run transformers' own code, quietly and on one thread: so small a network only waits for the others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with quiet_transformers(), torch.no_grad():
            yield
    finally:
        torch.set_num_threads(threads)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Soft blobs of colour, (H, W, 3) uint8."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=generator)
    large = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    return (large[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def save_grounding_dino(folder: Path) -> Path:
    """A Grounding DINO with a vocabulary of a few words; its special tokens have BERT's numbers."""
    words = ["[PAD]", *(f"[unused{number}]" for number in range(1, 1100))]
    for number, token in {100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}.items():
        words[number] = token
    words[200 : 200 + len(VOCABULARY)] = VOCABULARY
    swin = {
        "model_type": "swin",
        "image_size": 64,
        "embed_dim": 8,
        "depths": [1, 1, 1, 1],
        "num_heads": [1, 1, 2, 2],
        "window_size": 4,
        "out_features": ["stage2", "stage3", "stage4"],
    }
    bert = {
        "model_type": "bert",
        "vocab_size": 1100,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 300,
    }
    config = transformers.GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_queries=24,
        num_feature_levels=4,
        encoder_n_points=2,
        decoder_n_points=2,
        max_text_len=32,
    )
    _save(transformers.GroundingDinoForObjectDetection, config, folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", "utf-8")
    limits = {"size": {"shortest_edge": 96, "longest_edge": 160}}  # the published 800 and 1333 take a second each
    (folder / "preprocessor_config.json").write_text(json.dumps(limits), "utf-8")
    return folder


def sam2_settings() -> dict[str, Any]:
    hiera = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": 8,
        "num_attention_heads": 1,
        "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1],
        "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3],
        "window_positional_embedding_background_size": [4, 4],
    }
    return {
        "vision_config": {
            "model_type": "sam2_vision_model",
            "backbone_config": hiera,
            "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
            "fpn_hidden_size": 32,
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE, "patch_size": 16},
        "mask_decoder_config": {
            "hidden_size": 32,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
            "num_hidden_layers": 1,
        },
    }


def save_sam2(folder: Path) -> Path:
    _save(transformers.Sam2Model, transformers.Sam2Config(**sam2_settings()), folder)
    return folder


def save_sam2_video(folder: Path) -> Path:
    """What is published: the video model, which holds the picture's."""
    config = transformers.Sam2VideoConfig(
        **sam2_settings(),
        image_size=SIDE,
        memory_attention_hidden_size=32,
        memory_attention_num_layers=1,
        memory_attention_num_attention_heads=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16,
        mask_downsampler_embed_dim=32,
        memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=64,
        memory_fuser_num_layers=1,
        memory_attention_rope_feat_sizes=[4, 4],
    )
    _save(transformers.Sam2VideoModel, config, folder)
    return folder


def save_sam2_tracking(folder: Path) -> Path:
    """A video model that runs: its memory has 64 channels whatever the configuration says, and its layers more."""
    settings, width = sam2_settings(), 128
    settings["vision_config"]["fpn_hidden_size"] = width
    settings["prompt_encoder_config"]["hidden_size"] = settings["mask_decoder_config"]["hidden_size"] = width
    config = transformers.Sam2VideoConfig(
        **settings,
        image_size=SIDE,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=width,
        memory_fuser_num_layers=1,
        memory_attention_rope_feat_sizes=[SIDE // 16, SIDE // 16],
    )
    _save(transformers.Sam2VideoModel, config, folder)
    return folder


def save_sam3(folder: Path) -> Path:
    """A SAM 3 with a tokenizer of letters."""
    _save(transformers.Sam3Model, transformers.Sam3Config(**sam3_settings()), folder)
    return _with_letters(folder)


def save_sam3_tracking(folder: Path) -> Path:
    """What is published: SAM 3 with the tracker that follows through clips; both look with the same eyes."""
    settings, width = sam3_settings(), 128
    vision = {**settings["vision_config"], "fpn_hidden_size": width}
    part = {"hidden_size": width, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    detector = {
        **settings,
        "vision_config": vision,
        "geometry_encoder_config": part,
        "detr_encoder_config": part,
        "detr_decoder_config": {**part, "num_queries": 12},
        "mask_decoder_config": {"hidden_size": width, "num_attention_heads": 2},
    }
    tracker = {
        "vision_config": vision,
        "prompt_encoder_config": {"hidden_size": width, "image_size": SAM3_SIDE, "patch_size": 14},
        "mask_decoder_config": {
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
            "num_hidden_layers": 1,
        },
        "image_size": SAM3_SIDE,
        "memory_attention_hidden_size": width,
        "memory_attention_num_layers": 1,
        "memory_attention_feed_forward_hidden_size": 32,
        "memory_encoder_hidden_size": width,
        "mask_downsampler_embed_dim": width,
        "memory_fuser_embed_dim": width,
        "memory_fuser_intermediate_dim": width,
        "memory_fuser_num_layers": 1,
        "memory_attention_rope_feat_sizes": [SAM3_SIDE // 14] * 2,
    }
    config = transformers.Sam3VideoConfig(detector_config=detector, tracker_config=tracker)
    _save(transformers.Sam3VideoModel, config, folder)
    return _with_letters(folder)


def sam3_settings() -> dict[str, Any]:
    width = 32
    part = {"hidden_size": width, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    vit = {
        "model_type": "sam3_vit_model",
        "hidden_size": width,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SAM3_SIDE,
        "patch_size": 14,
        "window_size": 4,
        "global_attn_indexes": [1],
        "pretrain_image_size": 56,
    }
    clip = {
        "model_type": "clip_text_model",
        "vocab_size": 60,
        "hidden_size": width,
        "intermediate_size": 64,
        "projection_dim": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "hidden_act": "gelu",
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }
    return {
        "vision_config": {
            "model_type": "sam3_vision_model",
            "backbone_config": vit,
            "fpn_hidden_size": width,
            "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]],
        },
        "text_config": clip,
        "geometry_encoder_config": part,
        "detr_encoder_config": part,
        "detr_decoder_config": {**part, "num_queries": 12},
        "mask_decoder_config": {"hidden_size": width, "num_attention_heads": 2},
    }


def _with_letters(folder: Path) -> Path:
    letters = "abcdefghijklmnopqrstuvwxyz"
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    return folder


def _save(model: Any, config: Any, folder: Path) -> None:
    torch.manual_seed(0)
    with quiet_transformers():
        network = model(config)
        for parameter in network.parameters():
            if parameter.ndim > 1:  # as they are made, all answers are nearly the same
                parameter.data.mul_(6)
        if hasattr(network, "shared_image_embedding"):  # one tensor in what is published
            shared = network.shared_image_embedding.positional_embedding
            network.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
        network.save_pretrained(folder)

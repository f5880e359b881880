"""Masks that a training is measured by, in the precision in which it learns."""

from __future__ import annotations

import numpy as np
import torch

from gossamer.training.validation import mask_of
from tests.training import tiny


def test_half_precision_is_what_is_asked_for_and_follows_weights_that_change() -> None:
    """Autocast keeps weights that it has cast: those of before must not be measured after a change."""
    base, network = tiny.base(), tiny.network().eval()
    rgb, _ = tiny.Ellipse(1).load()
    seen: list[torch.dtype] = []
    hook = network.outconv.register_forward_hook(lambda layer, inputs, found: seen.append(found.dtype))

    def masks() -> list[np.ndarray]:
        how = {"spec": base.input, "output": base.output, "logits": base.logits, "side": tiny.SIDE}
        return [mask_of(network, rgb, **how, precision=one) for one in ("float32", "bfloat16")]  # type: ignore[arg-type]

    with torch.autocast("cpu", torch.bfloat16):  # whoever asks may be within one
        exact, low = masks()
        with torch.no_grad():
            for one in network.parameters():
                one.mul_(1.5)
        changed, low_changed = masks()
    hook.remove()
    assert seen == [torch.float32, torch.bfloat16] * 2
    assert 0 < np.abs(exact - low).max() < 0.1
    assert 0 < np.abs(changed - low_changed).max() < 0.1
    assert np.abs(exact - changed).max() > 0.1

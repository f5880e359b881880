"""BEN2, beside numbers measured from its authors' code (github.com/PramaLLC/BEN2, BEN2.py without autocast)."""

import pytest
import torch

from gossamer.networks.architectures.ben2 import ben2
from tests.networks.architectures.seeded_weights import sampled, seed_weights, seeded_picture, state_digest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(one_thread):
    network = ben2().eval()
    seed_weights(network)
    return network


@pytest.mark.long
def test_names_and_shapes_are_the_checkpoints(network):
    assert state_digest(network) == (535, "7f6df0fb040e2880806b50b3ac6a23a451990644ce81f8f0e910de226cb913f6")
    assert sum(weight.numel() for weight in network.parameters()) == 94134658


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "mean", "deviation", "masks"),
    [
        (
            (1, 256, 256),
            0.36317056,
            0.12935028,
            [0.49257, 0.4532, 0.41303, 0.43361, 0.5312, 0.65425, 0.32258, 0.36824],
        ),
        (
            (2, 128, 256),
            0.36316776,
            0.12884827,
            [0.46179, 0.35859, 0.31238, 0.51168, 0.42423, 0.17405, 0.27054, 0.14719],
        ),
    ],
)
def test_masks_of_the_authors(network, size, mean, deviation, masks):
    with torch.inference_mode():
        out = network(seeded_picture(*size))
    assert out.shape == (size[0], 1, *size[1:])
    assert sampled(out) == pytest.approx(masks, abs=1e-4)
    assert out.mean().item() == pytest.approx(mean, abs=1e-5)
    assert out.std().item() == pytest.approx(deviation, abs=1e-5)


@pytest.mark.long
def test_other_sizes_are_refused():
    with torch.device("meta"):
        network = ben2()
        with pytest.raises(ValueError, match="multiples of 128, not 128 x 160"):
            network(torch.empty(1, 3, 128, 160))

"""InSPyReNet, beside numbers measured from its authors' code (github.com/plemeria/transparent-background)."""

import pytest
import torch

from gossamer.networks.architectures.inspyrenet import inspyrenet
from tests.networks.architectures.seeded_weights import sampled, seed_weights, seeded_picture, state_digest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(one_thread):
    network = inspyrenet().eval()
    seed_weights(network)
    return network


@pytest.mark.long
def test_names_and_shapes_are_the_checkpoints(network):
    assert state_digest(network) == (1625, "9b7d126dc19a5d1417fc2d178e4db58fcdb252829b578ddd6cbc487e61e33e62")
    assert sum(weight.numel() for weight in network.parameters()) == 90721443


# The last column: logits of the full size, before the authors' sigmoid and stretch. They sum over whole pictures, so
# rounding alone moves them by 1e-4.
@pytest.mark.long
@pytest.mark.parametrize(
    ("base", "size", "mean", "deviation", "logits"),
    [
        (
            None,
            (1, 128, 128),
            -3.57340646,
            3.20204663,
            [-0.13751, 0.28759, -5.13681, 0.66457, -6.64488, -5.86982, -0.46281, -0.98088],
        ),
        (
            (384, 384),
            (2, 96, 160),
            7.00935650,
            3.94055438,
            [2.91901, 5.4631, -3.24888, 2.73987, 4.18153, 6.214, 10.15437, 3.24371],
        ),
    ],
)
def test_logits_of_the_authors(network, base, size, mean, deviation, logits):
    network.base = base
    with torch.inference_mode():
        out = network(seeded_picture(*size))
    assert out.shape == (size[0], 1, *size[1:])
    assert sampled(out) == pytest.approx(logits, abs=1e-3)
    assert out.mean().item() == pytest.approx(mean, abs=1e-3)
    assert out.std().item() == pytest.approx(deviation, abs=1e-3)


def test_other_sizes_are_refused():
    with torch.device("meta"):
        network = inspyrenet()
        with pytest.raises(ValueError, match="multiples of 32, not 96 x 100"):
            network(torch.empty(1, 3, 96, 100))

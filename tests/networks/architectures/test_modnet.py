"""MODNet, beside numbers measured from its authors' code (github.com/ZHKKKe/MODNet)."""

import pytest
import torch

from gossamer.networks.architectures.modnet import modnet
from tests.networks.architectures.seeded_weights import sampled, seed_weights, seeded_picture, state_digest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network(one_thread):
    network = modnet().eval()
    seed_weights(network)
    return network


def test_names_and_shapes_are_the_checkpoints(network):
    assert state_digest(network) == (751, "0ccc87fe76b1481f2c8ffc6c4578627f6eb6c2b3b734141a454c60ddc13d14a9")
    assert sum(weight.numel() for weight in network.parameters()) == 6487075


@pytest.mark.parametrize(
    ("size", "mean", "deviation", "mattes"),
    [
        (
            (2, 96, 160),
            0.70565706,
            0.13736662,
            [0.72468, 0.69286, 0.67282, 0.65385, 0.65322, 0.81372, 0.58533, 0.76034],
        ),
        (
            (1, 256, 256),
            0.70786756,
            0.14312659,
            [0.64637, 0.78924, 0.73806, 0.6477, 0.62226, 0.64995, 0.72667, 0.45823],
        ),
    ],
)
def test_mattes_of_the_authors(network, size, mean, deviation, mattes):
    with torch.inference_mode():
        out = network(seeded_picture(*size))
    assert out.shape == (size[0], 1, *size[1:])
    assert sampled(out) == pytest.approx(mattes, abs=1e-4)
    assert out.mean().item() == pytest.approx(mean, abs=1e-5)
    assert out.std().item() == pytest.approx(deviation, abs=1e-5)


def test_weights_can_be_given_to_an_empty_network(network):
    # Its backbone is there under two names; both must take the weights.
    with torch.device("meta"):
        empty = modnet().eval()
    empty.load_state_dict(network.state_dict(), strict=True, assign=True)
    picture = seeded_picture(1, 64, 64, seed=1)
    with torch.inference_mode():
        assert torch.equal(empty(picture), network(picture))


def test_other_sizes_are_refused():
    with torch.device("meta"):
        network = modnet()
        with pytest.raises(ValueError, match="multiples of 32, not 96 x 100"):
            network(torch.empty(1, 3, 96, 100))

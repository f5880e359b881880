"""BiRefNet, beside numbers measured from its authors' code (github.com/ZhengPeng7/BiRefNet at 25cb930)."""

import copy
import json

import pytest
import safetensors.torch
import torch

from gossamer.networks.architectures.birefnet import birefnet
from gossamer.networks.architectures.networks import plain_keys, recognise
from gossamer.networks.state_dict import load_network
from gossamer.weights.catalogue import load_catalogue
from tests.networks.architectures.seeded_weights import sampled, seed_weights, seeded_picture, state_digest

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def lite(one_thread):
    network = birefnet("swin_t").eval()
    seed_weights(network)
    return network


@pytest.fixture
def ordered(lite):
    """Set the order of the picture's patches for one test."""

    def order(patches):
        lite.decoder.patches = patches
        return lite

    yield order
    lite.decoder.patches = "rows"


# Entries and SHA-256 of the names and shapes of the authors' state dicts.
@pytest.mark.parametrize(
    ("backbone", "entries", "digest", "millions"),
    [
        ("swin_t", 586, "3720cf4953034a947f38b8f027807678a9ffc86fa2b6edc69009519ec744547d", 44.31372),
        ("swin_b", 754, "1ab3d15faa13d600c43ae71d3b71465a95f195f2749609d5cfdaf8ae0fec9bb2", 106.22879),
        ("swin_l", 754, "e1166371c29252e3d41df21e98c140d008cb771bc450d6e5e0ea40f07f5d66f7", 220.176498),
    ],
)
def test_names_and_shapes_are_the_checkpoints(backbone, entries, digest, millions):
    with torch.device("meta"):
        network = birefnet(backbone)
    assert state_digest(network) == (entries, digest)
    assert sum(weight.numel() for weight in network.parameters()) == round(millions * 1e6)


def file_size(state, half, told=True):
    """Return how many bytes a .safetensors file of a state dict has; `told`: whether it says that it is torch's."""
    kinds = {torch.float32: ("F16", 2) if half else ("F32", 4), torch.int64: ("I64", 8)}
    entries = sorted((-kinds[value.dtype][1], name, tuple(value.shape)) for name, value in state.items())
    header, end = {"__metadata__": {"format": "pt"}} if told else {}, 0
    for _, name, shape in entries:
        kind, width = kinds[state[name].dtype]
        start, end = end, end + width * state[name].numel()
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":"))
    return 8 + -(-len(text) // 8) * 8 + end


@pytest.mark.long
@pytest.mark.parametrize("half", [False, True])
def test_the_size_of_a_file_is_known_before_it_is_written(half, tmp_path):
    state = birefnet("swin_t").state_dict()
    cast = {name: value.half() if half and value.is_floating_point() else value for name, value in state.items()}
    safetensors.torch.save_file(cast, tmp_path / "w.safetensors", {"format": "pt"})
    assert (tmp_path / "w.safetensors").stat().st_size == file_size(state, half)


# Sizes that were published. Each name, shape and type is in a file's header, so that one that differed in length or
# number would show.
@pytest.mark.long
@pytest.mark.parametrize("told", [True, False])
def test_published_files_are_as_large_as_this_networks(told):
    names = "birefnet-512 birefnet-lite-matting lucida birefnet-hr birefnet-general birefnet-lite-2k toonout".split()
    checked = 0
    for name in names:
        card = load_catalogue()[name]
        backbone = {"birefnet_swin_l": "swin_l", "birefnet_swin_t": "swin_t"}[card.network]
        for file in card.weights:
            if file.runtime != "torch" or not file.exact or (name == "toonout") is told:
                continue
            with torch.device("meta"):
                state = birefnet(backbone).state_dict()
            assert file_size(state, file.precision == "float16", told) == file.bytes, file.filename
            checked += 1
    assert checked == (7 if told else 1)


@pytest.mark.long
def test_a_checkpoint_that_was_compiled_on_several_gpus_is_read(lite, tmp_path):
    """ToonOut's keys begin with module._orig_mod., which its authors strip as well."""
    torch.save({f"module._orig_mod.{key}": value for key, value in lite.state_dict().items()}, tmp_path / "toonout.pth")
    network = load_network(tmp_path / "toonout.pth", "birefnet_swin_t")
    picture = seeded_picture(1, 64, 96, seed=5)
    with torch.inference_mode():
        assert torch.equal(network(picture), lite(picture))
    with torch.device("meta"):
        large = birefnet("swin_l").state_dict()
    saved = {f"module._orig_mod.{key}": tuple(value.shape) for key, value in large.items()}
    assert recognise(saved) == "birefnet_swin_l"
    assert plain_keys(saved, "birefnet_swin_l") == {key: tuple(value.shape) for key, value in large.items()}


# Mean, standard deviation and some of the authors' logits. The old order of patches is that of their code before
# November 2024 (5198d3f), put into today's.
@pytest.mark.long
@pytest.mark.parametrize(
    ("patches", "size", "mean", "deviation", "logits"),
    [
        (
            "rows",
            (2, 96, 160),
            -0.01355817,
            0.49825289,
            [0.06917, -0.70776, 0.05886, -0.17501, 0.0117, 0.4151, -0.30284, -0.38],
        ),
        (
            "rows",
            (1, 224, 352),
            -0.04318511,
            0.50343704,
            [-0.46191, -0.83043, 0.10829, -0.28192, -0.0258, -0.65643, 0.66521, 0.5577],
        ),
        (
            "columns",
            (2, 96, 160),
            -0.01322176,
            0.4972989,
            [0.14737, -0.70963, 0.01372, -0.19959, 0.04828, 0.55682, -0.23415, -0.46472],
        ),
    ],
)
def test_logits_of_the_authors(ordered, patches, size, mean, deviation, logits):
    n, h, w = size
    with torch.inference_mode():
        out = ordered(patches)(seeded_picture(n, h, w))
    assert out.shape == (n, 1, h, w)
    assert sampled(out) == pytest.approx(logits, abs=1e-4)
    assert out.mean().item() == pytest.approx(mean, abs=1e-5)
    assert out.std().item() == pytest.approx(deviation, abs=1e-5)


@pytest.mark.long
def test_channels_last_gives_the_same(lite):
    picture = seeded_picture(1, 64, 96, seed=2)
    with torch.inference_mode():
        plain = lite(picture)
    turned = copy.deepcopy(lite).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        turned = turned(picture.to(memory_format=torch.channels_last))
    torch.testing.assert_close(turned, plain, atol=1e-4, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
def test_half_precision(lite, dtype, bound):
    picture = seeded_picture(1, 64, 64, seed=3)
    half = birefnet("swin_t").eval().to(dtype)
    half.load_state_dict(lite.state_dict())
    with torch.inference_mode():
        exact, out = lite(picture), half(picture.to(dtype))
    assert out.dtype == dtype
    assert (out.float() - exact).abs().max() < bound


@pytest.mark.long
def test_weights_can_be_given_to_an_empty_network(lite):
    # Loading 220 million weights into a network that has none yet saves as many.
    with torch.device("meta"):
        network = birefnet("swin_t").eval()
    network.load_state_dict(lite.state_dict(), strict=True, assign=True)
    picture = seeded_picture(1, 32, 64, seed=4)
    with torch.inference_mode():
        assert torch.equal(network(picture), lite(picture))


def test_other_sizes_are_refused():
    with torch.device("meta"):
        network = birefnet("swin_t").eval()
        with pytest.raises(ValueError, match="multiples of 32, not 100 x 64"):
            network(torch.empty(1, 3, 100, 64))

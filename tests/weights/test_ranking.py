"""Which models are meant by a quality, a device and a subject."""

from __future__ import annotations

import pytest

from gossamer.errors import InputError, MissingExtra
from gossamer.weights import inventory as weights
from gossamer.weights.catalogue import model_card
from gossamer.weights.choice import ranking
from gossamer.weights.inventory import require_usable, usable


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let torch be installed, or not."""
    monkeypatch.setattr(weights, "torch_is_here", lambda: request.param)


@pytest.mark.parametrize(
    ("torch", "device", "quality", "subject", "first", "second"),
    [
        (True, "cpu", "fast", "any", "u2netp", None),
        (True, "cpu", "balanced", "any", "isnet-general-use", "u2net"),
        (True, "cpu", "best", "any", "birefnet-general", "birefnet-general-lite"),
        (True, "cuda", "fast", "any", "isnet-general-use", "u2net"),
        (True, "cuda", "balanced", "any", "birefnet-general", "birefnet-general-lite"),
        (True, "cuda:1", "best", "any", "birefnet-hr", "birefnet-general"),
        # Without torch, what ONNX Runtime can run.
        (False, "cpu", "best", "any", "birefnet-general", "birefnet-general-lite"),
        (False, "cuda", "best", "any", "birefnet-general", "birefnet-general-lite"),
        # What is made for the subject comes before what is good in general.
        (True, "cuda", "best", "hair", "birefnet-hr-matting", "birefnet-matting"),
        (True, "cuda", "balanced", "hair", "birefnet-matting", "birefnet-portrait"),
        (True, "cpu", "fast", "hair", "modnet-photographic", "u2netp"),
        (True, "cpu", "balanced", "portrait", "modnet-photographic", "u2net-human-seg"),
        (True, "cpu", "best", "portrait", "birefnet-portrait", "modnet-photographic"),
        (True, "cuda", "best", "portrait", "birefnet-portrait", "modnet-photographic"),
        (True, "cpu", "balanced", "anime", "isnet-anime", "isnet-general-use"),
        (True, "cpu", "fast", "anime", "u2netp", None),
        (True, "cuda", "balanced", "camouflaged", "birefnet-cod", "birefnet-general"),
        (False, "cuda", "best", "hair", "birefnet-matting", "birefnet-portrait"),
    ],
    indirect=["torch"],
)
def test_the_table(torch: None, device: str, quality: str, subject: str, first: str, second: str | None) -> None:
    fitting = [card.id for card in ranking(quality, subject, device).fitting]  # type: ignore[arg-type]
    assert fitting[:2] == [first, second] if second else fitting == [first]


@pytest.mark.parametrize("torch", [True], indirect=True)
def test_what_costs_more_follows_the_cheapest_first(torch: None) -> None:
    ranked = ranking("fast", "any", "cpu")
    assert [card.id for card in ranked.costlier] == [
        "isnet-general-use", "u2net", "birefnet-general-lite", "birefnet-general", "birefnet-hr",
    ]  # fmt: skip
    assert ranked.purpose == "fast quality on a CPU"
    assert ranking("best", "hair", "cuda").purpose == "best quality on a GPU for hair"


def test_what_there_is_not_is_said() -> None:
    with pytest.raises(InputError, match=r"no quality 'good'.*fast, balanced, best"):
        ranking("good")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"no subject 'cars'.*portrait, hair"):
        ranking("best", "cars")


@pytest.mark.parametrize("torch", [True], indirect=True)
def test_files_for_torch_come_first_where_torch_is(torch: None) -> None:
    def names(model: str, runtime: str = "auto") -> list[str]:
        return [variant.filename for variant in usable(model_card(model), runtime)]  # type: ignore[arg-type]

    assert names("birefnet-general-lite") == ["birefnet-general-lite.safetensors", "birefnet-general-lite.onnx"]
    assert names("birefnet-general-lite", "onnx") == ["birefnet-general-lite.onnx"]
    assert names("birefnet-general-lite", "torch") == ["birefnet-general-lite.safetensors"]
    assert names("u2netp", "torch") == ["u2netp.onnx"]  # its initialisers are its state dict
    with pytest.raises(InputError, match="Silueta runs in ONNX Runtime only"):
        require_usable(model_card("silueta"), "torch")
    with pytest.raises(InputError, match="BiRefNet HR is not published for ONNX Runtime"):
        require_usable(model_card("birefnet-hr"), "onnx")


@pytest.mark.parametrize("torch", [False], indirect=True)
def test_without_torch_only_onnx_is_usable(torch: None) -> None:
    lite = model_card("birefnet-general-lite")
    assert [variant.filename for variant in usable(lite)] == ["birefnet-general-lite.onnx"]
    assert [variant.filename for variant in usable(lite, "any")] == [
        "birefnet-general-lite.onnx",
        "birefnet-general-lite.safetensors",
    ]
    for runtime in ("auto", "torch"):
        with pytest.raises(MissingExtra, match=r"Running BiRefNet HR in torch .*pip install 'gossamer\[torch\]'"):
            require_usable(model_card("birefnet-hr"), runtime)  # type: ignore[arg-type]
    assert ranking("best", "any", "cuda", "torch").fitting == ()

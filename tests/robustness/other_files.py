"""Small files of every kind beside pictures, and arrays, with ways to spoil them: `fuzz_images.py --of files`."""

from __future__ import annotations

import io
import json
import tempfile
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from mutations import cut, flip_bits, png_edit, set_number, splice
from PIL import Image

SHAPE = (12, 17)
NASTY = (
    *(
        "0",
        "-1",
        "1e999",
        "-1e-999",
        "0.5",
        "255",
        "65536",
        "9223372036854775808",
        "1" * 5000,
        "NaN",
        "nan",
        "-Infinity",
    ),
    *("null", "true", "1979-05-27", "[]", "{}", "[[]]", "[1, 2, 3, 4]", "[" * 3000, '{"a":' * 3000),
    *('""', '"x"', '"' + "é" * 300 + '"', '"\\u0000"', '"\\ud800"', '"../../x"', '"/"', '"~root"', '"\\u001b[31m"'),
    *("'", '"', "\ufeff", "\x00", "\r"),
)
_ANY = (flip_bits, set_number, cut, splice)
RECIPE = {
    "matting": {"method": "closed_form"},
    "foreground": {"method": "none"},
    "background": {"fill": "#aabbcc"},
}
PROMPT = {"text": ["the cat"], "boxes": [[1, 2, 9, 8]], "points": [[3.5, 4]]}
ROWS = [{"source": "a.png", "name": "one", "recipe": {"matting": {"method": "none"}}, "prompt": "the cat"}] * 2


def seeds() -> dict[str, bytes]:
    """Return files by names whose first word says what reads them; those of arrays hold the state of a generator."""
    mask = np.zeros((*SHAPE, 4), np.uint8)
    mask[3:9, 4:12] = 255
    mask[..., 3] = 255
    grey = Image.fromarray(mask[..., 0])
    masks = {"grey": grey, "one": grey.convert("1"), "rgba": Image.fromarray(mask), "palette": grey.convert("P")}
    found = {f"mask-{name}.png": _png(picture) for name, picture in masks.items()}
    found["recipe-json.json"] = json.dumps(RECIPE).encode()
    found["recipe-toml.toml"] = _toml(RECIPE).encode()
    found["prompt-json.json"] = json.dumps(PROMPT).encode()
    found["manifest-csv.csv"] = b'source,name,recipe,prompt\na.png,one,,the cat\n"b,b.png",two,{},\n'
    found["manifest-tsv.tsv"] = b"source\tname\tsku\na.png\tone\t7\nb.png\ttwo\t8\n"
    found["manifest-lines.jsonl"] = "\n".join(map(json.dumps, ROWS)).encode()
    found["manifest-json.json"] = json.dumps(ROWS).encode()
    found |= _weights()
    found["array-mask"] = found["array-picture"] = found["array-both"] = b"0123456789abcdef"
    return found


def _png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _toml(tables: dict[str, dict[str, Any]]) -> str:
    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    assert tomllib.loads(text) == tables
    return text


def _weights() -> dict[str, bytes]:
    """Return a network of one layer in each format."""
    import onnx
    import torch
    from onnx import TensorProto, helper
    from safetensors.torch import save

    state = {"layer.weight": torch.arange(3.0).reshape(1, 3, 1, 1), "layer.bias": torch.zeros(1)}
    pth, old = io.BytesIO(), io.BytesIO()
    torch.save({"state_dict": state}, pth)
    torch.save(state, old, _use_new_zipfile_serialization=False)
    size = [1, 3, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["in", "layer.weight", "layer.bias"], ["out"])],
        "one",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, "h", "w"])],
        [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in state.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return {
        "weights-onnx.onnx": model.SerializeToString(),
        "weights-safetensors.safetensors": save(state),
        "weights-zip.pth": pth.getvalue(),
        "weights-old.pth": old.getvalue(),
    }


def mutate(name: str, data: bytes, random: Random) -> bytes:
    """Spoil a seed by one to three mutations."""
    kind = name.partition("-")[0]
    if kind == "array":
        return random.randbytes(16)
    if kind == "mask":
        return (png_edit if random.random() < 0.6 else random.choice(_ANY))(data, random)
    for _ in range(random.choice((1, 1, 2, 3))):
        if kind != "weights" and random.random() < 0.8:
            data = _words(data, random)
        else:
            data = random.choice(_ANY)(data, random)
        if len(data) < 16:
            break
    return data


def _words(data: bytes, random: Random) -> bytes:
    """Put something nasty in the place of a word or a sign, before it, or take it away."""
    at = random.randrange(len(data))
    end = at + random.choice((0, 1, 1, 4, 9, 20))
    put = random.choice(NASTY).encode("utf-8", "surrogatepass") if random.random() < 0.8 else b""
    return data[:at] + put + data[end:]


def read(name: str, data: bytes) -> None:
    """Read a file of a seed's kind; raises what the reading raises."""
    import gossamer
    from gossamer.batch.manifest import read_manifest
    from gossamer.image.masks import read_mask
    from gossamer.networks.onnx_network import OnnxNetwork
    from gossamer.networks.state_dict import read_state_dict, recognise_file
    from gossamer.progress import Progress

    kind, _, rest = name.partition("-")
    if kind == "mask":
        mask = np.asarray(read_mask(data, SHAPE).plane)
        assert mask.shape == SHAPE, "the mask's size"
        assert 0 <= mask.min() <= mask.max() <= 1, "the mask's numbers"
        return
    if kind == "array":
        _arrays(rest, Random(data))  # noqa: S311
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / rest
        path.write_bytes(data)
        if kind == "recipe":
            gossamer.Recipe.load(path)
        elif kind == "prompt":
            gossamer.Prompt.from_json(data)
        elif kind == "manifest":
            read_manifest(str(path))
        else:
            recognise_file(path)
            read_state_dict(path)
            if path.suffix == ".onnx":
                OnnxNetwork(path).run(np.zeros((1, 3, 4, 5), np.float32), Progress.of(None))


def _arrays(what: str, random: Random) -> None:
    """Refine a picture by a mask, of which one or both are arrays of any kind."""
    import gossamer

    picture, mask = np.full((*SHAPE, 3), 90, np.uint8), np.zeros(SHAPE, np.uint8)
    mask[3:9, 4:12] = 255
    given: Any = _array(random, (*SHAPE, 3)) if what != "mask" else picture
    marked: Any = _array(random, SHAPE) if what != "picture" else mask
    done = gossamer.refine(given, marked, gossamer.Recipe.model_validate({"matting": {"method": "none"}}))
    assert np.isfinite(done.alpha).all(), "alpha that is no number"
    assert 0 <= done.alpha.min() <= done.alpha.max() <= 1, "alpha beyond 0 to 1"


def _array(random: Random, shape: tuple[int, ...]) -> Any:
    """Return an array of a likely or unlikely kind, shape and range."""
    made = np.random.default_rng(random.getrandbits(32))
    if random.random() < 0.3:
        shape = random.choice(
            ((*SHAPE, 1), (*SHAPE, 2), (*SHAPE, 4), (1, *SHAPE), (3, *SHAPE), (0, 5), (5,), (), (1, 1))
        )
    values = made.random(shape) * random.choice((1, 1, 1.0000001, 1.02, 1.5, 255, 65535, 1e30)) - random.choice(
        (0, 0, 0.01, 1)
    )
    if random.random() < 0.15 and values.size:
        values.reshape(-1)[0] = random.choice((np.nan, np.inf, -np.inf))
    kinds = (
        "u1",
        "u2",
        "i4",
        "i8",
        "f2",
        "f4",
        "f8",
        "f4",
        "f8",
        "?",
        "c8",
        "O",
        "U3",
        "M8[s]",
        ">f4",
        ">u2",
        "u8",
        "V4",
    )
    with np.errstate(all="ignore"):
        try:
            array = np.asarray(values).astype(random.choice(kinds))
        except (TypeError, ValueError):
            array = np.asarray(values)
    return random.choice(
        (
            lambda: array,
            lambda: array,
            lambda: np.asfortranarray(array),
            lambda: array[::-1] if array.ndim else array,
            lambda: np.ma.masked_array(array),
            lambda: array.tolist(),
            lambda: memoryview(np.ascontiguousarray(array)) if array.dtype.kind in "uif" else array,
        )
    )()

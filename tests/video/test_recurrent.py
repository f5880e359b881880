from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import gossamer
from gossamer.errors import Cancelled, DeviceError, InputError, LicenceError, ModelError, ModelNotFound
from gossamer.networks.recurrence import Recurrence
from gossamer.networks.recurrent_onnx import RecurrentOnnx
from gossamer.networks.recurrent_torch import RecurrentTorch
from gossamer.progress import Progress
from gossamer.settings.video import Video
from gossamer.video import cut_video, open_source
from gossamer.video.clip import Frame
from gossamer.video.matters import load_matter
from gossamer.weights import licences
from gossamer.weights.catalogue import load_catalogue, model_card, video_cards
from tests.cached_weights import video_weights
from tests.video.clips import make_clip


@pytest.fixture(scope="module")
def person() -> np.ndarray:
    """Return a photograph of a person, (512, 512, 3) uint8."""
    skimage_data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(skimage_data.astronaut())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "home" / "models").mkdir(parents=True)
    shutil.copy(video_weights(), tmp_path / "home" / "models")
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def moving(picture: np.ndarray, count: int, width: int, height: int) -> list[np.ndarray]:
    """Return frames of a picture that drifts, (H, W, 3) float32."""
    frames = []
    for number in range(count):
        move = np.array([[1, 0, 3.0 * np.sin(number)], [0, 1, 0.7 * number]], np.float32)
        moved = cv2.warpAffine(picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        small = cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA)
        frames.append(small.astype(np.float32) / 255)
    return frames


SIZES = [(128, 96, 1.0), (181, 147, 0.5), (211, 163, 0.375), (97, 75, 0.9)]


@pytest.mark.long
@pytest.mark.parametrize(("width", "height", "ratio"), SIZES)
def test_our_network_is_the_published_graph_over_thirty_frames(
    person: np.ndarray, width: int, height: int, ratio: float
) -> None:
    ours, theirs = RecurrentTorch(video_weights(), "cpu"), RecurrentOnnx(video_weights(), "cpu")
    first, second = Recurrence(), Recurrence()
    for frame in moving(person, 30, width, height):
        alpha, first = ours.run(frame, first, ratio, Progress())
        wanted, second = theirs.run(frame, second, ratio, Progress())
        assert np.abs(alpha - wanted).max() < 1e-4
    assert all(np.abs(a - b).max() < 2e-4 for a, b in zip(first.states, second.states, strict=True))


@pytest.mark.long
@pytest.mark.parametrize(("width", "height", "ratio"), SIZES)
def test_its_colours_are_the_published_graphs(person: np.ndarray, width: int, height: int, ratio: float) -> None:
    """Nothing here takes them; training does."""
    torch, onnxruntime = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    (module,) = RecurrentTorch(video_weights(), "cpu").modules
    session = onnxruntime.InferenceSession(str(video_weights()), providers=["CPUExecutionProvider"])
    first = [None] * 4
    second = [np.zeros((1, 1, 1, 1), np.float32)] * 4
    for frame in moving(person, 30, width, height):
        planes = np.ascontiguousarray(frame.transpose(2, 0, 1)[None])
        with torch.inference_mode():
            colours, _, first = module(torch.from_numpy(planes), first, ratio)
        feeds = {f"r{number}i": one for number, one in enumerate(second, 1)}
        feeds |= {"src": planes, "downsample_ratio": np.array([ratio], np.float32)}
        wanted, _, *second = session.run(None, feeds)
        assert np.abs(colours.numpy() - wanted).max() < 1e-4


@pytest.mark.long
def test_it_finds_the_person_and_remembers(person: np.ndarray) -> None:
    network = RecurrentOnnx(video_weights(), "cpu")
    frames = moving(person, 6, 256, 256)
    remembered = Recurrence()
    for frame in frames:
        alpha, remembered = network.run(frame, remembered, 1.0, Progress())
    assert alpha[60:110, 90:120].mean() > 0.95  # her face
    assert alpha[:60, 200:].mean() < 0.1  # the shuttle's upper corner
    afresh, _ = network.run(frames[-1], Recurrence(), 1.0, Progress())
    assert np.abs(afresh - alpha).max() > 0.01
    # What is remembered of frames of another size is not used.
    small = moving(person, 1, 128, 128)[0]
    one, _ = network.run(small, remembered, 1.0, Progress())
    other, _ = network.run(small, Recurrence(), 1.0, Progress())
    assert np.array_equal(one, other)


@pytest.mark.parametrize("kind", [RecurrentOnnx, RecurrentTorch])
def test_a_run_can_be_stopped_and_an_unloaded_network_says_so(kind: type, person: np.ndarray) -> None:
    network = kind(video_weights(), "cpu")

    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        network.run(moving(person, 1, 1280, 1280)[0], Recurrence(), 1.0, Progress(stop))
    network.unload()
    with pytest.raises(ModelError, match="unloaded"):
        network.run(moving(person, 1, 64, 64)[0], Recurrence(), 1.0, Progress())


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError):
        RecurrentOnnx(tmp_path / "a.onnx", "cpu")
    with pytest.raises(ModelError):
        RecurrentTorch(tmp_path / "a.onnx", "cpu")


def test_the_licence_is_accepted_once_and_never_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSAMER_HOME", str(tmp_path))
    monkeypatch.setenv("U2NET_HOME", str(tmp_path / "nowhere"))
    card = model_card("rvm-mobilenetv3")
    assert (card.licence, card.rank, card.id in load_catalogue(), card.id in video_cards()) == (
        "GPL-3.0",
        None,
        False,
        True,
    )
    assert not licences.is_accepted(card)
    with pytest.raises(LicenceError, match=r"has the licence GPL-3\.0: whoever passes its weights on") as told:
        licences.require(card)
    assert "--accept-licence" in told.value.remedy
    make_clip(tmp_path / "in.mkv", 2)
    with pytest.raises(LicenceError):
        cut_video(tmp_path / "in.mkv", tmp_path / "out.mov", choice="rvm-mobilenetv3")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".mov", ".parts")) == []
    licences.accept(card)
    assert licences.is_accepted(card)


@pytest.mark.usefixtures("home")
def test_a_picture_alone_is_not_for_it(person: np.ndarray) -> None:
    with pytest.raises(ModelNotFound, match="is a model for clips") as told:
        gossamer.remove_background(person, model="rvm-mobilenetv3")
    assert "gossamer video" in told.value.remedy
    half = gossamer.ModelChoice(model="rvm-mobilenetv3", precision="float16")
    with pytest.raises(DeviceError, match="runs in float32"):
        load_matter(half, gossamer.Recipe(), Video(), Progress(), None)
    sized = gossamer.Recipe.of({"segmentation": {"resolution": 512}})
    with pytest.raises(InputError, match="sees frames smaller by the working ratio"):
        load_matter(gossamer.ModelChoice(model="rvm-mobilenetv3"), sized, Video(), Progress(), None)


def write_person(path: Path, person: np.ndarray, count: int) -> None:
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "bgr0"
        for number, picture in enumerate(moving(person, count, 128, 128)):
            pixels = (picture * 255 + 0.5).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts = number
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)


@pytest.mark.long
@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_memory_is_written_down_with_each_segment(person: np.ndarray, tmp_path: Path, runtime: str) -> None:
    """A run that was ended goes on with what its network remembered."""
    write_person(tmp_path / "in.mkv", person, 60)
    choice = gossamer.ModelChoice(model="rvm-mobilenetv3", runtime=runtime)
    report = cut_video(tmp_path / "in.mkv", tmp_path / "whole.mkv", None, None, choice)
    assert report.model == "rvm-mobilenetv3"
    assert any("GPL-3.0" in warning for warning in report.warnings)

    def stop(fraction: float, message: str) -> None:
        if message.startswith("Frame 55 "):
            raise Cancelled

    with pytest.raises(Cancelled):
        cut_video(tmp_path / "in.mkv", tmp_path / "out.mkv", None, None, choice, progress=stop)
    report = cut_video(tmp_path / "in.mkv", tmp_path / "out.mkv", None, None, choice, resume=True)
    assert report.resumed == 48
    with open_source(tmp_path / "whole.mkv") as one, open_source(tmp_path / "out.mkv") as other:
        pairs = list(zip(one.frames(), other.frames(), strict=True))
    assert len(pairs) == 60
    assert all(np.array_equal(a.alpha, b.alpha) and np.array_equal(a.pixels, b.pixels) for a, b in pairs)


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_the_first_frame_is_as_sure_as_the_next_ones(person: np.ndarray) -> None:
    """A picture that stands still has a matte that does."""
    matter = load_matter(gossamer.ModelChoice(model="rvm-mobilenetv3"), gossamer.Recipe(), Video(), Progress(), None)
    frame = Frame(0, Fraction(0), np.ascontiguousarray(person[::2, ::2]))
    first = matter.matte(frame, Recurrence(), Progress())
    later = first
    for _ in range(5):
        later = matter.matte(frame, later.remembered, Progress())
    alone = RecurrentOnnx(video_weights(), "cpu")
    cold, _ = alone.run(frame.pixels, Recurrence(), 1.0, Progress())
    assert np.abs(first.alpha - later.alpha).mean() < 0.5 * np.abs(cold - later.alpha).mean()


@pytest.mark.long
def test_resnet50_is_its_authors_network() -> None:
    """The numbers are what their code gave for the same seeded weights and noise, after two frames."""
    torch = pytest.importorskip("torch")
    from gossamer.networks.architectures.rvm import rvm_resnet50
    from tests.networks.architectures.seeded_weights import seed_weights

    network = rvm_resnet50().eval().requires_grad_(False)
    seed_weights(network)
    rng, states = np.random.default_rng(7), [None] * 4
    with torch.inference_mode():
        for _ in range(2):
            frame = torch.from_numpy(rng.uniform(0, 1, (1, 3, 75, 101)).astype(np.float32))
            colours, alpha, states = network(frame, states, 0.5)
    found = {(0, 0): 0.019407, (74, 100): 0.809041, (37, 50): 0.547767, (20, 80): 1.0}
    assert all(abs(float(colours[0, 1, y, x]) - value) < 1e-5 for (y, x), value in found.items())
    assert alpha.shape == (1, 1, 75, 101)
    spreads = [float(state.std(unbiased=False)) for state in states]  # type: ignore[attr-defined]
    assert np.allclose(spreads, [0.100746, 0.176548, 0.162634, 0.113691], atol=1e-5)


def test_resnet50_is_in_the_catalogue_with_its_licence() -> None:
    card = model_card("rvm-resnet50")
    assert (card.licence, card.network, card.weights[0].bytes) == ("GPL-3.0", "rvm_resnet50", 107479165)
    assert not model_card("bimatting").weights

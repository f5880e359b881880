"""Cut-outs from anywhere to files: backgrounds, colours, sharpening, metadata, size in kB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data
from PIL import ImageCms

import gossamer
from gossamer.canvas import Box, finish_cutout, preset
from gossamer.canvas.face import chin_by_eyes
from gossamer.canvas.head import head_box
from gossamer.canvas.straight import looks_premultiplied
from gossamer.compositing import is_opaque, read_backdrop
from gossamer.errors import InputError, OutputError
from gossamer.gradients import read_gradient
from gossamer.image import Image, read_image
from gossamer.image.metadata import Metadata, digital_source_type, kept_metadata
from gossamer.lengths import read_span
from gossamer.settings import Recipe
from gossamer.settings.recipe import Background
from tests.canvas.bodies import disc, picture, rectangle

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" tiff:Orientation="6">'
    f"<Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType><dc:format>image/jpeg</dc:format>"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()


def refined(source: object, alpha: np.ndarray, **stages: dict[str, object]) -> gossamer.Cutout:
    """Return what the pipeline makes of a mask, nothing of it changed."""
    recipe = {"matting": {"method": "none"}, "foreground": {"method": "none"}, **stages}
    return gossamer.refine(source, alpha, Recipe.of(recipe))


# -- backgrounds -------------------------------------------------------------------------------------------


def test_a_gradient_meets_its_colours() -> None:
    painted = read_backdrop(Background(fill="gradient: #ff0000, rgb(0, 255, 0), blue")).behind(np.zeros((101, 3, 3)))
    assert painted is not None
    assert painted[[0, 25, 50, 100], 1].tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]
    radial = read_backdrop(Background(fill="radial:white,#000")).behind(np.zeros((101, 201, 3)))
    assert radial is not None
    assert radial[50, 100].tolist() == [1, 1, 1]
    assert np.abs(radial[[0, 0, -1, -1], [0, -1, 0, -1]]).max() < 1e-6
    assert radial[50, 200, 0] == pytest.approx(1 - 0.5**0.5, abs=1e-5)
    assert is_opaque("gradient:#fff,#ddd")
    for wrong in ("gradient:#fff", "gradient:#fff,#ddd8", "radial:", "gradient:a,b"):
        with pytest.raises(InputError, match=r"gradient:TOP,BOTTOM"):
            Recipe.of({"background": {"fill": wrong}})
    assert read_gradient("sky.png") is None


def test_a_blurred_background_is_cropped_with_the_subject() -> None:
    rng = np.random.default_rng(0)
    behind = np.repeat(rng.random((1, 300, 3), np.float32), 200, axis=0)
    alpha = rectangle(200, 300, 60, 80, 80, 100)
    stages = {"background": {"fill": "blur"}}
    whole = refined(behind, alpha, **stages)
    crop = refined(behind, alpha, **stages, canvas={"margin": "20px"})
    assert whole.composite is not None
    assert crop.composite is not None
    assert np.array_equal(crop.composite, whole.composite[40:160, 60:200])


def test_the_pipeline_and_a_cut_out_of_its_own_come_to_the_same() -> None:
    photograph = skimage.data.chelsea()
    alpha = disc(300, 451, 120, 8)
    stages: dict[str, dict[str, object]] = {
        "canvas": {"size": "200x240", "margin": "10%"},
        "shadow": {"kind": "drop"},
        "background": {"fill": "gradient:#fff,#ccc"},
    }
    at_once = refined(photograph, alpha, **stages)
    later = finish_cutout(refined(photograph, alpha), Recipe.of(stages))
    assert at_once.composite is not None
    assert later.composite is not None
    assert np.array_equal(at_once.composite, later.composite)
    assert np.array_equal(at_once.alpha, later.alpha)
    assert at_once.alpha.shape == (240, 200)


def test_defaults_change_nothing() -> None:
    photograph, alpha = skimage.data.chelsea(), disc(300, 451, 120, 8)
    cutout = refined(photograph, alpha)
    assert cutout.composite is None
    assert np.array_equal(cutout.pixels, photograph)
    assert np.array_equal(cutout.alpha, alpha)
    assert "canvas" not in cutout.report.seconds
    again = finish_cutout(cutout)
    assert np.array_equal(again.pixels, photograph)
    assert np.array_equal(again.alpha, alpha)


def test_sharpening_doubles_fine_detail_and_leaves_flat_colours_and_the_edge() -> None:
    wave = 0.5 + 0.1 * np.sin(2 * np.pi * np.arange(400) / 16)[None, :].repeat(400, 0)  # of 8 pixels after scaling
    pixels = np.dstack([wave, np.full((400, 400), 0.4), np.full((400, 400), 0.6)]).astype(np.float32)
    source = Image(pixels, disc(400, 400, 150))
    plain, sharp = (
        finish_cutout(source, Recipe.of({"canvas": {"crop": "frame", "size": "200", "sharpen": amount}}))
        for amount in (0, 100)
    )
    assert np.array_equal(plain.alpha, sharp.alpha)
    inside = plain.alpha == 1
    assert np.abs(sharp.foreground - plain.foreground)[inside][:, 1:].max() < 1e-5
    middle = np.s_[100, 60:140, 0]
    gain = np.ptp(sharp.foreground[middle]) / np.ptp(plain.foreground[middle])
    # What a Gaussian of 0.8 pixels leaves of it, exp(-2 (pi 0.8 / 8)^2), is taken off once more.
    assert gain == pytest.approx(2 - np.exp(-2 * (np.pi * 0.8 / 8) ** 2), abs=0.02)


# -- cut-outs from elsewhere ---------------------------------------------------------------------------------


def cutout_of(colour: tuple[float, float, float], *, premultiplied: bool, hidden: float = 0.0) -> np.ndarray:
    alpha = disc(120, 160, 40, 8)
    rgb = np.where(alpha[..., None] > 0, np.float32(colour), np.float32(hidden))
    if premultiplied:
        rgb = rgb * alpha[..., None]
    return np.round(255 * np.dstack([rgb, alpha])).astype(np.uint8)


@pytest.mark.parametrize("colour", [(0.9, 0.8, 0.7), (1, 1, 1), (0.5, 0.2, 0.2)])
def test_premultiplied_colours_are_noticed_and_divided(colour: tuple[float, float, float]) -> None:
    straight, multiplied = (finish_cutout(cutout_of(colour, premultiplied=each)) for each in (False, True))
    assert straight.report.warnings == ()
    assert any("look multiplied by its alpha" in told for told in multiplied.report.warnings)
    clear = multiplied.alpha > 0.2
    assert np.abs(multiplied.foreground[clear] - np.float32(colour)).max() < 0.016
    as_it_is = finish_cutout(cutout_of(colour, premultiplied=True), colours="straight")
    assert as_it_is.report.warnings == ()
    forced = finish_cutout(cutout_of(colour, premultiplied=True), colours="premultiplied")
    assert np.array_equal(forced.foreground, multiplied.foreground)


def test_dark_and_hard_cut_outs_are_not_suspected() -> None:
    for source in (
        cutout_of((0.02, 0.02, 0.03), premultiplied=False),
        np.dstack([np.full((50, 50, 3), 255, np.uint8), (255 * rectangle(50, 50, 10, 10, 20, 20)).astype(np.uint8)]),
    ):
        read = read_image(source)
        assert not looks_premultiplied(read.pixels, np.asarray(read.alpha))


def test_what_is_no_cut_out_is_refused() -> None:
    for source in (skimage.data.chelsea(), np.dstack([skimage.data.chelsea(), np.full((300, 451), 255, np.uint8)])):
        with pytest.raises(InputError, match="no transparency"):
            finish_cutout(source)
    with pytest.raises(InputError, match="blurred"):
        finish_cutout(picture(disc(50, 50, 20)), Recipe.of({"background": {"fill": "blur"}}))
    with pytest.raises(InputError, match="way that colours lie"):
        finish_cutout(picture(disc(50, 50, 20)), colours="odd")  # type: ignore[arg-type]


# -- heads ---------------------------------------------------------------------------------------------------


def bust(head: float, hair: bool = False) -> np.ndarray:
    """Return a head as wide as told and 1.4 times as high, its crown at 40, on a neck that is narrowest below it."""
    y, x = np.mgrid[:400, :400].astype(float)
    x -= 199.5
    chin = 40 + 1.4 * head
    middle, half = (40 + chin) / 2, (chin - 40) / 2
    skull = (x / (head / 2)) ** 2 + ((y - middle) / half) ** 2 <= 1
    below = y - chin - 0.1 * head
    throat = np.abs(x) < 0.3 * head + np.maximum(below, 0) ** 2 / head - 0.3 * np.minimum(below, 0)
    throat &= (y > chin - 0.15 * head) & (y < chin + 40)
    body = (np.abs(x) < np.clip(0.3 * head + 4 * (y - chin - 0.3 * head), 0, 120)) & (y > chin + 0.3 * head)
    long = hair & (np.abs(x) < head * 0.55) & (y > middle) & (y < chin + 60)
    return (skull | throat | body | long).astype(np.float32)


def test_a_head_is_found_by_its_outline() -> None:
    for head in (60, 100, 140):
        box = head_box(bust(head))
        assert box.top == pytest.approx(40, abs=0.06 * head)
        assert box.bottom == pytest.approx(40 + 1.4 * head, abs=0.1 * head)
        assert (box.left + box.right) / 2 == pytest.approx(200, abs=2)
    covered = head_box(bust(100, hair=True))
    assert covered.bottom == pytest.approx(180, abs=24)
    told = head_box(bust(100), read_span("10% 45%"))
    assert (told.top, told.bottom) == (40, 180)


def test_the_chin_of_a_face_is_found_by_its_eyes() -> None:
    face = skimage.data.astronaut()  # crown about row 16, chin at 178
    large = face.repeat(4, 0).repeat(4, 1)
    for height, photo in ((190, face), (150, face), (180, np.float32(face) / 255), (170, large)):
        scale = len(photo) / 512
        chin = chin_by_eyes(photo, Box(150 * scale, 16 * scale, 300 * scale, (16 + height) * scale))
        assert chin is not None
        assert chin / scale == pytest.approx(178, abs=5)  # 3 % of the head's height
    for other in (skimage.data.chelsea(), skimage.data.coffee(), np.zeros((300, 400, 3), np.uint8)):
        assert chin_by_eyes(other, Box(100, 10, 300, 200)) is None
    y, x = np.mgrid[:512, :512]
    person = (np.hypot((x - 224) / 74, (y - 97) / 81) < 1) | (np.hypot((x - 224) / 250, (y - 520) / 330) < 1)
    cutout = finish_cutout(np.dstack([face, 255 * person]).astype(np.uint8), preset("passport").recipe())
    assert any("the chin by the eyes" in told for told in cutout.report.warnings)


def test_a_passport_photograph_has_its_head_height() -> None:
    alpha = np.pad(bust(100), ((20, 0), (0, 0)))
    recipe = {"crop": "head", "size": "350x450", "fill": 75, "head": "60px 200px", "too_small": "enlarge"}
    cutout = finish_cutout(picture(alpha), Recipe.of({"canvas": recipe}))
    assert cutout.alpha.shape == (450, 350)
    first = int(np.flatnonzero(cutout.alpha.max(1) > 0.5)[0])
    assert first == pytest.approx((450 - 0.75 * 450) / 2, abs=3)
    assert cutout.alpha[-1].max() == 1
    with pytest.raises(InputError, match="too little of the person at the bottom"):
        finish_cutout(picture(alpha[:222]), Recipe.of({"canvas": recipe}))
    with pytest.raises(InputError, match="No head can be made out"):
        finish_cutout(picture(rectangle(300, 300, 50, 50, 200, 200)), Recipe.of({"canvas": {"crop": "head"}}))


# -- files ---------------------------------------------------------------------------------------------------


def photograph(path: Path, **options: object) -> Path:
    PIL.Image.fromarray(skimage.data.chelsea()).save(path, **options)  # type: ignore[arg-type]
    return path


def written(cutout: gossamer.Cutout, format: str = "jpeg") -> PIL.Image.Image:
    return PIL.Image.open(io.BytesIO(cutout.encode(format)))


def full_exif() -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x0131], exif[0x8298] = "Maker", 6, "Camera 1.0", "Somebody"
    exif.get_ifd(0x8769).update({0xA002: 4000, 0xA003: 3000, 0x829A: 0.01, 0xA001: 65535})
    return exif


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("kept", ["strip", "keep"])
def test_metadata_goes_where_it_is_wanted_and_the_source_type_always(tmp_path: Path, format: str, kept: str) -> None:
    source = photograph(tmp_path / "a.jpg", exif=full_exif(), xmp=XMP)
    cutout = refined(source, disc(451, 300, 100), background={"fill": "white"}, output={"metadata": kept})
    data = cutout.encode(format)
    again = read_image(data)
    assert again.metadata is not None
    assert digital_source_type(again.metadata.xmp) == AI
    assert again.rgb.shape == (451, 300, 3)  # upright, and not turned twice
    exif = PIL.Image.open(io.BytesIO(data)).getexif()
    assert exif.get(0x0131, "Gossamer") == "Gossamer"
    if format != "tiff":  # which has tags of its own
        assert exif.get(0x8298) == ("Somebody" if kept == "keep" else None)
        assert exif.get(0x0112, 1) == 1
        inner = exif.get_ifd(0x8769)
        assert (0x829A in inner) == (kept == "keep")
        assert 0xA002 not in inner
    assert (b"image/jpeg" in (again.metadata.xmp or b"")) == (kept == "keep")


@pytest.mark.parametrize(
    "packet",
    [
        f'<x a:DigitalSourceType="{AI}"/>',
        f"<x DigitalSourceType = '{AI}' />",
        f"<Iptc4xmpExt:DigitalSourceType> {AI} </Iptc4xmpExt:DigitalSourceType>",
        f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{AI}"/>',
    ],
)
def test_the_source_type_is_found_however_it_is_written(packet: str) -> None:
    assert digital_source_type(packet.encode()) == AI


def test_hostile_packets_take_no_time() -> None:
    for piece in (b"<x:xmpmeta ", b"<a:DigitalSourceType ", b"DigitalSourceType=  ", b"DigitalSourceType resource"):
        packet = piece * 100_000
        assert kept_metadata(Metadata(None, packet), whole=True).metadata is None


def test_without_metadata_nothing_is_added(tmp_path: Path) -> None:
    cutout = refined(photograph(tmp_path / "a.png"), disc(300, 451, 100), output={"metadata": "keep"})
    assert cutout.metadata is None
    damaged = photograph(tmp_path / "b.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    told = refined(damaged, disc(300, 451, 100), output={"metadata": "keep"})
    assert told.metadata is None
    assert any("EXIF is damaged" in one for one in told.report.warnings)


def test_a_file_is_as_large_as_it_may_be_and_no_larger(tmp_path: Path) -> None:
    cutout = refined(skimage.data.chelsea(), disc(300, 451, 140), background={"fill": "white"}, output={"max_kb": 20})
    data = cutout.encode("jpeg")
    assert 17_000 < len(data) <= 20_000
    with pytest.raises(OutputError, match="more than 20"):
        cutout.encode("png")
    tiny = refined(skimage.data.chelsea(), disc(300, 451, 140), background={"fill": "white"}, output={"max_kb": 2})
    with pytest.raises(OutputError, match="as JPEG of quality 35"):
        tiny.encode("jpeg")
    coarse = refined(skimage.data.chelsea(), disc(300, 451, 140), background={"fill": "white"}, output={"quality": 40})
    assert len(coarse.encode("jpeg")) < 15_000


def test_srgb_is_what_littlecms_makes_of_it_and_white_stays_white() -> None:
    # A profile with swapped primaries shows that colours are converted at all.
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    adobe = adobe_rgb()
    alpha = disc(300, 451, 120, 6)
    source = Image(skimage.data.chelsea(), None, adobe)
    cutout = refined(source, alpha, background={"fill": "white"}, output={"srgb": True})
    assert cutout.icc_profile is None
    assert cutout.composite is not None
    assert (cutout.composite[alpha == 0] == 1).all()
    pil = PIL.Image.fromarray(skimage.data.chelsea())
    truth = ImageCms.profileToProfile(
        pil,
        ImageCms.ImageCmsProfile(io.BytesIO(adobe)),
        ImageCms.ImageCmsProfile(io.BytesIO(wide)),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    assert truth is not None
    inside = alpha == 1
    assert np.abs(cutout.foreground[inside] - np.asarray(truth)[inside] / 255).max() < 1.5 / 255
    assert np.abs(np.asarray(truth).astype(int) - skimage.data.chelsea())[inside].max() > 5
    deep = Image(skimage.data.chelsea() / np.float32(255), None, adobe, bit_depth=16)
    told = refined(deep, alpha, output={"srgb": True})
    assert told.bit_depth == 8
    assert any("sRGB in 8 bits" in one for one in told.report.warnings)


def test_depth_and_profile_survive_a_canvas() -> None:
    ramp = np.linspace(0.2, 0.21, 400, dtype=np.float32)  # 2.5 steps of 8 bits, 655 of 16
    pixels = np.repeat(np.repeat(ramp[None, :, None], 300, 0), 3, 2)
    source = Image(pixels, disc(300, 400, 120), adobe_rgb(), bit_depth=16, dpi=(240, 240))
    cutout = finish_cutout(source, Recipe.of({"canvas": {"size": "200x200"}}))
    assert (cutout.icc_profile, cutout.bit_depth, cutout.dpi) == (source.icc_profile, 16, (240, 240))
    again = read_image(cutout.encode("png"))
    assert again.icc_profile == source.icc_profile
    assert len(np.unique(again.rgb[100, 20:180, 0])) > 150


def adobe_rgb() -> bytes:
    from gossamer.image.colour import ADOBE_RGB
    from gossamer.image.profiles import icc_profile

    return icc_profile(ADOBE_RGB)

"""The tags of a TIFF file, looked through before anything is decoded."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gossamer.image.ifd import first_directory
from gossamer.image.limits import check_delivered, check_size, most_bytes, unknown_kind
from gossamer.image.tiff_segments import BY_US, DEFLATE, JPEG, LZMA, LZW, NONE, OLD_DEFLATE, PACKBITS, WEBP, ZSTD

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["TiffPicture", "first_picture"]

_MOST_OUT = {NONE: 1, LZW: 2731, DEFLATE: 1032, PACKBITS: 64, OLD_DEFLATE: 1032}  # bytes out of one byte
_GROUP_4, _FAX_END, _FAX_TAIL = 4, 2 * ("0" * 11 + "1"), 16  # bytes in which the end, 24 bits, is looked for
_FAX, _OLD_JPEG = (2, 3, 4), 6
_READ = {*_FAX, _OLD_JPEG, *BY_US}
_MOST_PAGES = 1000  # counted; more are "more than"
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_YCBCR = 6
_MAIN = 5  # of the bits of NewSubfileType: neither a thumbnail nor a mask


@dataclass
class TiffPicture:
    """The first picture of a file: what its tags say, found sound.

    Attributes
    ----------
    page : tifffile.TiffPage
    data : bytes
        The file.
    pages : int
        How many pictures there are, of 1000 and more at least so many.
    """

    page: TiffPage
    data: bytes
    label: str
    pages: int
    countless: bool

    def tag(self, code: int) -> Any:
        """Return the value of a tag, or None."""
        tag = self.page.tags.get(code)
        return None if tag is None else tag.value

    @property
    def planar(self) -> bool:
        """Whether the channels lie one after the other."""
        return int(self.page.planarconfig) == 2 and self.page.samplesperpixel > 1

    @property
    def order(self) -> Literal["<", ">"]:
        """The order of bytes, also in the numbers of the segments."""
        return ">" if self.page.parent.byteorder == ">" else "<"

    @property
    def segment(self) -> tuple[int, int]:
        """Width and height of a strip or tile; the last strip of a picture may be lower."""
        if self.page.is_tiled:
            return int(self.page.tilewidth), int(self.page.tilelength)
        rows = int(self.page.rowsperstrip)
        return int(self.page.imagewidth), min(rows if rows > 0 else 1 << 31, int(self.page.imagelength))

    @property
    def grid(self) -> tuple[int, int, int]:
        """How many strips or tiles there are: planes, down and across."""
        width, height = self.segment
        planes = self.page.samplesperpixel if self.planar else 1
        return planes, -(-self.page.imagelength // height), -(-self.page.imagewidth // width)

    def row_bytes(self) -> int:
        """Bytes of a row of a strip or tile, when it is not compressed."""
        samples = 1 if self.planar else self.page.samplesperpixel
        return int((self.segment[0] * samples * self.page.bitspersample + 7) // 8)

    def lengths(self) -> list[int]:
        """Return the bytes that each strip or tile must be when it is not compressed."""
        planes, down, across = self.grid
        row, height = self.row_bytes(), self.segment[1]
        rows = [height] * (down * across)
        if not self.page.is_tiled:
            rows[-1] = self.page.imagelength - height * (down - 1)
        return [row * count for count in rows] * planes

    def bodies(self) -> Iterator[bytes]:
        """Yield the bytes of each strip or tile, as they lie in the file but for the order of their bits."""
        planes, down, across = self.grid
        turned = int(self.page.fillorder) == 2 and int(self.page.compression) != JPEG
        pairs = zip(self.page.dataoffsets, self.page.databytecounts, strict=False)
        for (start, count), _ in zip(pairs, range(planes * down * across), strict=False):
            body = self.data[start : start + count]
            yield body.translate(_REVERSED) if turned else body

    def fax_may_lack_lines(self) -> bool:
        """Whether this is a fax of group 4 and one of its strips lacks the code that ends it.

        libtiff makes blank lines of what is missing, and says so to nobody.
        """
        if int(self.page.compression) != _GROUP_4:
            return False
        ends = (int.from_bytes(body[-_FAX_TAIL:], "big") for body in self.bodies())
        return not all(_FAX_END in f"{end:0{8 * _FAX_TAIL}b}" for end in ends)


def first_picture(data: bytes, label: str) -> TiffPicture:
    """Look through the tags of the first picture.

    Raises
    ------
    InputError
        If it is too large, or of a kind that is not read.
    ValueError
        If strips or tiles are missing or too short, as far as can be seen before they are decoded.
    """
    import tifffile

    if not first_directory(data).is_sane():  # before tifffile reads it
        raise ValueError("tags that claim more than there is")
    pages, countless = _pages(data)
    # Without what tifffile does for microscopes, which goes through all pages.
    with tifffile.TiffFile(io.BytesIO(data), is_lsm=False, is_scanimage=False, is_ndpi=False) as tiff:
        page = tiff.pages.first
        picture = TiffPicture(page, data, label, pages, countless)
        if not all(isinstance(number, int) for number in (page.imagewidth, page.imagelength, page.samplesperpixel)):
            raise ValueError("several sizes")
        check_size(page.imagewidth, page.imagelength, label)
        _check(picture)
    return picture


def _check(picture: TiffPicture) -> None:
    page, data, label = picture.page, picture.data, picture.label
    bits, samples, compression = page.bitspersample, page.samplesperpixel, int(page.compression)
    if not isinstance(bits, int) or compression not in _READ or getattr(page, "imagedepth", 1) != 1:
        raise unknown_kind(label, "TIFF")
    width, height = picture.segment
    if bits < 1 or samples < 1 or width < 1 or height < 1:
        raise ValueError("no such tiles")
    row, area = (page.imagewidth * samples * bits + 7) // 8, page.imagewidth * page.imagelength
    if row * page.imagelength > most_bytes() or width * height > 4 * max(area, 1 << 22):
        raise unknown_kind(label, "TIFF")
    planes, down, across = picture.grid
    offsets, counts = (np.array(values, np.int64) for values in (page.dataoffsets, page.databytecounts))
    wanted = planes * down * across
    if len(offsets) != len(counts) or len(offsets) < wanted:
        raise ValueError("strips or tiles are missing")
    offsets, counts = offsets[:wanted], counts[:wanted]
    if counts.min() < 1 or offsets.min() < 8 or np.any(offsets > len(data)) or np.any(offsets + counts > len(data)):
        raise ValueError("the pixels end too early")
    if compression in _MOST_OUT and int(page.photometric) != _YCBCR:
        if np.any(counts * _MOST_OUT[compression] < np.array(picture.lengths())):
            raise ValueError("the pixels end too early")
    elif compression in (LZMA, ZSTD, WEBP):
        check_delivered(page.imagewidth, page.imagelength, len(data), label)


def _pages(data: bytes) -> tuple[int, bool]:
    """Count the pictures, but thumbnails and masks, to a limit; a chain that comes back to itself ends there."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count_form, entry, offset_form = ("Q", 20, "Q") if big else ("H", 12, "I")
    seen: set[int] = set()
    pages = 0
    try:
        (place,) = struct.unpack_from(order + offset_form, data, 8 if big else 4)
        while place and place not in seen:
            if len(seen) >= 4 * _MOST_PAGES or pages >= _MOST_PAGES:
                return pages, True
            seen.add(place)
            (entries,) = struct.unpack_from(order + count_form, data, place)
            start = place + struct.calcsize(order + count_form)
            (place,) = struct.unpack_from(order + offset_form, data, start + entries * entry)
            pages += not _subfile(data, start, min(entries, 3), entry, order) & _MAIN
    except (struct.error, OverflowError):
        pass  # cut off after pages that are whole
    return pages, False


def _subfile(data: bytes, start: int, entries: int, entry: int, order: str) -> int:
    """Return NewSubfileType, the first tag of a page that has it, else 0."""
    for i in range(entries):
        code, kind = struct.unpack_from(order + "HH", data, start + i * entry)
        if code == 254:
            place = start + i * entry + (12 if entry == 20 else 8)
            return int(struct.unpack_from(order + ("H" if kind == 3 else "I"), data, place)[0])
    return 0

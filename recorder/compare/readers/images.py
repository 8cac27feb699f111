"""Images, through Pillow where it is installed: the pixels count, not the metadata and not the packing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from ...codec import Difference
from ...codec.arrays import compare_arrays
from .arrays import need_numpy
from .pair import Pair, UnreadableError

# Formats that Pillow decodes by itself; for some others (EPS) it would start a program.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "AVIF", "JPEG2000")
_MOST_FRAMES = 100_000


def compare_images(pair: Pair) -> Iterator[Difference]:
    """Pixel by pixel, frame by frame; the index of a difference is (row, column, channel)."""
    need_numpy()
    if find_spec("PIL") is None:
        raise UnreadableError("Pillow is not installed")
    from PIL import Image

    with ExitStack() as stack:
        streams = [stack.enter_context(side.open()) for side in pair.sides]
        images = [stack.enter_context(Image.open(s, formats=_FORMATS)) for s in streams]
        frames = [getattr(image, "n_frames", 1) for image in images]
        if frames[0] != frames[1]:
            said = [f"{n} frames" for n in frames]
            yield Difference(path=pair.path, what="shape", left=said[0], right=said[1])
            return
        for i in range(min(frames[0], _MOST_FRAMES)):
            place = pair.path if frames[0] == 1 else pair.place(f"frame {i}")
            yield from _compare_frames(pair, place, images, i)


def _compare_frames(pair: Pair, place: str, images: list[Any], i: int) -> list[Difference]:
    for image in images:
        pair.budget.take_bytes(image.width * image.height * 4)
        if i:
            image.seek(i)
    if images[0].size != images[1].size:
        said = [f"{image.width} x {image.height} pixels" for image in images]
        return [Difference(path=place, what="shape", left=said[0], right=said[1])]
    left, right = _pixels(images)
    return compare_arrays(place, left, right, pair.numbers)


def _pixels(images: list[Any]) -> list[Any]:
    """The pixels as arrays; of a palette its colours, and of two different modes all as RGBA."""
    import numpy

    modes = {image.mode for image in images}
    if len(modes) > 1 or modes & {"P", "PA", "1"}:
        images = [image.convert("RGBA") for image in images]
    return [numpy.asarray(image) for image in images]

"""Images, read with Pillow and compared by their pixels; metadata and compression are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

from ...codec import Difference
from ...codec.arrays import compare_arrays
from .arrays import need_numpy
from .pair import Pair, UnreadableError

# Formats that Pillow decodes itself; for others (EPS) it would start a program.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "AVIF", "JPEG2000")
_MOST_FRAMES = 100_000


def compare_images(pair: Pair) -> Iterator[Difference]:
    """Compare two images frame by frame; the index of a difference is (row, column, channel)."""
    need_numpy()
    if find_spec("PIL") is None:
        raise UnreadableError("Pillow is not installed")
    from PIL import Image

    with ExitStack() as stack:
        streams = [stack.enter_context(side.open()) for side in pair.sides]
        images = [stack.enter_context(Image.open(s, formats=_FORMATS)) for s in streams]
        frames = [getattr(image, "n_frames", 1) for image in images]
        if frames[0] != frames[1]:
            counts = [f"{n} frames" for n in frames]
            yield Difference(path=pair.path, what="shape", left=counts[0], right=counts[1])
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
        sizes = [f"{image.width} x {image.height} pixels" for image in images]
        return [Difference(path=place, what="shape", left=sizes[0], right=sizes[1])]
    left, right = _pixels(images)
    return compare_arrays(place, left, right, pair.numbers)


def _pixels(images: list[Any]) -> list[Any]:
    """Return the pixels as arrays; palettes and images of two different modes are converted to RGBA."""
    import numpy

    modes = {image.mode for image in images}
    if len(modes) > 1 or modes & {"P", "PA", "1"}:
        images = [image.convert("RGBA") for image in images]
    return [numpy.asarray(image) for image in images]

"""Which symbol sounds when, as a small picture: time to the right, the symbols of the text upwards.

    Path("a.png").write_bytes(alignment_png(audio.timings.symbols, audio.sample_rate))

A line that climbs steadily is speech. A long flat stretch is one symbol that never ends, an upright one are symbols
that nobody hears.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthesis.timings import TimedLabel

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Lengths are pixels unless they say otherwise.

PER_SECOND = 150  # wide enough to read the symbols of usual speech
NARROWEST, WIDEST = 240, 1800
HEIGHT, TOP, BOTTOM, RIGHT = 184, 6, 20, 16  # of the whole, and margins in which labels find room
LABEL = 11  # height of the letters
GROUND, TICK, LINE, PAUSE, INK = (18, 20, 28), (52, 58, 70), (252, 160, 95), (120, 130, 150), (235, 238, 242)
COLOURS = 16  # in the file; enough for five and the edges of letters


def alignment_png(symbols: Sequence[TimedLabel], sampling_rate: int) -> bytes:
    """A PNG of a few kB.

    Args:
        symbols: in samples, in their order, at least one; "" is a pause.
        sampling_rate: Hz.
    """
    from PIL import Image, ImageDraw

    seconds = symbols[-1].end / sampling_rate
    width = round(min(max(NARROWEST, PER_SECOND * seconds), WIDEST))
    scale = (width - RIGHT) / max(symbols[-1].end, 1)  # pixels a sample
    image = Image.new("RGB", (width, HEIGHT), GROUND)
    canvas = ImageDraw.Draw(image)
    for second in range(1, int(seconds) + 1):
        x = round(second * sampling_rate * scale)
        canvas.line([(x, 0), (x, HEIGHT)], fill=TICK)
    _draw_path(canvas, symbols, scale)
    file = io.BytesIO()
    image.quantize(COLOURS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_path(canvas: ImageDraw, symbols: Sequence[TimedLabel], scale: float) -> None:
    """A stair for each symbol, and its label below to the right, where the path never comes."""
    from PIL import ImageFont

    font = ImageFont.truetype(_font(), LABEL)
    row = (HEIGHT - TOP - BOTTOM) / len(symbols)
    free = 0.0  # from here on no label stands
    for i, (text, start, end) in enumerate(symbols):
        left, right, y = start * scale, end * scale, HEIGHT - BOTTOM - (i + 0.5) * row
        canvas.line([(left, y + row if i else y), (left, y), (right, y)], fill=LINE if text.strip() else PAUSE, width=2)
        if text.strip():
            place = max(left + 3, free)
            canvas.text((place, y + 2), text, fill=INK, font=font)
            free = place + canvas.textlength(text, font=font) + 1


def _font() -> str:
    """One that has phonetic letters; it comes with matplotlib."""
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")

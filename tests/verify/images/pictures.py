"""Pictures with rendered text, as people have them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def text_picture(
    text: str,
    width: int,
    ink: Colour = BLACK,
    ground: Colour = WHITE,
    *,
    height: int = 48,
    at: tuple[int, int] = (8, 5),
    points: int = 32,
) -> np.ndarray[Any, Any]:
    """A line of text in DejaVu Sans, which comes with matplotlib, as [height, width, 3] in red, green and blue."""
    found = find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    picture = Image.new("RGB", (width, height), ground)
    ImageDraw.Draw(picture).text(at, text, font=ImageFont.truetype(str(path), points), fill=ink)
    return np.asarray(picture)


def save(picture: np.ndarray[Any, Any], path: Path) -> None:
    Image.fromarray(picture).save(path)

"""Text in figures: literal, never markup, measured in CSS pixels."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from netgeom_widgets.figures.static.colours import rgba

PX = 72 / 96
"""Points in a CSS pixel: line widths and font sizes of Bokeh are in pixels, those of matplotlib in points."""

_FAMILIES = {
    "monospace": "DejaVu Sans Mono",
    "courier": "DejaVu Sans Mono",
    "serif": "DejaVu Serif",
    "times": "DejaVu Serif",
}
_UNITS = {"px": 1.0, "pt": 96 / 72, "em": 13.0, "rem": 13.0, "": 1.0}


def plain(text: Any) -> str:
    """`text` such that matplotlib shows every character as it is: dollars start no mathematics."""
    return str(text).replace("$", r"\$")


def size_px(size: Any) -> float:
    """A CSS font size in pixels."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*(px|pt|em|rem)?\s*", str(size))
    return float(match[1]) * _UNITS[match[2] or ""] if match else 13.0


def font(size: Any, style: str = "normal", family: str = "helvetica") -> FontProperties:
    """Font of a Bokeh text: fonts shipped with matplotlib, so that pictures are equal on every machine."""
    name = next((known for key, known in _FAMILIES.items() if key in str(family).lower()), "DejaVu Sans")
    return FontProperties(
        family=[name],
        size=size_px(size) * PX * 0.92,  # DejaVu is wider than the Helvetica Bokeh asks for
        weight="bold" if "bold" in str(style) else "normal",
        style="italic" if "italic" in str(style) else "normal",
    )


@lru_cache(maxsize=2048)
def _line_width(line: str, size: float, weight: str, style: str, family: str, math: bool) -> float:
    if not line.strip():
        return 0.0
    prop = FontProperties(family=[family], size=size, weight=weight, style=style)
    box = TextPath((0, 0), line if math else plain(line), prop=prop, usetex=False).get_extents()
    return float(box.width) / PX


def extent(text: str, prop: FontProperties, *, math: bool = False) -> tuple[float, float]:
    """Width and height of a text in CSS pixels (lines 1.2 font sizes apart)."""
    lines = str(text).split("\n")
    size, family = prop.get_size_in_points(), prop.get_family()[0]
    key = (size, str(prop.get_weight()), prop.get_style(), family, math)
    return max(_line_width(line, *key) for line in lines), len(lines) * 1.2 * size / PX


def from_html(markup: str) -> str:
    """The readable text of an HTML fragment: tags dropped, breaks kept, entities decoded."""
    text = re.sub(r"(?is)<(script|style)\b.*?</\1\s*>|<!--.*?-->", "", markup)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"(?i)<br\s*/?>|</(?:p|div|li|tr|h[1-6])\s*>", "\n", text)
    text = html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", "", text))
    return "\n".join(line.strip() for line in text.split("\n")).strip()


def wrap(text: str, prop: FontProperties, width: float) -> str:
    """`text` broken at blanks so that no line is wider than `width` pixels where that is possible."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}".strip()
            if line and extent(longer, prop)[0] > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return "\n".join(lines)


def text_style(model: Any, prefix: str = "") -> dict[str, Any]:
    """Keywords for matplotlib of a Bokeh model's scalar text properties (`{prefix}text_color` and so on)."""
    red, green, blue, alpha = rgba(getattr(model, f"{prefix}text_color"))
    prop = font(
        getattr(model, f"{prefix}text_font_size"),
        getattr(model, f"{prefix}text_font_style"),
        getattr(model, f"{prefix}text_font"),
    )
    return {
        "color": (red, green, blue, alpha * getattr(model, f"{prefix}text_alpha")),
        "fontproperties": prop,
        "usetex": False,
    }

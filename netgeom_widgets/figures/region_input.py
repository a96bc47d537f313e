"""The input at a point of a slice, shown as the image it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from bokeh.models import Column, ColumnDataSource, CustomJS, InlineStyleSheet, Range1d, Title
from bokeh.plotting import figure
from jaxtyping import Float, UInt32

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.region_plot import SMALL
from netgeom_widgets.figures.sprites import black_and_white
from netgeom_widgets.figures.theme import make_groundless

if TYPE_CHECKING:
    from netgeom_widgets.kernels.regions import Slice

#: Up to so many numbers of an input the browser has origin, u and v, and shows the image by itself.
MOST_IN_BROWSER = 64 * 64 * 3
#: Longer side of the picture, and width of the column, in pixels.
_SIDE, _WIDTH = 150, 186

# The input at (s, t) is affine in it, and so are its pixels.
_SHOW = """
const {x, y} = cb_obj
if (!(x >= s.start && x <= s.end && y >= t.start && y <= t.end)) return // over the axes
const {origin, u, v} = plane.data
const pixels = new Uint32Array(height * width), bytes = new Uint8ClampedArray(pixels.buffer)
let clipped = 0
for (let c = 0; c < channels; c++) {
  for (let i = 0; i < pixels.length; i++) {
    const j = c * pixels.length + i, share = (origin[j] + x * u[j] + y * v[j] - black) / (white - black)
    if (share < -slack || share > 1 + slack) clipped++
    for (let k = c; k < (channels == 1 ? 3 : c + 1); k++) bytes[4 * i + k] = Math.round(255 * share)
    bytes[4 * i + 3] = 255
  }
}
const image = Object.assign(pixels, {dimension: 2, shape: [height, width]})
source.setv({data: {...source.data, image: [image]}}, {sync: false})
const round = (value) => Number(value.toPrecision(3)).toString().replaceAll("-", "\\u2212")
title.setv({text: `input at (${round(x)}, ${round(y)})`}, {sync: false})
const lost = clipped ? `${clipped} of ${origin.length} values clipped` : ""
note.setv({text: [range, lost].filter(Boolean).join("\\n")}, {sync: false})
"""
#: Values beyond black and white by this share of their distance are rounding.
_SLACK = 1e-9


class ImageShape(NamedTuple):
    """How an input is read as an image: channels first."""

    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: Sequence[int]) -> ImageShape | None:
        """(H, W) and (1, H, W) are grey, (3, H, W) is red, green, blue; None for every other input."""
        if len(shape) == 2:
            shape = (1, *shape)
        if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < 2:
            return None
        return cls(*(int(n) for n in shape))


def shape_read(shape: Sequence[int], image_shape: Any = None) -> tuple[int, ...]:
    """How an input of this shape is read: as it is, or flat numbers as an image of another shape.

    Raises
    ------
    NetgeomError
        Where ``image_shape`` is not that of an image, or of one with another number of values.
    """
    if image_shape is None:
        return tuple(shape)
    try:
        read = tuple(int(n.__index__()) for n in image_shape)
    except (TypeError, AttributeError):
        read = ()
    if ImageShape.of(read) is None or math.prod(read) != math.prod(shape):
        raise NetgeomError(
            "The inputs cannot be read as images of this shape.",
            expected=f"(H, W), (1, H, W) or (3, H, W) with {math.prod(shape):,} values",
            got=f"{image_shape!r}",
        )
    return read


def value_range(domain: Slice, data: Any = None) -> tuple[float, float]:
    """Values shown black and white: those of sprites for the data, or else for the corners of the slice.

    The input is affine in (s, t), so without data no value on the slice is beyond them.
    """
    values = domain.to_input(domain.polygon) if data is None else np.asarray(data)
    return black_and_white(values.reshape(len(values), -1, 1, 1))


class InputPicture:
    """The image at one point of a slice.

    Parameters
    ----------
    domain : Slice
    shape : ImageShape
        How its inputs are read.
    limits : (float, float)
        Values shown black and white; beyond them they are clipped, which the note says.
    which : str
        Which point it is, for the note.

    Attributes
    ----------
    root : bokeh.plotting.figure
        Title "input at (s, t)"; under it which point it is and what black and white stand for.
    """

    def __init__(self, domain: Slice, shape: ImageShape, limits: tuple[float, float], which: str) -> None:
        self.domain, self.shape, self.limits = domain, shape, limits
        black, white = (number(limit) for limit in limits)
        scale = f"black {black}, white {white}" if shape.channels == 1 else f"no colour {black}, full colour {white}"
        self._legend = f"{which}\n{scale}"
        self._middle = f"middle of the slice\n{scale}"
        self._images = ColumnDataSource({"image": [np.zeros((shape.height, shape.width), dtype=np.uint32)]})
        self.note = Title(text=self._legend, text_font_size=SMALL, text_font_style="normal")
        self._plane: ColumnDataSource | None = None  # what the browser knows of the slice
        self.root = self._empty()

    def _empty(self) -> figure:
        _, height, width = self.shape
        unit = _SIDE / max(height, width)
        plot = figure(
            frame_width=max(round(unit * width), 12),
            frame_height=max(round(unit * height), 12),
            width_policy="min",
            height_policy="min",
            min_border_left=18,
            min_border_right=18,
            x_range=Range1d(0, width),
            y_range=Range1d(0, height),
            tools="",
            toolbar_location=None,
            title="input",
            output_backend="canvas",
        )
        plot.axis.visible = False
        plot.grid.visible = False
        plot.title.text_font_size = "12px"
        plot.image_rgba("image", x=0, y=0, dw=width, dh=height, source=self._images, origin="top_left")
        plot.add_layout(self.note, "below")
        return make_groundless(plot)

    def show_middle(self) -> None:
        """Show the input in the middle of the slice, until there is a point."""
        self._show(tuple(np.asarray(self.domain.polygon).mean(axis=0).tolist()), self._middle)

    def show(self, point: tuple[float, float]) -> None:
        """Show the input at a point; O(numbers of an input)."""
        self._show(point, self._legend)

    def show_nothing(self, words: str) -> None:
        """Leave the frame empty, under a title that says why.

        The plot keeps its place. Hidden, it would have BokehJS lay out, and paint, all plots at once, in the middle of
        a message whose new polygons are not all taken in.
        """
        self._images.data = {"image": []}
        self.root.title.text, self.note.text = words, ""

    def _show(self, point: tuple[float, float], legend: str) -> None:
        values = self.domain.to_input(np.array([point]))[0].reshape(self.shape)
        pixels, clipped = rgba(values, self.limits)
        self._images.data = {"image": [pixels]}
        self.root.title.text = f"input at ({_short(point[0])}, {_short(point[1])})"
        lost = f"{clipped} of {values.size} values clipped" if clipped else ""
        self.note.text = "\n".join(filter(None, [legend, lost]))

    def move(self, domain: Slice) -> None:
        """Go to another slice of inputs of the same shape."""
        self.domain = domain
        if self._plane is not None:
            self._plane.data = self._plane_columns()

    def _plane_columns(self) -> dict[str, np.ndarray]:
        return {name: getattr(self.domain, name).ravel() for name in ("origin", "u", "v")}

    def follow(self, plots: Iterable[figure]) -> None:
        """Have the browser show the input under the pointer in some pictures of the slice, by itself."""
        self._plane = ColumnDataSource(self._plane_columns())
        args = {"plane": self._plane, "source": self._images, "title": self.root.title, "note": self.note}
        args |= {"range": self._legend, "black": self.limits[0], "white": self.limits[1], "slack": _SLACK}
        for plot in plots:
            ranges = {"s": plot.x_range, "t": plot.y_range}
            show = CustomJS(args={**args, **ranges, **self.shape._asdict()}, code=_SHOW)
            plot.js_on_event("mousemove", show)


class InputPictures:
    """The inputs under the pointer and at the picked point, one over the other.

    Parameters
    ----------
    domain, shape, limits
        As for `InputPicture`.
    plots : sequence of bokeh.plotting.figure
        The pictures of the slice that the pointer moves over.
    """

    def __init__(self, domain: Slice, shape: ImageShape, limits: tuple[float, float], plots: Sequence[figure]) -> None:
        self.under = InputPicture(domain, shape, limits, "under the pointer")
        self.picked = InputPicture(domain, shape, limits, "at the picked point")
        self.by_browser = domain.origin.size <= MOST_IN_BROWSER
        if self.by_browser:
            self.under.follow(plots)
        self.under.show_middle()
        self.pick(None)
        # In a narrow cell the two stand side by side under the picture of the slice.
        css = f":host {{ flex: 0 0 {_WIDTH}px; flex-flow: row wrap !important; width: auto; }}"
        self.root = Column(self.under.root, self.picked.root, spacing=4, stylesheets=[InlineStyleSheet(css=css)])

    @classmethod
    def of(
        cls, domain: Slice, data: Any, plots: Sequence[figure], *, read_as: Sequence[int] | None = None
    ) -> InputPictures | None:
        """The pictures for inputs that are images, also when these are read as another shape; None for others."""
        shape = ImageShape.of(domain.origin.shape if read_as is None else read_as)
        return None if shape is None else cls(domain, shape, value_range(domain, data), plots)

    def move(self, domain: Slice) -> None:
        """Go to another slice of inputs of the same shape, to its middle until the pointer is over it."""
        self.under.move(domain)
        self.picked.move(domain)
        self.under.show_middle()

    def point_at(self, point: tuple[float, float]) -> None:
        """Show the input under the pointer, where the browser does not do it."""
        if not self.by_browser:
            self.under.show(point)

    def pick(self, point: Float[np.ndarray, "1 2"] | None) -> None:
        """Show the input at the picked point, if there is one."""
        if point is None:
            self.picked.show_nothing("no point picked")
        else:
            self.picked.show((float(point[0, 0]), float(point[0, 1])))


def rgba(values: Float[np.ndarray, "c H W"], limits: tuple[float, float]) -> tuple[UInt32[np.ndarray, "H W"], int]:
    """Pixels of an image for Bokeh, and how many values were clipped."""
    black, white = limits
    share = (values - black) / (white - black)
    colours = np.rint(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8)
    pixels = np.full((*values.shape[1:], 4), 255, dtype=np.uint8)
    pixels[..., :3] = np.moveaxis(colours, 0, 2)
    clipped = int(((share < -_SLACK) | (share > 1 + _SLACK)).sum())
    return pixels.view(np.uint32)[..., 0], clipped


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")

"""Every Bokeh glyph this package draws, as matplotlib artists."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.models import CategoricalMarkerMapper
from bokeh.models import glyphs as bokeh_glyphs
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.path import Path
from matplotlib.transforms import IdentityTransform, ScaledTranslation

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.static import geometry
from netgeom_widgets.figures.static.colours import unknown
from netgeom_widgets.figures.static.columns import Rows
from netgeom_widgets.figures.static.frame import Coordinates
from netgeom_widgets.figures.static.images import paint_image
from netgeom_widgets.figures.static.markers import marker_parts, rotated
from netgeom_widgets.figures.static.strokes import angles, fill_keywords, line_keywords, pick, text_edge
from netgeom_widgets.figures.static.text import PX, font, plain

BASELINES = {
    "top": "top", "middle": "center", "bottom": "bottom", "alphabetic": "baseline", "hanging": "top",
    "ideographic": "bottom",
}  # fmt: skip


def _polygon_path(rings: list[np.ndarray]) -> Path:
    """One compound path of closed rings."""
    codes = [
        np.array([Path.MOVETO] + [Path.LINETO] * (len(ring) - 1) + [Path.CLOSEPOLY], dtype=Path.code_type)
        for ring in rings
    ]
    vertices = [np.vstack([ring, ring[:1]]) for ring in rings]
    return Path(np.concatenate(vertices), np.concatenate(codes))


def _split(points: np.ndarray) -> list[np.ndarray]:
    """Pieces of a ring list between NaNs."""
    gaps = np.flatnonzero(~np.isfinite(points).all(axis=1))
    pieces = np.split(points, gaps)
    pieces = [piece[1:] if at else piece for at, piece in enumerate(pieces)]
    return [piece for piece in pieces if len(piece)]


def _paint_patches(rows: Rows, at: Coordinates) -> None:
    pairs = zip(geometry.nested(rows, "xs"), geometry.nested(rows, "ys"), strict=True)
    polygons = [np.column_stack(pair) for pair in pairs]
    if all(np.isfinite(polygon).all() for polygon in polygons):
        at.add(PolyCollection(polygons, closed=True, **fill_keywords(rows)))
        return
    pieces = [_split(polygon) for polygon in polygons]
    empty = Path(np.empty((0, 2)))
    at.add(PathCollection([_polygon_path(piece) if piece else empty for piece in pieces], **fill_keywords(rows)))


def _paint_multi_polygons(rows: Rows, at: Coordinates) -> None:
    paths = []
    for polygons in geometry.rings(rows):
        rings = []
        for polygon in polygons:
            for hole, ring in enumerate(polygon):
                x, y = ring[:, 0], ring[:, 1]
                anticlockwise = np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) > 0
                # matplotlib fills by the non-zero rule: holes run against their exterior
                rings.append(ring if anticlockwise == (hole == 0) else ring[::-1])
        paths.append(_polygon_path(rings) if rings else Path(np.empty((0, 2))))
    at.add(PathCollection(paths, **fill_keywords(rows)))


def _one(rows: Rows) -> Rows:
    """Style of a glyph that draws all its rows as one shape."""
    return rows.only(slice(0, 1)) if len(rows) else rows


def _paint_patch(rows: Rows, at: Coordinates) -> None:
    pieces = _split(np.column_stack(geometry.xy(rows, at)))
    if pieces:
        at.add(PathCollection([_polygon_path(pieces)], **fill_keywords(_one(rows))))


def _paint_multi_line(rows: Rows, at: Coordinates) -> None:
    pairs = zip(geometry.nested(rows, "xs"), geometry.nested(rows, "ys"), strict=True)
    at.add(_line_collection([np.column_stack(pair) for pair in pairs], rows))


def _line_collection(lines: Any, rows: Rows) -> LineCollection:
    keywords = line_keywords(rows)
    keywords["colors"] = keywords.pop("edgecolors")
    return LineCollection(lines, **keywords)


def _paint_line(rows: Rows, at: Coordinates) -> None:
    at.add(_line_collection([np.column_stack(geometry.xy(rows, at))], _one(rows)))


def _paint_step(rows: Rows, at: Coordinates) -> None:
    x, y = geometry.xy(rows, at)
    mode = rows.scalar("mode")
    if mode == "center":
        middle = (x[:-1] + x[1:]) / 2
        x, y = np.concatenate([x[:1], np.repeat(middle, 2), x[-1:]]), np.repeat(y, 2)
    elif mode == "before":
        x, y = np.repeat(x, 2)[:-1], np.repeat(y, 2)[1:]
    else:
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    at.add(_line_collection([np.column_stack([x, y])], _one(rows)))


def _paint_segments(rows: Rows, at: Coordinates) -> None:
    at.add(_line_collection(geometry.segments(rows, at), rows))


def _paint_boxes(rows: Rows, at: Coordinates) -> None:
    if rows.has("border_radius") and rows.model.border_radius not in (0, {}, None):
        raise NetgeomError(
            "The static renderer draws no rounded bars.", got=f"border_radius={rows.model.border_radius}"
        )
    left, right, bottom, top = geometry.boxes(rows, at)
    corners = np.stack([left, bottom, right, bottom, right, top, left, top], axis=1).reshape(-1, 4, 2)
    at.add(PolyCollection(corners, **fill_keywords(rows)))


def _paint_rect(rows: Rows, at: Coordinates) -> None:
    x, y = geometry.xy(rows, at)
    turn = angles(rows)
    half = np.stack([rows.numbers("width") / 2, rows.numbers("height") / 2], axis=1)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half[:, None, :]
    if not turn.any():
        at.add(PolyCollection(corners + np.stack([x, y], axis=1)[:, None, :], **fill_keywords(rows)))
        return
    # A Bokeh rect turns on the screen: its sides keep their pixel lengths.
    unit_x, unit_y = at.pixels_per_unit()
    scaled = corners * np.array([unit_x, unit_y]) * PX
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    turned = np.stack(
        [scaled[..., 0] * cos - scaled[..., 1] * sin, scaled[..., 0] * sin + scaled[..., 1] * cos], axis=2
    )
    _add_in_points(at, [Path(np.vstack([one, one[:1]]), closed=True) for one in turned], x, y, rows)


def _add_in_points(at: Coordinates, paths: list[Path], x: np.ndarray, y: np.ndarray, rows: Rows) -> None:
    """Shapes given in points around data positions."""
    collection = PathCollection(
        paths, sizes=[1.0], offsets=np.column_stack([x, y]), offset_transform=at.transform, **fill_keywords(rows)
    )
    at.add(collection, transform=IdentityTransform())


def _paint_circle(rows: Rows, at: Coordinates) -> None:
    x, y = geometry.xy(rows, at)
    unit_x, unit_y = at.pixels_per_unit()
    choice = {"x": unit_x, "y": unit_y, "max": max(unit_x, unit_y), "min": min(unit_x, unit_y)}
    radius = rows.numbers("radius") * choice[rows.scalar("radius_dimension")] * PX
    paths = [Path.unit_circle()]
    collection = PathCollection(
        paths, sizes=radius**2, offsets=np.column_stack([x, y]), offset_transform=at.transform, **fill_keywords(rows)
    )
    at.add(collection, transform=IdentityTransform())


def _paint_scatter(rows: Rows, at: Coordinates) -> None:
    if rows.one_value("marker"):
        _paint_marker(rows, at, rows.spec("marker")[1])
        return
    names = rows_markers(rows)
    for name in dict.fromkeys(names):
        _paint_marker(rows.only(np.flatnonzero([other == name for other in names])), at, name)


def rows_markers(rows: Rows) -> list[str]:
    """Marker name per row, through a CategoricalMarkerMapper when there is one."""
    vector, value, mapper = rows.raw("marker")
    column = list(value) if vector else [value] * len(rows)
    if mapper is None:
        return column
    if not isinstance(mapper, CategoricalMarkerMapper):
        raise unknown("transform", mapper)
    table = dict(zip(mapper.factors, mapper.markers, strict=False))
    return [table.get(value, mapper.default_value) for value in column]


def _paint_marker(rows: Rows, at: Coordinates, name: str) -> None:
    x, y = geometry.xy(rows, at)
    turn = angles(rows)
    keywords, sizes = fill_keywords(rows), (rows.one_or_all("size") * PX) ** 2
    for part, path in marker_parts(name):
        style = dict(keywords)
        if part == "stroke":
            style["facecolors"] = "none"
        elif part == "dot":
            style |= {"facecolors": keywords["edgecolors"], "edgecolors": "none"}
        paths = [rotated(path, -angle) for angle in turn] if turn.any() else [path]
        offsets = np.column_stack([x, y])
        shapes = PathCollection(paths, sizes=sizes, offsets=offsets, offset_transform=at.transform, **style)
        at.add(shapes, transform=IdentityTransform())


def _paint_area(rows: Rows, at: Coordinates) -> None:
    x, y = geometry.area_points(rows, at)
    n = len(rows)
    outline = np.column_stack([x, y])
    at.add(PolyCollection([np.vstack([outline[:n], outline[n:][::-1]])], **fill_keywords(_one(rows))))


def _paint_text(rows: Rows, at: Coordinates) -> None:
    x, y = geometry.xy(rows, at)
    paint_texts(rows, at, x, y, rows.numbers("x_offset"), -rows.numbers("y_offset"), clip=True)


def paint_texts(
    rows: Rows,
    at: Coordinates,
    x: np.ndarray,
    y: np.ndarray,
    right: np.ndarray,
    up: np.ndarray,
    *,
    clip: bool,
    transform: Any = None,
) -> None:
    """Texts of these rows at x, y (in `transform`, by default data), moved by pixels `right` and `up`."""
    colours, turn, texts = rows.colours("text"), angles(rows), rows.values("text")
    sizes, styles, fonts = (rows.values(f"text_font{part}") for part in ("_size", "_style", ""))
    aligns, baselines = rows.values("text_align"), rows.values("text_baseline")
    anchor = at.transform if transform is None else transform
    for row, text in enumerate(texts):
        if text is None or not (math.isfinite(x[row]) and math.isfinite(y[row])):
            continue
        move = ScaledTranslation(right[row] / 96, up[row] / 96, at.axes.figure.dpi_scale_trans)
        at.axes.text(
            x[row], y[row], plain(text), transform=anchor + move, color=tuple(pick(colours, row)),
            ha=aligns[row], va=BASELINES[baselines[row]], rotation=math.degrees(turn[row]), rotation_mode="anchor",
            fontproperties=font(sizes[row], styles[row], fonts[row]), usetex=False, parse_math=True, clip_on=clip,
            zorder=at.next_order(), bbox=_text_box(rows, row), linespacing=1.2, path_effects=text_edge(rows, row),
        )  # fmt: skip


def _text_box(rows: Rows, row: int) -> dict[str, Any] | None:
    """Ground and border behind a text, if it has any."""
    if not rows.has("background_fill_color"):
        return None
    fill, line = pick(rows.colours("background_fill"), row), pick(rows.colours("border_line"), row)
    if not fill[3] and not line[3]:
        return None
    width = pick(rows.one_or_all("border_line_width"), row)
    return {"facecolor": tuple(fill), "edgecolor": tuple(line), "linewidth": width * PX, "boxstyle": "square,pad=0.15"}


Geometry = Callable[[Rows, Coordinates], geometry.Points]
Painter = Callable[[Rows, Coordinates], None]
_G = bokeh_glyphs
GLYPHS: dict[type, tuple[Geometry, Painter]] = {
    _G.Patches: (geometry.flat, _paint_patches),
    _G.MultiPolygons: (geometry.multi_points, _paint_multi_polygons),
    _G.Patch: (geometry.xy, _paint_patch),
    _G.MultiLine: (geometry.flat, _paint_multi_line),
    _G.Line: (geometry.xy, _paint_line),
    _G.Step: (geometry.xy, _paint_step),
    _G.Segment: (geometry.segment_points, _paint_segments),
    _G.Scatter: (geometry.xy, _paint_scatter),
    _G.Circle: (geometry.circle_points, _paint_circle),
    _G.Image: (geometry.image_points, paint_image),
    _G.ImageRGBA: (geometry.image_points, paint_image),
    _G.Quad: (geometry.box_points, _paint_boxes),
    _G.VBar: (geometry.box_points, _paint_boxes),
    _G.HBar: (geometry.box_points, _paint_boxes),
    _G.Rect: (geometry.rect_points, _paint_rect),
    _G.Text: (geometry.xy, _paint_text),
    _G.VArea: (geometry.area_points, _paint_area),
    _G.HArea: (geometry.area_points, _paint_area),
}


def known_glyph(glyph: Any) -> tuple[Geometry, Painter]:
    """Geometry and painter of a glyph, by its exact class.

    Raises
    ------
    NetgeomError
        For a glyph without a painter, naming it.
    """
    found = GLYPHS.get(type(glyph))
    if found is None:
        raise unknown("glyph", glyph)
    return found


__all__ = ["BASELINES", "GLYPHS", "known_glyph", "paint_texts", "rows_markers"]

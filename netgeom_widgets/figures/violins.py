"""Distributions of several groups beside each other: violins with boxes and points, one panel for each quantity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, LayoutDOM, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    add_caption,
    fit_range,
    limits,
    literal,
    make_plot,
    name_ticks,
    say,
    wrapping_row,
)
from netgeom_widgets.figures.theme import GRID

GROUPS = 24
"""Groups in one panel at most."""

#: Half the width of a violin, where groups are 1 apart, and of its box; spread of the points about the middle.
_HALF, _BOX, _JITTER = 0.4, 0.09, 0.14
#: Fewer values than this are points only: a density of them would be made up.
_FEWEST = 5
_STEPS = 96
#: Pixels of the names of the groups beside each other, of a letter, and of a line of the caption.
_WIDTH, _LETTER, _LINE = 230, 6, 15


class ViolinPanel:
    """Groups of one quantity; ``root`` is the plot.

    Parameters
    ----------
    height : int
        Pixels, without the caption.
    """

    def __init__(self, height: int = 260, **options: Any) -> None:
        self._height = height
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": [], "toolbar_location": None, "width": 320, "min_width": 250} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, **options)
        self.root.xgrid.visible = False
        self.root.yaxis[0].ticker = self.root.ygrid[0].ticker = BasicTicker(desired_num_ticks=5, num_minor_ticks=0)
        self._shapes = ColumnDataSource({name: [] for name in ("xs", "ys", "fill")})
        self.root.patches(
            "xs", "ys", source=self._shapes, fill_color="fill", fill_alpha=0.6, line_color=GRID, line_width=1
        )
        self._points = ColumnDataSource({name: [] for name in ("x", "y", "fill", "group", "name")})
        points = self.root.scatter(
            "x", "y", source=self._points, size=4, fill_color="fill", fill_alpha=0.7, line_color=GRID,
            line_width=0.3,
        )  # fmt: skip
        names = ("group", "left", "right", "low", "high", "middle", "n", "mean", "x")
        self._boxes = ColumnDataSource({name: [] for name in names})
        boxes = self.root.quad(
            "left", "right", "high", "low", source=self._boxes, fill_color="#ffffff", fill_alpha=0.75,
            line_color="#202020", line_width=1,
        )  # fmt: skip
        self.root.segment(
            "left", "middle", "right", "middle", source=self._boxes, line_color="#202020", line_width=2.5
        )  # fmt: skip
        tips = [
            ("group", "@group"), ("values", "@n"), ("median", "@middle{%.4g}"),
            ("quartiles", "@low{%.4g} and @high{%.4g}"), ("mean", "@mean{%.4g}"),
        ]  # fmt: skip
        formats: dict[str, Any] = dict.fromkeys(("@middle", "@low", "@high", "@mean"), "printf")
        self.root.add_tools(HoverTool(renderers=[boxes], tooltips=tips, formatters=formats))
        tips = [("group", "@group"), ("item", "@name"), ("value", "@y{%.4g}")]
        self.root.add_tools(HoverTool(renderers=[points], tooltips=tips, formatters={"@y": "printf"}))
        self._caption = add_caption(self.root)

    def show(
        self,
        groups: Mapping[str, Float[np.ndarray, " n"]],
        *,
        quantity: str,
        of: str = "",
        title: str = "",
        colours: Mapping[str, str] | None = None,
        names: Mapping[str, Sequence[Any]] | None = None,
        note: str = "",
    ) -> None:
        """Show groups from left to right.

        Parameters
        ----------
        groups : mapping of str to (n,) float
            Values that are not finite are left out, and counted below.
        quantity : str
            What the values are, with their unit.
        of : str
            What the groups are, for the horizontal axis.
        title : str
        colours : mapping of str to `#rrggbb`, optional
            One for each group.
        names : mapping of str to sequence, optional
            What each value belongs to, for the hover box.
        note : str
            Said below.

        Raises
        ------
        NetgeomError
            For no group or more than 24, and for groups that are no lists of numbers.
        """
        columns = {literal(name): np.asarray(values, dtype=float) for name, values in groups.items()}
        if not 1 <= len(columns) <= GROUPS or any(column.ndim != 1 for column in columns.values()):
            raise NetgeomError(
                "These are no groups of numbers.", expected=f"1 to {GROUPS} groups of (n,) numbers",
                got=f"{len(columns)} groups, shapes {[column.shape for column in columns.values()][:4]}",
            )  # fmt: skip
        fills = {literal(name): colour for name, colour in (colours or {}).items()}
        default = palettes.OKABE_ITO[0]
        kept = {name: column[np.isfinite(column)] for name, column in columns.items()}
        self._draw_shapes(kept, [fills.get(name, default) for name in columns])
        self._draw_points(columns, [fills.get(name, default) for name in columns], names or {}, list(groups))
        self._draw_boxes(kept)
        name_ticks(self.root.xaxis[0], np.arange(len(columns)), list(columns))
        longest = _LETTER * max(map(len, columns))
        crowded = longest * len(columns) > _WIDTH
        self.root.xaxis[0].major_label_orientation = 0.6 if crowded else 0.0
        fit_range(self._x, -0.6, len(columns) - 0.4)
        fit_range(self._y, *limits(*kept.values()), margin=0.08)
        self.root.yaxis[0].axis_label, self.root.xaxis[0].axis_label = literal(quantity), literal(of)
        self.root.title.text = literal(title or quantity)
        missing = sum(len(columns[name]) - len(kept[name]) for name in columns)
        few = [name for name, column in kept.items() if len(column) < _FEWEST]
        said = [f"{missing:,} without a value." if missing else ""]
        said.append(f"Points only, fewer than {_FEWEST}: {', '.join(few)}." if few and len(few) < len(kept) else "")
        say(self._caption, *said, literal(note), width=46)
        lines = self._caption.text.count("\n") + 1 if self._caption.text else 0
        self.root.height = self._height + _LINE * lines + int(0.6 * longest * crowded)  # none of it from the frame

    def _draw_shapes(self, groups: Mapping[str, np.ndarray], fills: Sequence[str]) -> None:
        found = [
            (at, outline(values), fill) for at, (values, fill) in enumerate(zip(groups.values(), fills, strict=True))
        ]
        shown = [(at, shape, fill) for at, shape, fill in found if shape is not None]
        self._shapes.data = {
            "xs": [at + _HALF * shape[:, 0] for at, shape, _ in shown],
            "ys": [shape[:, 1] for _, shape, _ in shown],
            "fill": [fill for _, _, fill in shown],
        }

    def _draw_points(
        self, columns: Mapping[str, np.ndarray], fills: Sequence[str], names: Mapping[str, Any], keys: list[str]
    ) -> None:  # fmt: skip
        rows: dict[str, list[Any]] = {name: [] for name in self._points.data}
        for at, (name, values) in enumerate(columns.items()):
            there = np.flatnonzero(np.isfinite(values))
            # Places that fill the width evenly, the same every time: multiples of the golden ratio.
            spread = (np.arange(len(there)) * (math.sqrt(5) - 1) / 2 + 0.5) % 1
            listed = names.get(keys[at])
            rows["x"] += (at + _JITTER * (2 * spread - 1)).tolist()
            rows["y"] += values[there].tolist()
            rows["fill"] += [fills[at]] * len(there)
            rows["group"] += [name] * len(there)
            rows["name"] += [literal(row if listed is None else listed[row]) for row in there.tolist()]
        self._points.data = rows

    def _draw_boxes(self, groups: Mapping[str, np.ndarray]) -> None:
        shown = [(at, name, values) for at, (name, values) in enumerate(groups.items()) if len(values)]
        quartiles = np.array([np.quantile(values, [0.25, 0.5, 0.75]) for _, _, values in shown]).reshape(-1, 3)
        places = np.array([at for at, _, _ in shown], dtype=float)
        self._boxes.data = {
            "x": places, "left": places - _BOX, "right": places + _BOX, "low": quartiles[:, 0],
            "middle": quartiles[:, 1], "high": quartiles[:, 2], "group": [name for _, name, _ in shown],
            "n": [f"{len(values):,}" for _, _, values in shown],
            "mean": [float(values.mean()) for _, _, values in shown],
        }  # fmt: skip


def outline(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "m 2"] | None:
    """The outline of a violin of finite values, its half width 1 where it is widest; None where there are too few.

    A Gaussian kernel density of Scott's width n^(-1/5) standard deviations, cut at the least and greatest value.
    """
    values = np.asarray(values, dtype=float)
    deviation = float(values.std(ddof=1)) if len(values) >= _FEWEST else 0.0
    if not deviation > 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
        return None
    at = np.linspace(values.min(), values.max(), _STEPS)
    width = deviation * len(values) ** -0.2
    density = np.exp(-0.5 * ((at[:, None] - values[None]) / width) ** 2).sum(axis=1)
    density /= density.max()
    return np.column_stack([np.r_[density, -density[::-1]], np.r_[at, at[::-1]]])


def violins(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, " n"]]],
    *,
    of: str | Mapping[str, str] = "",
    titles: Mapping[str, str] | None = None,
    colours: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    height: int = 260,
) -> LayoutDOM:
    """Violins of several quantities beside each other, for scripts and notebooks.

    Parameters
    ----------
    panels : mapping of quantity to mapping of group to (n,) float
        ``{"accuracy": {"100 epochs": accuracies, "150 epochs": ...}, "entropy (nats)": {...}}``.
    of : str, or mapping of quantity to str
        What the groups are: "epochs", "batch size".
    titles, notes : mapping of quantity to str, optional
        Above each panel, its quantity by default; and said below it.
    colours : mapping of group to `#rrggbb`, optional
    height : int
        Of a panel without its caption, in pixels.

    Returns
    -------
    bokeh.models.Row

    Raises
    ------
    NetgeomError
        As `ViolinPanel.show`.

    Examples
    --------
    >>> violins({"accuracy": {f"{n}": accuracies[n] for n in (100, 150, 300)}}, of="epochs")  # doctest: +SKIP
    """
    parts = []
    for quantity, groups in panels.items():
        part = ViolinPanel(height)
        part.show(
            groups, quantity=quantity, of=of if isinstance(of, str) else of.get(quantity, ""),
            title=(titles or {}).get(quantity, ""), colours=colours, note=(notes or {}).get(quantity, ""),
        )  # fmt: skip
        parts.append(part.root)
    return wrapping_row(*parts, spacing=6)

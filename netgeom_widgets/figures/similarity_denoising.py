"""What a network makes of noisy targets: their averages over similar inputs, and the noise that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, LayoutDOM, Range1d, Slope
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import (
    KeyLegend,
    add_caption,
    fit_range,
    limits,
    make_plot,
    number,
    say,
    wrapping_row,
)
from netgeom_widgets.figures.sample_labels import MARKERS
from netgeom_widgets.figures.stairs import StairsPlot, bin_edges
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import GRID

#: Pixels of a plot at least: two fit beside each other in a wide cell only.
_LEAST = 290
#: Outputs that get a colour of their own; points from which on they are drawn smaller.
_OUTPUTS, _CROWD = 8, 600


class DenoisingFigure:
    """Targets against their average over similar inputs, and the factors of the noise; ``root`` is a Bokeh row."""

    def __init__(self, height: int = 280) -> None:
        self._axes = [Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2)]
        self._plot = make_plot(height, x_range=self._axes[0], y_range=self._axes[1], min_width=_LEAST)
        self._plot.add_layout(Slope(gradient=1, y_intercept=0, line_color=GRID, line_dash="dashed", line_width=1.5))
        self._source = ColumnDataSource({name: [] for name in ("x", "y", "id", "output", "colour", "marker")})
        self._dots = self._plot.scatter(
            "x", "y", source=self._source, size=6, marker="marker", fill_color="colour", fill_alpha=0.7, line_color=None
        )
        tips = "<div>input <b>@id</b> @output</div><div>target <b>@x{0.[0000]}</b>, average <b>@y{0.[0000]}</b></div>"
        self._plot.add_tools(HoverTool(renderers=[self._dots], tooltips=tips))
        self._legend, self._caption = KeyLegend(self._plot, "above", width=240), add_caption(self._plot)
        self._plot.title.text = "Targets, averaged over similar inputs"
        self._plot.xaxis[0].axis_label = "target"
        self._plot.yaxis[0].axis_label = "average over similar inputs"
        self._factors = StairsPlot(height - 30, what="factor")
        self._factors.root.min_width = _LEAST
        self.root = wrapping_row(self._plot, self._factors.root)

    def draw(
        self,
        estimate: Float[np.ndarray, "n ..."],
        targets: Float[np.ndarray, "n ..."],
        factor: Float[np.ndarray, " n"],
        *,
        ids: Iterable[int] | None = None,
    ) -> None:
        """Show what `netgeom_widgets.kernels.similarity.denoise` gives.

        Parameters
        ----------
        estimate, targets : (n,) or (n, d) float
            NaN where the estimate is not defined.
        factor : (n,) float
            The standard deviation of what is left of a target's noise of standard deviation 1.
        ids : iterable of int, optional
            Sample ids; 0, 1, ... by default.

        Raises
        ------
        NetgeomError
            Where they have different shapes.
        """
        y, x, left = (np.asarray(values, dtype=float) for values in (estimate, targets, factor))
        y, x = y.reshape(len(y), -1), x.reshape(len(x), -1)
        if y.shape != x.shape or left.shape != (len(y),):
            raise NetgeomError(
                "Estimate, targets and factor do not belong together.", expected="(n, d), (n, d) and (n,)",
                got=f"{y.shape}, {x.shape}, {left.shape}",
            )  # fmt: skip
        self._draw_points(x, y, np.arange(len(y)) if ids is None else np.fromiter(ids, dtype=np.int64))
        self._draw_factors(left)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of an input that the user taps."""
        on_tap(self._plot, lambda event: nearest_id(self._plot, self._source, event), act)

    def _draw_points(self, x: np.ndarray, y: np.ndarray, ids: np.ndarray) -> None:
        rows, outputs = np.nonzero(np.isfinite(y) & np.isfinite(x))
        kinds = range(y.shape[1])
        looks = [(f"output {at}", palettes.OKABE_ITO[at % _OUTPUTS], MARKERS[at % len(MARKERS)]) for at in kinds]
        names, colours, markers = ([look[part] for look in looks] for part in range(3))
        self._dots.glyph.size = 6 if len(rows) <= _CROWD else 3
        self._source.data = {
            "x": x[rows, outputs],
            "y": y[rows, outputs],
            "id": ids[rows],
            "output": [names[at] if len(names) > 1 else "" for at in outputs.tolist()],
            "colour": [colours[at] for at in outputs.tolist()],
            "marker": [markers[at] for at in outputs.tolist()],
        }
        self._legend.set(looks if 1 < len(looks) <= _OUTPUTS else [])
        for axis, values in zip(self._axes, (x, y), strict=True):
            fit_range(axis, *limits(values[rows, outputs]), margin=0.05)
        gone = x.size - len(rows)
        say(self._caption, "Dashed: equal.", f"Not defined: {gone:,} of {x.size:,}." if gone else "", width=44)

    def _draw_factors(self, factor: np.ndarray) -> None:
        finite = factor[np.isfinite(factor)]
        edges = bin_edges(finite)
        words = f"Median {number(float(np.median(finite)))}; below 1, noise is damped." if len(finite) else ""
        missing = f"Not defined for {len(factor) - len(finite):,}." if len(finite) < len(factor) else ""
        self._factors.draw(
            edges, {"inputs": np.histogram(finite, edges)[0].astype(float) if len(edges) else np.empty(0)},
            title="Noise that the average leaves", labels=("factor of the standard deviation", "inputs"), noun="inputs",
            caption=[words, missing],
        )  # fmt: skip


def denoising_picture(denoised: Any, targets: Float[np.ndarray, "n ..."]) -> LayoutDOM:
    """A `Denoised` in pictures, for scripts and notebooks; see `DenoisingFigure.draw`.

    Examples
    --------
    >>> denoising_picture(denoise(model, inputs, targets), targets)  # doctest: +SKIP
    """
    part = DenoisingFigure()
    part.draw(denoised.estimate, targets, denoised.factor)
    return part.root

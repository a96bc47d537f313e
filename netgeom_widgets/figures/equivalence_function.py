"""The function at one point of a slice against the targets: a curve over one input, else output against target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, HoverTool, Range1d
from jaxtyping import Float

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import KeyLegend, add_caption, fit_range, limits, literal, make_plot, number, say
from netgeom_widgets.figures.sample_labels import MARKERS
from netgeom_widgets.figures.taps import nearest_id, on_tap
from netgeom_widgets.figures.theme import GRID, PICKED

#: Marks at most: of more samples and outputs every so-manieth sample is drawn, and it is said.
_MOST = 3000
#: Outputs that get a colour and an entry each; further ones are left out, and it is said.
_OUTPUTS = 10
_TARGET = "#7F7F7F"


class FunctionPicture:
    """Outputs of one parameter vector on the samples; ``root`` is the plot.

    With one input the function is a curve and the targets are dots over it. With more, each sample is a mark: its
    target across, the output up, so that a member has all of them on the diagonal.

    Parameters
    ----------
    inputs : (N, ...) float
    targets : (N, C) float
    height : int
        Pixels.
    """

    def __init__(self, inputs: Any, targets: Any, height: int = 260, **options: Any) -> None:
        self._targets = _as_columns(targets)
        flat = np.asarray(inputs, dtype=np.float64).reshape(len(self._targets), -1)
        self.is_curve = flat.shape[1] == 1
        self._n, outputs = self._targets.shape
        self._kept = np.arange(0, self._n, max(1, -(-self._n * min(outputs, _OUTPUTS) // _MOST)))
        self._shown = min(outputs, _OUTPUTS)
        self._across = flat[:, 0] if self.is_curve else None
        self._x, self._y = (Range1d(0, 1, reset_start=0, reset_end=1) for _ in range(2))
        options = {"tools": ("pan", "wheel_zoom", "reset"), "name": "function at the point"} | options
        self.root = make_plot(height, x_range=self._x, y_range=self._y, title="Function at the point", **options)
        self.root.xaxis[0].axis_label = "input x" if self.is_curve else "target"
        self.root.yaxis[0].axis_label = "output f(x)" if self.is_curve else "output"
        self._colours = palettes.categorical(max(self._shown, 1))
        self._add_marks()
        signs = 2 * self._shown + 1 if self.is_curve else self._shown + 1
        self._legend = KeyLegend(self.root, "above", width=430, room=signs)
        self._caption = add_caption(self.root)
        self._outputs: np.ndarray | None = None
        self._draw_targets()

    def show(
        self,
        outputs: Float[np.ndarray, "N C"],
        *,
        relative_loss: float | None = None,
        loss: float | None = None,
        curve: tuple[Float[np.ndarray, " m"], Float[np.ndarray, "m C"]] | None = None,
        title: str | None = None,
        note: str = "",
    ) -> None:
        """Show the outputs on the samples; the targets stay.

        Parameters
        ----------
        outputs : (N, C) float
        relative_loss, loss : float, optional
            R and J there, for the caption.
        curve : ((m,), (m, C)) float, optional
            For one input: the function at more inputs than the samples, increasing.
        title, note : str, optional
        """
        values = np.asarray(outputs, dtype=np.float64).reshape(self._n, -1)
        if values.shape != self._targets.shape:
            raise NetgeomError("The outputs are not those of these samples.", expected=f"{self._targets.shape}",
                               got=f"{values.shape}")  # fmt: skip
        self._outputs = values
        if self.is_curve and self._across is not None:
            order = np.argsort(self._across, kind="stable")
            x, y = (self._across[order], values[order]) if curve is None else map(np.asarray, curve)
            y = np.asarray(y, dtype=float).reshape(len(x), -1)
            self._curves.data = {
                "xs": [x] * self._shown, "ys": [y[:, at] for at in range(self._shown)],
                "colour": list(self._colours), "name": self._names(),
            }  # fmt: skip
            fit_range(self._y, *limits(self._targets[:, : self._shown], y[:, : self._shown]), margin=0.08)
        else:
            self._marks.data = self._marks.data | {"y": values[self._kept][:, : self._shown].T.ravel()}
            ends = limits(self._targets[:, : self._shown], values[:, : self._shown])
            fit_range(self._y, *ends, margin=0.08)
        self.root.title.text = literal(title) if title is not None else "Function at the point"
        say(self._caption, _loss_words(relative_loss, loss), *self._limits_words(values), literal(note))

    def set_targets(self, targets: Any) -> None:
        """Show other targets (N, C) of the same samples."""
        targets = _as_columns(targets)
        if not np.array_equal(targets, self._targets):
            self._targets = targets
            self._draw_targets()

    def clear(self, why: str) -> None:
        """Show the targets only, and why there is nothing else."""
        self._outputs = None
        if self.is_curve:
            self._curves.data = {name: [] for name in self._curves.data}
        else:
            self._marks.data = self._marks.data | {"y": np.full(len(self._marks.data["x"]), np.nan)}
        say(self._caption, why)

    def mark_samples(self, samples: Iterable[int]) -> None:
        """Ring samples by their ids."""
        picked = set(samples)
        rows = [row for row, one in enumerate(np.asarray(self._marks.data["id"]).tolist()) if one in picked]
        self._rings.data = {name: [self._marks.data[name][row] for row in rows] for name in ("x", "y")}

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of a sample that the user taps."""
        on_tap(self.root, lambda event: nearest_id(self.root, self._marks, event), act)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return ["f"] if self._shown == 1 else [f"output {at}" for at in range(self._shown)]

    def _add_marks(self) -> None:
        self._curves = ColumnDataSource({name: [] for name in ("xs", "ys", "colour", "name")})
        self._marks = ColumnDataSource({name: [] for name in ("x", "y", "colour", "marker", "id", "target", "name")})
        self._rings = ColumnDataSource({"x": [], "y": []})
        self._line = ColumnDataSource({"x": [], "y": []})
        self.root.line("x", "y", source=self._line, line_color=GRID, line_dash=[6, 3], line_width=1.5)
        dots = self.root.scatter(
            "x", "y", source=self._marks, marker="marker", size=5, fill_color="colour", fill_alpha=0.7, line_color=None
        )
        dots.nonselection_glyph = dots.selection_glyph = dots.glyph
        self.root.multi_line("xs", "ys", source=self._curves, line_color="colour", line_width=2.4)
        for colour, width in (("#ffffff", 5.0), (PICKED, 2.5)):
            self.root.scatter(
                "x", "y", source=self._rings, size=13, fill_color=None, line_color=colour, line_width=width
            )
        tips = [("sample", "@id"), ("target", "@target{%.4g}")]
        formats: dict[str, Any] = {"@target": "printf", "@y": "printf"}
        if not self.is_curve:
            tips += [("output", "@y{%.4g}"), ("of", "@name")]
        self.root.add_tools(HoverTool(renderers=[dots], tooltips=tips, formatters=formats))

    def _draw_targets(self) -> None:
        targets, shown = self._targets[self._kept][:, : self._shown].T, self._shown
        m = len(self._kept)
        names, ids = self._names(), np.tile(self._kept, shown)
        columns = {"id": ids, "target": targets.ravel(), "name": np.repeat(names, m).tolist()}
        low, high = limits(self._targets[:, :shown])
        signs = [(name, colour, "dash") for name, colour in zip(names, self._colours, strict=True)]
        if self._across is not None:
            fills = [_TARGET] * (m * shown) if shown == 1 else np.repeat(self._colours, m).tolist()
            columns |= {"x": np.tile(self._across[self._kept], shown), "y": targets.ravel(), "colour": fills}
            fit_range(self._x, *limits(self._across), margin=0.03)
            said = [("target", _TARGET, "circle")] if shown == 1 else [("targets: dots", GRID, "circle")]
            self._legend.set([*said, *signs])
        else:
            columns |= {"x": targets.ravel(), "y": np.full(m * shown, np.nan)}
            columns["colour"] = np.repeat(self._colours, m).tolist()
            self._line.data = {"x": [low, high], "y": [low, high]}
            fit_range(self._x, low, high, margin=0.05)
            marks = [(name, colour, MARKERS[at % len(MARKERS)]) for at, (name, colour, _) in enumerate(signs)]
            self._legend.set([*(marks if shown > 1 else []), ("output = target", GRID, "dash")])
        kinds = [MARKERS[0]] * shown if self.is_curve else [MARKERS[at % len(MARKERS)] for at in range(shown)]
        columns["marker"] = np.repeat(kinds, m).tolist()
        self._marks.data = columns
        fit_range(self._y, low, high, margin=0.08)

    def _limits_words(self, values: np.ndarray) -> list[str]:
        """What is not drawn."""
        words = []
        if len(self._kept) < self._n:
            words.append(f"Shown: {len(self._kept):,} of {self._n:,} samples.")
        if self._targets.shape[1] > self._shown:
            words.append(f"Shown: outputs 0 to {self._shown - 1} of {self._targets.shape[1]}.")
        if missing := int((~np.isfinite(values)).sum()):
            words.append(f"{missing:,} outputs are not finite.")
        return words


def _as_columns(targets: Any) -> Float[np.ndarray, "N C"]:
    targets = np.asarray(targets, dtype=np.float64)
    return targets[:, None] if targets.ndim == 1 else targets


def _loss_words(relative_loss: float | None, loss: float | None) -> str:
    said = [f"{name} = {number(value)}" for name, value in (("R", relative_loss), ("J", loss)) if value is not None]
    return f"Here {', '.join(said)}." if said else ""

"""A small analysis for the tests of the base: slow, failing, cancelled and restarted at will. Also run in notebooks."""

from __future__ import annotations

import time
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.events import RangesUpdate, Tap
from bokeh.models import LayoutDOM
from bokeh.plotting import figure

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets import AnalysisWidget


class Squares(AnalysisWidget):
    """Squares of whole numbers, one by one."""

    title = "Squares"
    count = traitlets.Int(8, min=1, max=60, help="How many squares").tag(setting="run")
    power = traitlets.Float(2.0, min=0.5, max=4.0, help="Exponent").tag(setting="run", step=0.5)
    delay = traitlets.Float(0.0, min=0.0, max=5.0, help="Seconds for each square").tag(setting="costly", label="Delay")
    colour = traitlets.Enum(["blue", "orange"], "blue", help="Colour of the dots").tag(
        setting="draw", texts={"blue": "Blue"}
    )
    joined = traitlets.Bool(True, help="Join the dots").tag(setting="draw")
    name = traitlets.Unicode("squares", help="Title of the figure").tag(setting="draw")
    bad = traitlets.Enum(["no", "raise", "draw"], "no", help="What goes wrong").tag(setting="run", control=False)
    dot = traitlets.Int(None, allow_none=True, help="The picked dot.").tag(setting="mark")

    def __init__(self, samples: int | None = 60, **kwargs: Any) -> None:
        self.samples = samples
        self.draws: list[tuple[int, bool]] = []
        self.ranges: list[RangesUpdate] = []
        super().__init__(**kwargs)

    def _sample_ids(self) -> range | None:
        return None if self.samples is None else range(self.samples)

    def _validate(self, settings: dict[str, Any]) -> None:
        if settings["count"] > 50 and settings["power"] > 3:
            error = NetgeomError("Too many squares.", expected="count up to 50", got=str(settings["count"]))
            error.setting = "count"
            raise error

    def _make_root(self) -> LayoutDOM:
        self.figure = figure(height=320, tools="pan,wheel_zoom,reset", active_scroll="wheel_zoom", title=self.name)
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = "number", "square"
        self.line = self.figure.line([], [], line_width=2)
        self.dots = self.figure.scatter([], [], size=12)
        self.mark = self.figure.scatter([], [], size=20, fill_alpha=0, line_color="black", line_width=3)
        self.figure.on_event(Tap, self._tapped)
        self.figure.on_event(RangesUpdate, self.ranges.append)
        return self.figure

    def _panels(self) -> list[ipywidgets.Widget]:
        self.side = ipywidgets.Label("side panel", tooltip="A panel")
        return [self.side]

    def _tapped(self, event: Tap) -> None:
        if self.result is not None and event.x is not None:
            self.dot = min(max(round(event.x), 0), len(self.result) - 1)
            self.selection = (self.dot,)

    def _compute(self, settings: dict[str, Any], *, progress: Any, cancel: Any, publish: Any) -> np.ndarray:
        values: list[float] = []
        for i in range(settings["count"]):
            cancel.checkpoint()
            until = time.monotonic() + settings["delay"]
            while time.monotonic() < until:
                cancel.checkpoint()
                time.sleep(0.005)
            if settings["bad"] == "raise" and i == 3:
                raise ZeroDivisionError(f"no square of {i} today: {settings['name']}")
            values.append(i ** settings["power"])
            progress.update(i + 1, settings["count"], f"square {i + 1} of {settings['count']}")
            publish(np.array(values))
        return np.array(values)

    def _draw(self, result: np.ndarray, settings: dict[str, Any], *, final: bool) -> None:
        if settings["bad"] == "draw":
            raise RuntimeError("cannot draw this")
        self.draws.append((len(result), final))
        for renderer in (self.line, self.dots):
            renderer.data_source.data = {"x": np.arange(len(result)), "y": result}
        self.dots.glyph.fill_color = {"blue": "#0072b2", "orange": "#e69f00"}[settings["colour"]]
        self.line.visible = settings["joined"]
        self.figure.title.text = settings["name"]

    def _draw_marks(self, result: np.ndarray) -> None:
        picked = [] if self.dot is None or self.dot >= len(result) else [self.dot]
        self.mark.data_source.data = {"x": picked, "y": [result[i] for i in picked]}

    def _export_arrays(self) -> dict[str, Any]:
        return {"number": np.arange(len(self.result)), "square": self.result}

    def _summary(self) -> str:
        return "" if self.result is None else f"squares={len(self.result)}"

"""A fold whose content takes time: progress, a button to stop, words, what went wrong, and the figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets
from bokeh.models import LayoutDOM

from netgeom_widgets.widgets.controls import ROW
from netgeom_widgets.widgets.folds import Fold
from netgeom_widgets.widgets.frame import error_html
from netgeom_widgets.widgets.pane import BokehPane


class WorkFold(Fold):
    """A fold that says how far its content has come; it knows no kernel, and calls back.

    Parameters
    ----------
    title, tooltip, toggle
        As for `Fold`.
    stop_or_go : callable
        Called without arguments when the user wants the work to end, or to begin again.
    controls : callable
        Gives what stands above the figure; called once, when the fold is opened: many never are.
    """

    def __init__(
        self,
        title: str,
        tooltip: str,
        toggle: Callable[[bool], None],
        *,
        stop_or_go: Callable[[], None],
        controls: Callable[[], Sequence[ipywidgets.Widget]],
    ) -> None:
        super().__init__(title, tooltip, toggle)
        self._subject, self._stop_or_go, self._make_controls = title.lower(), stop_or_go, controls
        self.pane: BokehPane | None = None

    def show(self, open: bool) -> None:
        """Open or close it."""
        if open and not self.is_filled:
            self._fill()
        super().show(open)

    def _fill(self) -> None:
        self._button_of_work = ipywidgets.Button(icon="stop", layout={"width": "36px", "display": "none"})
        self._button_of_work.on_click(lambda _: self._stop_or_go())
        self._bar = ipywidgets.FloatProgress(
            min=0.0,
            max=1.0,
            tooltip="How far the computation has come",
            layout={"width": "160px", "margin": "2px 8px", "display": "none"},
        )
        self._words = ipywidgets.Label(tooltip="What is shown here", layout={"min_width": "0", "flex": "1 1 200px"})
        self._words.add_class("netgeom-status")
        self._error = ipywidgets.HTML(layout={"display": "none"})
        self._error.add_class("netgeom-error")
        row = ipywidgets.Box([self._button_of_work, self._bar, self._words], layout=ROW)
        controls = list(self._make_controls())
        above = [ipywidgets.Box(controls, layout=ROW)] if controls else []
        for box in above:
            box.add_class("netgeom-controls")
        self._top: list[ipywidgets.Widget] = [*above, row, self._error]
        self.fill(self._top)

    def add_figure(self, root: LayoutDOM, below: Sequence[ipywidgets.Widget], **options: Any) -> BokehPane:
        """Put a figure into it, and what stands below; ``options`` go to `BokehPane`."""
        self.pane, self._below = BokehPane(root, **options), ipywidgets.VBox(list(below))
        self.fill([*self._top, self.pane, self._below])
        return self.pane

    def work(self, fraction: float, text: str) -> None:
        """Show that something is computed."""
        self._show_work("stop")
        self._bar.value = fraction
        self._words.value = text

    def done(self, words: str) -> None:
        """Show that it is finished, and what it says."""
        self._show_work("")
        self._words.value = words
        self._show_figure(True)

    def explain(self, words: str) -> None:
        """Say why there is nothing to show."""
        self.done(words)
        self._show_figure(False)

    def stopped(self, *, part: bool) -> None:
        """Show that the work was stopped; ``part`` says whether a part of it is shown."""
        self.explain("stopped")
        self._show_figure(part)
        self._show_work("play")

    def failed(self, error: BaseException) -> None:
        """Show what went wrong in place of the figure."""
        self.explain("")
        self._error.value = error_html(error)
        self._error.layout.display = None

    def say(self, words: str) -> None:
        """Say something on what is shown."""
        self._words.value = words

    @property
    def words(self) -> str:
        """What it says at present."""
        return str(self._words.value) if self.is_filled else ""

    def _show_work(self, icon: str) -> None:
        """The button stops, goes on, or is not there."""
        self._bar.layout.display = None if icon == "stop" else "none"
        self._button_of_work.layout.display = None if icon else "none"
        if icon:
            self._button_of_work.icon = icon
            self._button_of_work.tooltip = f"{'Stop' if icon == 'stop' else 'Start'} computing: {self._subject}"

    def _show_figure(self, shown: bool) -> None:
        self._error.layout.display = "none"
        if self.pane is not None:
            self.pane.layout.display = self._below.layout.display = None if shown else "none"

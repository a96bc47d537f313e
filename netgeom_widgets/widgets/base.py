"""AnalysisWidget: what all five widgets have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar

import ipywidgets
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.widgets.comms import hear_beside_cells
from netgeom_widgets.widgets.controls import close_tree
from netgeom_widgets.widgets.frame import WRAP, Frame
from netgeom_widgets.widgets.outputs import Outputs
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.runs import Runs
from netgeom_widgets.widgets.settings import SampleIds, Settings, ids_in_words, shortened

Publish = Callable[[Any], None]


class AnalysisWidget(Outputs, Runs, Settings, ipywidgets.VBox):
    """A figure of a computation that runs in the background, with controls made from the traits of the subclass.

    A subclass sets what its computation needs, then calls ``super().__init__(**kwargs)`` last, and supplies the methods
    under "what subclasses say". Traits tagged ``setting="run"`` start a new run when they change, ``"draw"`` only draw
    again, ``"costly"`` wait for Run, ``"mark"`` only call :meth:`_draw_marks`; they are constructor keywords too. The
    control of a setting tagged ``bar=True`` is left to :meth:`_bars` to place.

    Parameters
    ----------
    autorun : bool
        Start the first run at once. With False nothing starts by itself before :meth:`run` was called.
    static_picture : bool
        Store a picture of the finished run in the notebook, under the widget.
    **kwargs
        Settings, ``selection`` and traits of ``ipywidgets.VBox`` such as ``layout``.
    """

    selection = SampleIds(help="Ids of the selected samples.")

    title: ClassVar[str] = ""

    _maker: Any = None  # what keeps results between the runs of a subclass, where it has such
    _drawn: Any = None  # what the figure shows, where a subclass compares with it

    def __init__(self, *, autorun: bool = True, static_picture: bool = True, **kwargs: Any) -> None:
        self._setup_runs(static_picture=static_picture)
        names = self.trait_names()
        tagged = {name for name in names if self.trait_metadata(name, "setting")}
        given = {name: kwargs.pop(name) for name in list(kwargs) if name in tagged | {"selection"}}
        unknown = sorted(set(kwargs) - set(names))
        if unknown:
            known = ", ".join(sorted(tagged))
            raise NetgeomError("There is no such keyword.", expected=f"settings {known}", got=", ".join(unknown))
        super().__init__(**kwargs)
        try:
            self._setup_settings(given)
            self._build()
        except BaseException:
            self.close()
            raise
        self._waits_for_run = not autorun
        self._applied = self._snapshot()
        if autorun:
            self.run()

    # ---- what subclasses say

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish) -> Any:
        """The result, computed on the worker's thread from the settings; ``publish(partial)`` shows a first part."""
        raise NotImplementedError

    def _result_of(self, computed: Any) -> Any:
        """What ``result`` holds of what :meth:`_compute` returned, which may carry more that drawing needs."""
        return computed

    def _draw(self, result: Any, settings: dict[str, Any], *, final: bool) -> None:
        """Change the Bokeh models to show a result; called with the lock held."""
        raise NotImplementedError

    def _draw_marks(self, result: Any) -> None:
        """Change the Bokeh models to show selection and marks; called with the lock held, after each final draw too."""

    def _make_root(self) -> LayoutDOM:
        """The Bokeh model to show; called once."""
        raise NotImplementedError

    def _panels(self) -> Iterable[ipywidgets.Widget]:
        """Plain ipywidgets to place beside the figure (under it where the cell is narrow)."""
        return ()

    def _bars(self) -> list[ipywidgets.Widget]:
        """Plain ipywidgets that stand in rows of their own above the figure."""
        return []

    def _export_arrays(self) -> dict[str, Any]:
        """Arrays of the result by name, for :meth:`export_data`."""
        return {}

    def _export_table(self) -> dict[str, Any]:
        """Columns of one table, for :meth:`export_data` to a csv file; the arrays themselves where these fit."""
        return self._export_arrays()

    def _sample_ids(self) -> Collection[int] | None:
        """Ids of the samples, where known, as something that ``in`` searches fast; ``selection`` is checked by it."""
        return None

    def _summary(self) -> str:
        """A few words on the result, for the status line and the repr."""
        return ""

    @traitlets.validate("selection")
    def _check_selection(self, proposal: Any) -> tuple[int, ...]:
        ids, known = proposal["value"], self._sample_ids()
        missing = [i for i in ids if i < 0 or (known is not None and i not in known)]
        if missing:
            got = shortened(missing)
            raise NetgeomError("There is no such sample.", expected=f"ids {ids_in_words(known)}", got=got)
        return ids

    # ---- building and closing

    def _build(self) -> None:
        """Put the figure, the controls and the frame together."""
        self._frame = Frame(run=self._run_pressed, cancel=self.cancel, reset=self._reset, export=self._export_here)
        root = self._make_root()
        pane_layout = {"flex": "3 1 420px", "min_width": "0", "width": "auto"}
        self.pane = BokehPane(root, lock=self._lock, on_error=self._fail, label=self._title(), layout=pane_layout)
        with self.pane.batch():  # what panels add to the figure is taken into its document at once, not mark by mark
            panels = list(self._panels())
        for panel in panels:
            panel.layout.flex = panel.layout.flex or "1 1 260px"
            panel.layout.min_width = panel.layout.min_width or "0"
        row = [control.box for name, control in self._controls.items() if not self.trait_metadata(name, "bar")]
        controls = ipywidgets.Box(row, layout=WRAP)
        body = ipywidgets.Box([self.pane, *panels], layout={"flex_flow": "row wrap", "overflow": "visible"})
        body.add_class("netgeom-body")
        frame = self._frame
        bars = self._bars()
        for box in (controls, frame.buttons, *bars, *panels):
            box.add_class("netgeom-controls")
        self.add_class("netgeom-widget")
        # What a run says stands beside the buttons that start it: under the figure it is often out of sight.
        self.children = (controls, frame.buttons, frame.error, *bars, body)
        hear_beside_cells(self)
        self.observe(lambda change: setattr(frame.status, "value", change["new"]), "message")
        self.observe(lambda change: setattr(frame.progress, "value", change["new"]), "progress")
        self.observe(lambda change: frame.show_status(change["new"]), "status")
        self.observe(self._redraw_marks, ["selection", *self._marks])

    def _check_open(self) -> None:
        if self._closed:
            raise NetgeomError("The widget is closed.", try_this="run the cell that made it again")

    def close(self) -> None:
        """End the computation and free threads, connections and the figure's document. May be called twice.

        ``result`` stays readable. In the notebook a line of text takes the widget's place, over the stored picture.
        """
        if self.__dict__.get("_closed", True):  # also when __init__ never came to run and __del__ calls this
            super().close()
            return
        text = f"{type(self).__name__} was closed: run the cell again."
        self._closed = True
        for worker in self._workers:
            worker.close()
        if self._stored is not None:
            self._stored.retire(text)
        self._shown = self._last_good = self._drawn = None
        if self._maker is not None:
            self._maker.forget()
        self.unobserve_all()
        controls = getattr(self, "_controls", {}).values()  # not yet among the children when construction failed
        for part in (*self.children, *(control.box for control in controls)):
            close_tree(part)
        self.layout.close()
        super().close()

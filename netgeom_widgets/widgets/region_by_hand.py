"""Mixin of the region explorer: the slice chosen by hand, with the controls of its bar and clicks into the data."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_scatter import SampleScatter
from netgeom_widgets.figures.region_text import slice_words
from netgeom_widgets.kernels.regions.planes import Motion, bounds_of, box_around, box_of, principal_components
from netgeom_widgets.widgets.controls import Control, close_tree
from netgeom_widgets.widgets.pane import BokehPane
from netgeom_widgets.widgets.region_slice import Clicks, SliceBar, box_bounds, box_fields
from netgeom_widgets.widgets.region_slicing import MOTION, OFF_PLANE, Slicing


class ByHand(Slicing):
    """The slice bar: a box for two inputs, else three samples by id or by click; sliders that move the slice."""

    by_hand = traitlets.Bool(False, help="Whether the controls that choose the slice are shown.").tag(setting="mark")

    _scatter: SampleScatter | None = None
    _slice_bar: SliceBar | None = None
    _box: Control | None = None
    _clickable = _scatter_asked = False

    def _bars(self) -> list[ipywidgets.Widget]:
        self._clicks = Clicks()
        flat, controls = self.start.u.size == 2, self._controls  # type: ignore[attr-defined]
        if flat:
            self._box = Control("domain", box_fields(), self._assign_box, "four numbers")
        self._clickable = not flat and len(self._dataset) >= 3
        rows = [self._box.box] if self._box is not None else []
        rows += [controls["anchors"].box] if self._clickable else []
        sliders = [controls[name] for name in MOTION if not (flat and name in OFF_PLANE)]
        for slider in sliders:  # one below the other: handles in line
            slider.widget.style.description_width, slider.widget.layout.width = "130px", "380px"
        rows += [slider.box for slider in sliders]
        self._slice_bar = SliceBar(
            rows,
            toggle=self._open_slice,
            back=self.reset_slice,
            fit=self._fit_data if flat and len(self._dataset) else None,
        )
        self._show_slice()
        self._unfold()
        return [*super()._bars(), self._slice_bar]  # type: ignore[misc]

    def _open_slice(self, wanted: bool) -> None:
        self.by_hand = wanted

    @traitlets.observe("by_hand")
    def _unfold(self, _: Any = None) -> None:
        """Show the controls or fold them away; the scatter is made when it is first wanted."""
        if self._slice_bar is None or self._closed:
            return
        self._slice_bar.show(self.by_hand)
        if self.by_hand and self._clickable and not self._scatter_asked:
            self._scatter_asked = True
            self._make_scatter()

    def _show_slice(self) -> None:
        motion = Motion(**{name: getattr(self, name) for name in MOTION})
        moved = (self.start, self.anchors, motion) != (*self._first, Motion())
        start = self.start
        words = slice_words(start.u.size, bounds_of(start), self.anchors, motion, chosen=self._chosen_here)
        self._slice_bar.say(words, moved=moved)
        if self._box is not None:
            self._box.show(bounds_of(self.domain))
        self._clicks.ids = ()
        self._show_clicks()

    def _assign_box(self, _: str, numbers: Any) -> None:
        if numbers is not None and numbers != bounds_of(self.domain):  # shown anew, it is nothing new
            self.domain = box_of(box_bounds(numbers), self.start.u.shape)

    def _fit_data(self) -> None:
        self.domain = box_around(self._dataset.inputs)

    def _make_scatter(self) -> None:
        """Show the data beside the controls, once their principal components are computed."""

        def make() -> None:
            found = principal_components(self._dataset.inputs, 2)
            scatter = SampleScatter(found.points, found.shares.tolist(), self._dataset.labels)
            scatter.on_sample(self._clicked)
            scatter.on_lasso(self._on_lasso)
            layout = {"flex": "1 1 300px", "min_width": "0", "width": "auto", "max_width": "640px"}
            self._scatter_pane = BokehPane(
                scatter.root, lock=self._lock, on_error=self._fail, label="Samples", layout=layout
            )
            if self._closed:
                close_tree(self._scatter_pane)
                return
            self._scatter = scatter
            self._show_clicks()
            self._slice_bar.add(self._scatter_pane)
            self.observe(self._show_clicks, "selection")

        self._slice_bar.hint("Computing the principal components of the samples …")
        self._keeper.submit(lambda progress, cancel: make(), key="scatter").add_done_callback(self._job_ended)

    def _mark_scatter(self) -> None:
        if self._scatter is not None:
            with self._scatter_pane.batch():
                self._scatter.mark(self._clicks.ids or self.anchors or (), self.selection)

    def _clicked(self, sample: int) -> None:
        """Answer a click on a sample of the scatter; the third one lays the plane."""
        three = self._clicks.click(sample)
        if three is not None:
            try:
                self.anchors = three
            except NetgeomError as error:
                self._controls["anchors"].say(str(error))
        self._show_clicks()

    def _show_clicks(self, _: Any = None) -> None:
        self._slice_bar.hint(self._clicks.words)
        if self._scatter is not None:
            self._paint(self._mark_scatter, "scatter")

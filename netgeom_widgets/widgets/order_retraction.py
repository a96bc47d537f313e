"""OrderRetractionPlot: Morse graph and order retraction of a map, or of training, alive."""

from __future__ import annotations

from typing import Any

import ipywidgets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_scene import RetractionScene
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.frame import remarks_html
from netgeom_widgets.widgets.order_retraction_details import Details
from netgeom_widgets.widgets.order_retraction_exports import Exports
from netgeom_widgets.widgets.order_retraction_folds import Folds
from netgeom_widgets.widgets.order_retraction_picking import Picking
from netgeom_widgets.widgets.order_retraction_picture import Picture, PictureMaker
from netgeom_widgets.widgets.order_retraction_settings import OrderRetractionSettings
from netgeom_widgets.widgets.order_retraction_source import Source
from netgeom_widgets.widgets.order_retraction_space import AXES, BY_NAME
from netgeom_widgets.widgets.order_retraction_view import Viewing
from netgeom_widgets.widgets.order_retraction_words import node_lines, obstruction_lines, remarks, summary
from netgeom_widgets.widgets.steps import Stepping


class OrderRetractionPlot(Folds, Stepping, Details, Viewing, Picking, OrderRetractionSettings, Exports, AnalysisWidget):
    """What a map, or training, does in the long run: its Morse graph, and the tiles of an order retraction onto it.

    Click a node for its Morse set, tile and basin; click a cell for its image, all that it reaches and an orbit. Draw a
    lasso around runs, and they become the selection. What each of these is, and what is exact: see
    :mod:`netgeom_widgets.kernels.order_retraction`.

    Parameters
    ----------
    source : path, Recording, Trajectories, or map
        A recording with several runs and ``parameters=True``, or the runs themselves: a map is fitted from where they
        start to where they end, runs matched by their ids. Or a map, (M, d) -> (M, d), many points at a time: a
        function, a torch module (copied when a run starts), a FittedMap.
    grid : CubicalGrid or (lower, upper), optional
        The domain, and with a CubicalGrid the subdivisions to begin with. A map needs one; without it the domain is a
        box around starts and ends of the runs, or of a FittedMap's pairs, wider by ``margin``.
    std : callable, optional
        Standard deviation of a map that has no method ``std``: (M, d) -> (M, d), for ``method="confidence"``.
    labels : (runs,) array, optional
        What each run is.
    per_run : dict of name to (runs,) array, optional
        Quantities of each run, such as accuracy, that are compared between tiles. The last values of the metrics of a
        recording are there by themselves.
    **kwargs
        Settings (see :attr:`settings`), ``node``, ``grid_cell``, ``selection``, ``step`` (runs are shown up to it),
        ``autorun``, ``static_picture``, ``layout``. Below the figure ``robustness`` shows how often the Morse graph of
        a fitted map comes up when runs are drawn anew, unless it is set to False; ``persistence``, ``run_table``,
        ``statistics``, ``map_check`` and ``spread`` show with True what they are called after.

    Attributes
    ----------
    result : OrderRetraction
        What the kernel returned.
    decomposition : MorseDecomposition
        That the retraction is of.
    map : callable
        The map given, or the FittedMap.
    trajectories : Trajectories or None
        The runs in the coordinates shown; ``selection`` holds their rows, counted from 0.
    ahead : Ahead or None
        Image, reach set and orbit of the picked cell.

    Raises
    ------
    NetgeomError
        Before anything starts: a map without a domain, a recording of one step, quantities that do not fit the runs,
        bad settings.

    Examples
    --------
    >>> plot = OrderRetractionPlot(leslie, ([0, 0], [90, 70]), subdivisions=16)  # doctest: +SKIP
    >>> plot.wait()  # doctest: +SKIP
    >>> plot.result.exists, plot.decomposition.sizes  # doctest: +SKIP
    """

    title = "Morse graph and order retraction"

    def __init__(
        self,
        source: Any,
        grid: Any = None,
        *,
        std: Any = None,
        labels: Any = None,
        per_run: Any = None,
        **kwargs: Any,
    ) -> None:
        self._source = known = Source(source, grid, std=std, labels=labels, per_run=per_run)
        self._maker = PictureMaker(known)
        self._steps = () if known.is_map else tuple(known.steps)
        self._given: Any = None
        self._copies = 0
        self._drawn: tuple[Any, ...] | None = None
        self._unveiled: int | None = None
        for name, value in _defaults(known).items():
            kwargs.setdefault(name, value)
        super().__init__(**kwargs)

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        self._figure = figure = RetractionScene()
        figure.on_cell(lambda cell: self._paint(lambda: self._tapped_cell(cell), "pick"))
        figure.on_node(lambda node: self._paint(lambda: self._tapped_node(node), "pick"))
        if self._source.n_runs:
            figure.plane.runs.offer()  # now: a live plot that gets tools later is laid out wrongly
        figure.plane.runs.on_lasso(lambda runs: self._paint(lambda: setattr(self, "selection", tuple(runs)), "lasso"))
        self._offer_choices()
        self._setup_details()
        self._watch_ranges()
        return figure.root

    def _panels(self) -> list[ipywidgets.Widget]:
        return [self._panel_of_picks(), *super()._panels()]

    def run(self) -> None:
        """Start a run on the map as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        if self._source.is_map:
            self._given = self._source.given()
        self._copies += 1  # what was fitted before is never used again
        super().run()

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Picture:
        return self._maker.picture(
            self._given, settings, self._copies, progress=progress, cancel=cancel, publish=publish
        )

    def _result_of(self, computed: Picture) -> Any:
        return computed.retraction

    def _draw(self, result: Picture, settings: dict[str, Any], *, final: bool) -> None:
        drawn = (result.retraction, *(settings[name] for name in ("slice_axis", "slice_index")))
        if drawn != self._drawn:  # runs that are shown or hidden must not send the cells again
            self._draw_cells(result, settings)
            self._drawn = drawn
        if final and result is not self._picture:
            self._take_picture(result)

    def _draw_cells(self, picture: Picture, settings: dict[str, Any]) -> None:
        axes, at = (0, 1), None
        if picture.grid.dims == 3:
            cut, index = settings["slice_axis"], settings["slice_index"]
            axes = tuple(axis for axis in range(3) if axis != cut)  # type: ignore[assignment]
            at = None if index is None else {cut: min(index, picture.grid.shape[cut] - 1)}
        self._unveiled = None  # what was marked is gone
        self._figure.show(picture.retraction, names=picture.space.names, axes=axes, at=at, note=_note(picture))

    def _take_picture(self, picture: Picture) -> None:
        """Take over what a finished run found; called with the lock held."""
        before, self._picture = self._picture, picture
        if before is not None:
            self._carry_picks(before, picture)
        self._panel.show_badges(remarks_html(remarks(picture)))
        self._panel.show_nodes(node_lines(picture))
        self._panel.show_collapsed(bool(picture.settings["collapsed"]))
        listed = obstruction_lines(picture)
        self._panel.show_obstructions("Cells in the way of an order retraction:" if listed else "", listed)
        self._show_layers()
        self._cell_soon()

    def _draw_marks(self, result: Picture) -> None:
        self._draw_runs(result)
        node = self.node if self.node is not None and self.node < result.decomposition.n_nodes else None
        if node != self._unveiled:  # of thousands of nodes the colours take a while
            self._figure.mark_node(node)
            self._unveiled = node
        ahead = self._ahead
        cell = self.grid_cell
        fits = cell is not None and cell < result.grid.n_cells
        known = ahead if ahead is not None and ahead.cell == cell and self._ahead_of == (result, cell) else None
        self._figure.plane.mark_cell(
            cell if fits else None,
            reached=None if known is None else known.reached,
            orbit=None if known is None else known.orbit,
        )
        self._show_picked(result)
        self._panel.show_selection(len(self.selection))

    def _draw_runs(self, picture: Picture) -> None:
        shown = picture.runs_until(self.step)
        if shown is None or not (self.paths or self.points):
            self._figure.plane.draw_runs(None)
            return
        self._figure.plane.draw_runs(shown, names=picture.source.run_words, lines=self.paths, selection=self.selection)

    def _sample_ids(self) -> range:
        return range(self._source.n_runs)

    # ---- words

    def _summary(self) -> str:
        return "" if self.result is None or self._picture is None else summary(self._picture)

    def _subject(self) -> Picture | None:
        return self._picture

    # ---- what was found

    @property
    def decomposition(self) -> Any:
        """The Morse decomposition that the retraction is of, or None before the first run has ended."""
        return None if self.result is None else self.result.decomposition

    @property
    def map(self) -> Any:
        """The map given, or the one fitted; None before the first run has ended."""
        if self._source.is_map:
            return self._source.map
        return None if self._picture is None else self._picture.space.map

    @property
    def trajectories(self) -> Any:
        """The runs in the coordinates shown; None for a map, and before the first run has ended."""
        return None if self._picture is None else self._picture.space.runs

    def _finished(self) -> Picture:
        if self._picture is None:
            raise NetgeomError("There is no retraction yet.", try_this="run() and wait() first")
        return self._picture


def _defaults(source: Source) -> dict[str, Any]:
    """Settings to begin with, from what was given."""
    found: dict[str, Any] = {}
    if source.subdivisions is not None:
        found["subdivisions"] = max(1, source.subdivisions)
    if source.is_map:
        return found
    d = len(source.lower) if source.lower is not None else min(2, source.most_dims)
    found |= dict(zip(AXES, source.names, strict=False)) | {"dims": d}
    if source.most_dims <= 3 or source.n_runs < 2:
        found["coordinates"] = BY_NAME  # nothing to choose, or no spread to choose by
    if source.n_runs < 2 and len(source.steps) > 2:
        found["lag"] = source.steps[1] - source.steps[0]
    return found


def _note(picture: Picture) -> str:
    return "" if picture.final else f"A first picture of {picture.grid.n_cells:,} cells."

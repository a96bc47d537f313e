"""TransitionHeatMap: what changes between the snapshots of a training run, alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.sprites import SpriteSheet, looks_like_images
from netgeom_widgets.figures.transitions import TransitionFigure
from netgeom_widgets.kernels.transitions import Neighbours
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.following import Following
from netgeom_widgets.widgets.steps import Stepping
from netgeom_widgets.widgets.transition_details import Details
from netgeom_widgets.widgets.transition_exports import arrays_of, table_of
from netgeom_widgets.widgets.transition_fetching import Fetching
from netgeom_widgets.widgets.transition_kinds import Cell, cell_of, snapshots_of
from netgeom_widgets.widgets.transition_panel import TransitionPanel
from netgeom_widgets.widgets.transition_picture import Picture, PictureMaker
from netgeom_widgets.widgets.transition_settings import TransitionSettings
from netgeom_widgets.widgets.transition_source import Source


class TransitionHeatMap(Following, Stepping, Fetching, TransitionSettings, AnalysisWidget):
    """A heat map of the transitions, or snapshots, of a recorded training run, and what moved in them.

    Click a cell to pin it: the panels compare its two snapshots. Draw a lasso around samples, or assign ``selection``,
    and the matrix is that of these samples. What each matrix is: see :mod:`netgeom_widgets.kernels.transitions`.

    Parameters
    ----------
    recording : Recording or path
        Finished, or still being written: new snapshots are taken up while ``live``.
    layer : str, optional
        A recorded layer, or "outputs"; the last recorded layer by default, else the outputs.
    ids : iterable of int, optional
        Only these samples of the recording take part.
    images : array, optional
        Thumbnails of all samples of the recording, or of ``ids``: (N, h, w), (N, h, w, c) or (N, c, h, w). By default
        the recorded inputs where they are images; False for none.
    formatter : callable, optional
        Called once with the id of each sample; what it returns is shown as text in the hover boxes.
    **kwargs
        Settings (see :attr:`settings`), ``cell``, ``sample``, ``step``, ``selection``, ``autorun``,
        ``static_picture``, ``layout``.

    Attributes
    ----------
    result : Neighbours
        Neighbours at all snapshots; its rows are those of :attr:`sample_ids`.
    matrix : (M, M) float64
        The matrix shown, read-only.

    Raises
    ------
    NetgeomError
        Before anything starts: no recording, a layer or sample that is not in it, bad settings.

    Examples
    --------
    >>> heat = TransitionHeatMap(open_recording("run"), "fc1")  # doctest: +SKIP
    >>> heat.wait()  # doctest: +SKIP
    >>> heat.matrix.shape  # doctest: +SKIP
    """

    title = "Transitions of training"

    matrix = traitlets.Any(None, read_only=True, help="The matrix shown, (M, M) float64.")

    def __init__(
        self,
        recording: Any,
        layer: str | None = None,
        ids: Any = None,
        images: Any = None,
        *,
        formatter: Callable[[int], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self._source = source = Source(recording, ids)
        self._maker = PictureMaker(source)
        self._details = Details(self._maker)
        self._known = frozenset(source.ids.tolist())
        self._sprites = _thumbnails(source, images)
        self._texts = {} if formatter is None else {i: str(formatter(i)) for i in source.ids.tolist()}
        self._drawn: Picture | None = None
        self._written = self._look_for_writer()
        self._steps = tuple(source.recording.steps.tolist())
        if source.no_classes:
            kwargs.setdefault("scalar", "overlap")  # the others need classes
        super().__init__(layer=source.default_layer if layer is None else layer, **kwargs)
        self._follow(source.recording)

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        self._figure = figure = TransitionFigure(sprites=self._sprites, texts=self._texts)
        figure.matrix.on_cell(lambda row, column: self._paint(lambda: self._toggle((row, column)), "pick"))
        figure.curves.on_step(lambda at: self._paint(lambda: self._go_to_position(at), "pick"))
        for part in (figure.samples, figure.projection):
            part.on_lasso(lambda ids: self._paint(lambda: setattr(self, "selection", tuple(ids)), "lasso"))
        for part in (figure.samples, figure.projection, figure.neighbours):
            part.on_sample(lambda sample: self._paint(lambda: self._go(sample), "pick"))
        self._offer_choices()
        self.observe(self._hide_idle, ["matrix_kind", "panel"])
        self.observe(self._draw_selected, "selection")
        self._setup_fetching()
        figure.samples.explain("The samples are shown when the neighbours have been searched.")
        return figure.root

    def _panels(self) -> list[ipywidgets.Widget]:
        self._panel = TransitionPanel(pin=self._pin, go=self._go, step=self._step_sample, clear=self._select_none)
        return [self._panel]

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Picture:
        self._refresh_if_asked()
        self._written = self._look_for_writer()
        return self._maker.picture(settings, self.selection, progress=progress, cancel=cancel, publish=publish)

    def _result_of(self, computed: Picture) -> Neighbours:
        return computed.search.found

    def _draw(self, result: Picture, settings: dict[str, Any], *, final: bool) -> None:
        self._figure.show(settings["panel"])
        if result is self._drawn:
            return
        if final:
            self._adopt(result)
        self._draw_picture(result)
        self._drawn = result
        if final:
            self._fetch_soon()

    def _draw_picture(self, picture: Picture) -> None:
        kind, figure = picture.kind, self._figure
        figure.matrix.draw(
            picture.matrix,
            picture.steps,
            name=kind.name,
            unit=kind.unit,
            of_transitions=kind.of_transitions,
            similarity=kind.is_similarity,
            note=picture.note,
        )
        figure.curves.draw(picture.steps, picture.churn, picture.metrics, step_index=self.step_position)

    def _adopt(self, picture: Picture) -> None:
        """Take over what a finished run found: the matrix, its steps, and the pinned cell where it now is."""
        before = self._drawn if self._drawn is not None and self._drawn.final else None
        cell: Cell | None = self.cell
        if before is not None and before.kind.of_transitions != picture.kind.of_transitions and cell is not None:
            snapshots = snapshots_of(cell, of_transitions=before.kind.of_transitions)
            cell = cell_of(snapshots, of_transitions=picture.kind.of_transitions)
        self.set_trait("matrix", picture.matrix)
        self.cell = cell if cell is not None and max(cell) < len(picture.matrix) else None
        self._controls["k"].widget.set_most(picture.search.found.k)
        if len(picture.steps) != len(self.steps):
            self._set_steps(picture.steps)

    def _draw_marks(self, result: Picture) -> None:
        self._figure.matrix.pin(self.cell)
        self._figure.curves.mark(self.step_position)
        self._panel.show_cell(self.cell, self._figure.matrix.axis.names)
        self._panel.show_selection(len(self.selection))

    def _sample_ids(self) -> frozenset[int]:
        return self._known

    def _summary(self) -> str:
        if self.result is None:
            return ""
        count, n = self.result.n_snapshots, self.result.n_samples
        words = f"{count:,} snapshots, {n:,} samples" if count > 1 else f"1 snapshot, {n:,} samples"
        return f"{words}, {self._written}"

    # ---- what is picked

    @traitlets.validate("cell")
    def _check_cell(self, proposal: Any) -> Cell | None:
        cell, matrix = proposal["value"], self.matrix
        if cell is not None and matrix is not None and max(cell) >= len(matrix):
            expected = f"None or (row, column) below {len(matrix)}" if len(matrix) else "None: the matrix is empty"
            raise NetgeomError("There is no such cell.", expected=expected, got=str(cell))
        return cell

    @traitlets.validate("sample")
    def _check_sample(self, proposal: Any) -> int | None:
        sample = proposal["value"]
        if sample is not None:
            self._check_selection({"value": (sample,)})
        return sample

    def _draw_selected(self, _: Any) -> None:
        if not self._closed and not self._waits_for_run:
            self._run_again()

    def _toggle(self, cell: Cell) -> None:
        self.cell = None if cell == self.cell else cell

    def _pin(self, cell: Cell | None) -> None:
        self.cell = cell

    def _select_none(self) -> None:
        self.selection = ()

    def _go(self, sample: Any) -> None:
        """Pick a sample by what was tapped or typed."""
        try:
            self.sample = sample
        except (NetgeomError, traitlets.TraitError) as error:
            no_number = NetgeomError("A sample's id is a whole number.", got=str(sample))
            self._say(str(no_number if isinstance(error, traitlets.TraitError) else error))
            self._panel.show_sample(self.sample, None)

    def _step_sample(self, by: int) -> None:
        """Go to the next sample of the selection, or of all."""
        ids = list(self.selection) or self._source.ids.tolist()
        at = ids.index(self.sample) + by if self.sample in ids else (0 if by > 0 else -1)
        self.sample = ids[at % len(ids)]

    @property
    def sample_ids(self) -> np.ndarray:
        """Ids of the samples in the rows of ``result``, (N,) int64; those not recorded at every step are left out."""
        shown = self._last_good
        return self._source.ids if shown is None else self._source.ids[shown[0].search.positions]

    # ---- following and exports

    def _look_for_writer(self) -> str:
        """What is known of the recording's end, in words; a killed writer leaves nothing but its lock's absence."""
        recording = self._source.recording
        if recording.finished:
            return "finished"
        return {
            True: "still being recorded",
            False: "not finished: broken off, or recorded on another machine",
            None: "not finished when last looked at",
        }[recording.has_writer]

    def _recording_rested(self) -> None:
        before, self._written = self._written, self._look_for_writer()
        if self._written != before:
            self._say(self._summary())

    def _recording_grew(self) -> None:
        self._run_again(debounce=0.0)

    def _export_arrays(self) -> dict[str, Any]:
        return arrays_of(self._finished_picture(), self._source)

    def _export_table(self) -> dict[str, Any]:
        return table_of(self._finished_picture(), self._source)

    def _finished_picture(self) -> Picture:
        if self._last_good is None:
            raise NetgeomError("There is nothing to export yet.", try_this="run() and wait() first")
        picture: Picture = self._last_good[0]
        return picture


def _thumbnails(source: Source, images: Any) -> SpriteSheet | None:
    """Thumbnails of the samples that take part, from what was given or from the recorded inputs."""
    if images is False:
        return None
    ids = source.ids
    if images is not None:
        array = np.asarray(images.detach().cpu() if hasattr(images, "detach") else images)
        total = len(source.recording.sample_ids)
        if array.ndim < 1 or len(array) not in (total, len(ids)):
            expected = f"one for each of {total} samples" + (
                f", or of the {len(ids)} in ids" if len(ids) < total else ""
            )
            raise NetgeomError("images do not fit the recording.", expected=expected, got=f"shape {array.shape}")
        return SpriteSheet.of(array[source.rows] if len(array) == total else array, ids)
    inputs = source.recording.inputs
    if inputs is None or not looks_like_images(inputs):
        return None
    try:
        return SpriteSheet.of(inputs[source.rows], ids)
    except NetgeomError:  # nobody asked for them: too many, or not finite
        return None

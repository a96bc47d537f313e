"""RegionExplorer: the exact linear regions of a network in a slice, alive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ipywidgets
from bokeh.events import Tap
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_input import InputPictures, shape_read
from netgeom_widgets.figures.region_pair import side_by_side
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_style import RegionStyle
from netgeom_widgets.figures.region_text import count
from netgeom_widgets.figures.regions import RegionFigure
from netgeom_widgets.kernels.regions import Partition, Slice
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.region_beside import Beside
from netgeom_widgets.widgets.region_boundary import BoundarySamples
from netgeom_widgets.widgets.region_by_hand import ByHand
from netgeom_widgets.widgets.region_curves import Curves
from netgeom_widgets.widgets.region_exports import arrays_of, region_table
from netgeom_widgets.widgets.region_panel import RegionPanel
from netgeom_widgets.widgets.region_picking import Picking
from netgeom_widgets.widgets.region_pointing import Pointing
from netgeom_widgets.widgets.region_settings import RegionSettings, no_such_output
from netgeom_widgets.widgets.region_side import Side
from netgeom_widgets.widgets.region_statistics import StatisticsPanel
from netgeom_widgets.widgets.region_training import Training
from netgeom_widgets.widgets.region_view import Kernel, Prepared, pixels
from netgeom_widgets.widgets.region_zoom import Zooming

_STYLE = ("color_by", "output", "scale", "layer", "hinges", "boundary", "samples", "max_distance")
_STYLE += ("step", "common_scale")


class RegionExplorer(
    Beside,
    Curves,
    Training,
    ByHand,
    StatisticsPanel,
    BoundarySamples,
    RegionSettings,
    Picking,
    Pointing,
    Zooming,
    AnalysisWidget,
):
    """The partition of a two-dimensional slice of input space into the regions on which a network is affine.

    Click a region for its affine map and activation pattern; zoom, and the view is computed anew, exactly. What a
    region is and what is exact: see :func:`netgeom_widgets.kernels.regions.partition`.

    Parameters
    ----------
    model : torch.nn.Module
        Piecewise linear; takes one tensor, batch first. It is copied when a run starts, never touched.
    domain : Slice, optional
        Where to look; may be assigned anew, moved by settings and chosen by hand. Without it, a box around the data for
        two inputs, else the plane of three central samples.
    data : array (N, *input shape), optional
        Samples, shown where they project onto the plane; fainter the farther they are from it.
    labels : array (N,), optional
        Their labels.
    checkpoints : Recording, path, list of state dicts, of files or of models, or dict of these by step; optional
        The network at several steps of training: ``step`` chooses, ``play()`` shows them in turn, ``model`` only says
        the architecture. A recording needs ``parameters=True``; one that is being written is followed. View, colours
        and samples stay from step to step, and of the picked region the point. With ``common_scale`` colours mean the
        same at every step: the scale spans the steps seen so far. Recent steps are kept, so going back takes no time.
    against : torch.nn.Module or int, optional
        Another network, of the same input shape, or a step of ``checkpoints`` that stays: shown beside the first on the
        same slice, with one view, one colour scale and the region under the pointer marked in both. A click picks in
        both: ``region`` and ``against_region``, ids in ``result`` and ``against_result``.
    names : (str, str), optional
        What titles call the two.
    image_shape : tuple of int, optional
        (H, W), (1, H, W) or (3, H, W), to show flat inputs as the images they are. Inputs of such a shape are shown as
        images without it: at the pointer, at the picked point, and on the decision boundary.
    **kwargs
        Settings (see :attr:`settings`), ``step``, ``region``, ``view``, ``selection``, ``autorun``, ``static_picture``,
        ``layout``; ``statistics=True`` opens histograms and the table of regions, ``curves=True`` the curves over the
        training steps, which computes those not seen yet.

    Attributes
    ----------
    boundary_samples : (n, *input shape) float64
        ``n_boundary_samples`` points of the decision boundary of ``result``, uniform by length, as inputs.

    Raises
    ------
    NetgeomError
        Before anything starts: an unsupported module, weights that are not finite, shapes that do not fit, checkpoints
        that are not of this model, bad settings.

    Examples
    --------
    >>> explorer = RegionExplorer(model, Slice.box(-1, 1, -1, 1))  # doctest: +SKIP
    >>> explorer.wait()  # doctest: +SKIP
    >>> explorer.result.n_regions  # doctest: +SKIP
    >>> explorer = RegionExplorer(model, data=x, labels=y, by_hand=True)  # doctest: +SKIP
    >>> explorer.anchors, explorer.tilt = (3, 14, 15), 20  # doctest: +SKIP
    """

    title = "Linear regions"

    def __init__(
        self,
        model: Any,
        domain: Slice | None = None,
        data: Any = None,
        labels: Any = None,
        *,
        checkpoints: Any = None,
        against: Any = None,
        names: Any = None,
        image_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        domain = self._setup_slice(domain, data, labels, kwargs)
        self._input_shape = shape_read(domain.origin.shape, image_shape)
        self._setup_training(model, checkpoints)
        self._setup_sides(model, against, names)
        # The model is refused or copied here; what is wrong with a setting the base says, so a bad one is left to it.
        limits = {name: kwargs[name] for name in ("tolerance", "max_regions") if _is_number(kwargs.get(name))}
        if self._steps:
            step = kwargs.get("step")
            self._kernel_at(step if step in self._steps else self._steps[-1], domain, **limits)
        for side in self._copied_sides:
            side.next_kernel = side.copy_model(domain, **limits)
        self._pending: tuple[Prepared, ...] = ()
        self._points = self._dataset.on(domain)
        super().__init__(**kwargs)
        self._follow_training()

    # ---- the first network, which most parts are about

    @property
    def _figure(self) -> RegionFigure:
        return self._sides[0].figure

    @property
    def _prepared(self) -> Prepared | None:
        return self._sides[0].prepared

    @property
    def _scene(self) -> RegionScene | None:
        return self._sides[0].scene

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        self._make_figures()
        for side in self._sides:
            plot = side.figure.root
            plot.on_event(Tap, self._on_tap)
            self._listen_to_pointer(plot)
            side.figure.canvas.on_lasso(self._on_lasso)
            side.figure.on_legend(partial(self._legend_clicked, side))
        self._watch_ranges()
        self._hide_controls()
        figures = [side.figure for side in self._sides]
        plots, data = [figure.root for figure in figures], self._dataset.inputs
        self._inputs = InputPictures.of(self.domain, data, plots, read_as=self._input_shape)
        return side_by_side(figures, [] if self._inputs is None else [self._inputs.root])

    def _hide_controls(self) -> None:
        """Controls of what is not there are left out."""
        absent = {
            "samples": not len(self._points),
            "max_distance": not len(self._points),
            "common_scale": not self._steps and len(self._sides) == 1,
            "live": self._checkpoints is None,
        }
        for name, hidden in absent.items():
            if hidden:
                self._controls[name].box.layout.display = "none"

    def _panels(self) -> list[ipywidgets.Widget]:
        if len(self._sides) > 1:  # two pictures take the whole width, and the panel goes under them
            self.pane.layout.flex = "1 1 100%"
        self._panel = RegionPanel(step=self._step, go=self._go, zoom=self.zoom_to_region)
        return [self._panel, *super()._panels()]

    def run(self) -> None:
        """Start a run on a copy of the model as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        for side in self._copied_sides:
            side.copy_model(self.domain, tolerance=self.tolerance, max_regions=self.max_regions)
        super().run()

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Partition:
        domain = self._slice_of(settings)
        first, on_layer = self._sides[0], self._layers_shown(publish, domain)
        part = self._progress_of(first, progress)
        if self._steps:
            prepared = self._prepare_step(settings, domain, progress=part, cancel=cancel, on_layer=on_layer)
        else:
            prepared = self._prepare_copy(first, domain, progress=part, cancel=cancel, on_layer=on_layer)
        finished = (prepared, *self._prepare_beside(prepared, progress=progress, cancel=cancel, publish=publish))
        n_outputs = min(held.result.outputs.shape[1] for held in finished)
        if settings["output"] >= n_outputs:
            raise no_such_output(settings["output"], n_outputs)
        self._pending = finished
        return prepared.result

    def _prepare_copy(
        self, side: Side, domain: Slice, *, progress: Progress, cancel: Cancel, on_layer: Any
    ) -> Prepared:
        """The partition of a network that was copied when the run started."""
        kernel = side.kernel
        assert kernel is not None  # noqa: S101 - run() makes it
        result = kernel(domain, on_layer=on_layer, progress=progress, cancel=cancel)
        return self._prepare(result, kernel, progress, cancel)

    def _prepare(self, result: Partition, kernel: Kernel, progress: Progress, cancel: Cancel) -> Prepared:
        progress.update(text=f"{count(result.n_regions, 'region')}: maps and boundary")
        return Prepared.of(result, kernel, self._dataset.on(result.domain), self._raster_size(result.domain), cancel)

    def _draw(self, result: Partition, settings: dict[str, Any], *, final: bool) -> None:
        style = RegionStyle(**{n: settings[n] for n in _STYLE}, selection=self.selection)
        if not final:
            self._follow_slice(result.domain, self._dataset.on(result.domain))
            side = self._side_of_part(result)
            side.draw_part(result, self._style_of(side, style))
            return
        pending = self._pending
        if pending and pending[0].result is result:
            self._pending = ()
        else:  # the result shown is drawn again, maybe while another one waits to be shown
            pending = tuple(side.prepared for side in self._sides if side.prepared is not None)
        if not pending:
            return
        regions = self._carried_regions(pending)
        self._follow_slice(result.domain, pending[0].samples)
        steps = (settings["step"], None)
        new = [side.take(held, step) for side, held, step in zip(self._sides, pending, steps, strict=False)]
        if any(new):
            self._limit_zoom()
            self._fit_controls([held.result for held in pending])
            self._say_viewports()
            self._say_against(regions)
            self._recompute_view()
        for side, region in zip(self._sides, regions, strict=True):
            side.figure.draw(side.scene, replace(self._style_of(side, style), region=region))
        self._follow_pointer()

    def _draw_marks(self, result: Partition) -> None:
        regions = (self._carried(self.region, self.result, result), self.against_region)
        for side, region in zip(self._sides, regions, strict=False):
            side.figure.mark(region, self.selection)
        if self._inputs is not None:
            point = None if regions[0] is None else self._point_on(result.domain)
            if point is None and regions[0] is not None:  # picked before there was a result: nobody clicked a point
                point = result.centroids[regions[0]][None]
            self._inputs.pick(point)
        self._panel.show(regions[0], self._details(regions), picked=bool(self.selection))

    def _sample_ids(self) -> range:
        return range(len(self._points))

    def _summary(self) -> str:
        if self.result is None or self._shown is None:
            return ""
        step = self._shown[1]["step"]
        return f"{'' if step is None else f'step {step:,}: '}{self._counts()}"

    def _export_arrays(self) -> dict[str, Any]:
        first, *others = (arrays_of(side.prepared, self._points) for side in self._sides)
        arrays = first | {f"against_{name}": array for arrays in others for name, array in arrays.items()}
        return arrays | self._boundary_arrays()

    def _export_table(self) -> dict[str, Any]:
        """A row per region: area, centroid, map, class, birth."""
        return region_table({side.name: arrays_of(side.prepared, self._points) for side in self._sides})

    def _raster_size(self, domain: Slice) -> tuple[int, int]:
        whole = Window.around(domain.polygon)
        seen = self._figure.window if self._figure.domain == domain else whole
        return pixels(self._figure.frame, seen, whole)

    def _fit_controls(self, results: Sequence[Partition]) -> None:
        """Offer the layers that some network turned out to have, and the outputs that all have."""
        for name in ("layer", "hinges"):
            self._controls[name].widget.set_layers(max((result.ops for result in results), key=len))
        n_outputs = min(result.outputs.shape[1] for result in results)
        self._controls["output"].set_bounds(0, n_outputs - 1)
        self._controls["output"].box.layout.display = "none" if n_outputs == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

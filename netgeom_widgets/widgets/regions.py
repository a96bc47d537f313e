"""RegionExplorer: the exact linear regions of a network in a slice, alive."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
from bokeh.events import MouseMove, Tap
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_text import count, detail_html, hint_html
from netgeom_widgets.figures.regions import RegionFigure, RegionStyle
from netgeom_widgets.kernels.regions import Partition, Slice, compile_partition
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.region_boundary import BoundarySamples
from netgeom_widgets.widgets.region_curves import Curves
from netgeom_widgets.widgets.region_panel import RegionPanel
from netgeom_widgets.widgets.region_picking import Picking
from netgeom_widgets.widgets.region_settings import RegionSettings, no_such_output
from netgeom_widgets.widgets.region_statistics import StatisticsPanel
from netgeom_widgets.widgets.region_training import Training
from netgeom_widgets.widgets.region_view import Kernel, Prepared, pixels
from netgeom_widgets.widgets.region_zoom import Zooming

_STYLE = ("color_by", "output", "scale", "layer", "hinges", "boundary", "samples", "max_distance")
_STYLE += ("step", "common_scale")


class RegionExplorer(
    Curves, Training, StatisticsPanel, BoundarySamples, RegionSettings, Picking, Zooming, AnalysisWidget
):
    """The partition of a two-dimensional slice of input space into the regions on which a network is affine.

    Click a region for its affine map and activation pattern; zoom, and the view is computed anew, exactly. What a
    region is and what is exact: see :func:`netgeom_widgets.kernels.regions.partition`.

    Parameters
    ----------
    model : torch.nn.Module
        Piecewise linear; takes one tensor, batch first. It is copied when a run starts, never touched.
    domain : Slice
        Where to look.
    data : array (N, *input shape), optional
        Samples, shown where they project onto the plane; fainter the farther they are from it.
    labels : array (N,), optional
        Their labels.
    checkpoints : Recording, path, list of state dicts, of files or of models, or dict of these by step; optional
        The network at several steps of training: ``step`` chooses, ``play()`` shows them in turn, ``model`` only says
        the architecture. A recording needs ``parameters=True``; one that is being written is followed. View, colours
        and samples stay from step to step, and of the picked region the point. With ``common_scale`` colours mean the
        same at every step: the scale spans the steps seen so far. Recent steps are kept, so going back takes no time.
    **kwargs
        Settings (see :attr:`settings`), ``step``, ``region``, ``view``, ``selection``, ``autorun``, ``static_picture``,
        ``layout``.

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
    """

    title = "Linear regions"

    def __init__(
        self,
        model: Any,
        domain: Slice,
        data: Any = None,
        labels: Any = None,
        *,
        checkpoints: Any = None,
        **kwargs: Any,
    ) -> None:
        self._model, self._domain = model, domain
        self._setup_training(model, checkpoints)
        # The model is refused or copied here; what is wrong with a setting the base says, so a bad one is left to it.
        limits = {name: kwargs[name] for name in ("tolerance", "max_regions") if _is_number(kwargs.get(name))}
        if self._steps:
            step = kwargs.get("step")
            self._kernel_at(step if step in self._steps else self._steps[-1], domain, **limits)
            self._first_kernel: Any = None
        else:
            self._first_kernel = compile_partition(model, domain, **limits)
        self._kernel = self._first_kernel
        self._pending: Prepared | None = None
        self._points = _project(domain, data, labels)
        super().__init__(**kwargs)
        self._follow_training()

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        self._figure = RegionFigure(self._domain, self._points)
        plot = self._figure.root
        plot.on_event(Tap, self._on_tap)
        plot.on_event(MouseMove, self._on_pointer)
        self._watch_ranges()
        self._figure.canvas.on_lasso(self._on_lasso)
        self._figure.on_legend(lambda ops: self._paint(lambda: setattr(self, "hinges", ops), "legend"))
        self._hide_controls()
        return plot

    def _hide_controls(self) -> None:
        """Controls of what is not there are left out."""
        absent = {
            "samples": not len(self._points),
            "max_distance": not len(self._points),
            "common_scale": not self._steps,
            "live": self._checkpoints is None,
        }
        for name, hidden in absent.items():
            if hidden:
                self._controls[name].box.layout.display = "none"

    def _panels(self) -> list[ipywidgets.Widget]:
        self._panel = RegionPanel(step=self._step, go=self._go, zoom=self.zoom_to_region)
        return [self._panel, *super()._panels()]

    def run(self) -> None:
        """Start a run on a copy of the model as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        if self._steps:
            super().run()
            return
        kernel, self._first_kernel = self._first_kernel, None
        if kernel is None:
            limits = {"tolerance": self.tolerance, "max_regions": self.max_regions}
            kernel = compile_partition(self._model, self._domain, **limits)
        self._kernel = kernel
        super().run()

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Partition:
        if self._steps:
            prepared = self._prepare_step(settings, self._domain, progress=progress, cancel=cancel, publish=publish)
        else:
            kernel = self._kernel
            result = kernel(self._domain, on_layer=publish, progress=progress, cancel=cancel)
            prepared = self._prepare(result, kernel, progress, cancel)
        n_outputs = prepared.result.outputs.shape[1]
        if settings["output"] >= n_outputs:
            raise no_such_output(settings["output"], n_outputs)
        self._pending = prepared
        return prepared.result

    def _prepare(self, result: Partition, kernel: Kernel, progress: Progress, cancel: Cancel) -> Prepared:
        progress.update(text=f"{count(result.n_regions, 'region')}: maps and boundary")
        return Prepared.of(result, kernel, self._points.points, self._raster_size(), cancel)

    def _draw(self, result: Partition, settings: dict[str, Any], *, final: bool) -> None:
        region = self._carried(self.result, result) if final else None
        style = RegionStyle(**{n: settings[n] for n in _STYLE}, region=region, selection=self.selection)
        if not final:
            self._scene = RegionScene.of(result)
            self._figure.draw(self._scene, style)
            return
        prepared = self._pending if self._pending is not None and self._pending.result is result else self._prepared
        if prepared is None:
            return
        self._prepared, self._pending = prepared, None
        if self._scene is None or self._scene.full is not result:
            self._scene = prepared.scene
            self._figure.limit(prepared.narrowest)
            self._fit_controls(result)
            self.set_trait("viewport", result)
            self._recompute_view()
        self._figure.draw(self._scene, style)
        self._follow_pointer()

    def _draw_marks(self, result: Partition) -> None:
        region = self._carried(self.result, result)
        self._figure.mark(region, self.selection)
        if region is None:
            self._panel.show(None, hint_html(result, len(self.selection)), picked=bool(self.selection))
            return
        held = self._held(region)
        nearest = float(self._points.distance[held].min()) if len(held) else None
        samples = held if len(self._points) else None
        self._panel.show(region, detail_html(result, region, result.pattern(region), samples, nearest))

    def _sample_ids(self) -> range:
        return range(len(self._points))

    def _summary(self) -> str:
        if self.result is None or self._shown is None:
            return ""
        step = self._shown[1]["step"]
        return f"{'' if step is None else f'step {step:,}: '}{count(self.result.n_regions, 'region')}"

    def _export_arrays(self) -> dict[str, Any]:
        if self._prepared is None:
            raise NetgeomError("There is nothing to export yet.", try_this="run() and wait() first")
        found = self._prepared.result
        names = ("vertices", "edges", "edge_op", "edge_unit", "edge_regions", "ring_offsets", "ring_vertices")
        names += ("areas", "centroids", "slopes", "offsets", "classes", "births")
        arrays = {name: getattr(found, name) for name in names}
        line = found.decision_boundary()
        arrays |= {"boundary_segments": line.segments, "boundary_classes": line.classes}
        if len(self._points):
            arrays |= {
                "sample_points": self._points.points,
                "sample_distance": self._points.distance,
                "sample_region": self._prepared.sample_regions,
            }
        return arrays | self._boundary_arrays()

    def _export_table(self) -> dict[str, Any]:
        """A row per region: area, centroid, map, class, birth."""
        arrays = self._export_arrays()
        n = len(arrays["areas"])
        rows = {name: arrays[name] for name in ("areas", "centroids", "offsets", "classes", "births")}
        return {"region": np.arange(n), **rows, "slopes": arrays["slopes"].reshape(n, -1)}

    def _raster_size(self) -> tuple[int, int]:
        return pixels(self._figure.frame, self._figure.window, Window.around(self._domain.polygon))

    def _fit_controls(self, result: Partition) -> None:
        """Offer the layers and outputs that the network turned out to have."""
        for name in ("layer", "hinges"):
            self._controls[name].widget.set_layers(result.ops)
        n_outputs = result.outputs.shape[1]
        self._controls["output"].set_bounds(0, n_outputs - 1)
        self._controls["output"].box.layout.display = "none" if n_outputs == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _project(domain: Slice, data: Any, labels: Any) -> SliceSamples:
    """The data points on the plane; labels are checked against them."""
    if data is None:
        if labels is not None:
            raise NetgeomError("There are labels without data.", expected="data", got="data=None")
        return SliceSamples.none()
    points, distance = domain.to_slice(data)
    if labels is not None:
        labels = np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)
        if labels.shape != (len(points),):
            raise NetgeomError(
                "The labels do not fit the data.",
                expected=f"one label each, shape ({len(points)},)",
                got=f"{labels.shape}",
            )
    box = Window.around(domain.polygon)
    unit = float(np.linalg.norm(domain.u))  # lengths of the box are in u, distances in input units
    return SliceSamples(points, distance, SliceSamples.natural_reach(unit * max(box.width, box.height)), labels)

"""RegionExplorer: the exact linear regions of a network in a slice, alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.events import MouseMove, Tap
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.figures.region_samples import SliceSamples
from netgeom_widgets.figures.region_scene import RegionScene
from netgeom_widgets.figures.region_text import detail_html, hint_html, hover_line
from netgeom_widgets.figures.region_values import COLOR_BY, SCALES, layer_count
from netgeom_widgets.figures.regions import RegionFigure, RegionStyle
from netgeom_widgets.kernels.regions import Partition, Slice, compile_partition
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.region_controls import LayerChecks, LayerSlider, OptionalNumber
from netgeom_widgets.widgets.region_panel import RegionPanel
from netgeom_widgets.widgets.region_view import Prepared, pixels
from netgeom_widgets.widgets.region_zoom import Zooming

_STYLE = ("color_by", "output", "scale", "layer", "hinges", "boundary", "samples", "max_distance")


class Layers(traitlets.TraitType[Any, Any]):
    """Indices of layers as a tuple, or None for all."""

    info_text = "None or an iterable of layer indices from 0"

    def validate(self, obj: Any, value: Any) -> tuple[int, ...] | None:
        """Turn the value into a tuple of ints, or refuse it."""
        try:
            return None if value is None else tuple(sorted({int(op.__index__()) for op in value if int(op) >= 0}))
        except (TypeError, AttributeError, ValueError):
            self.error(obj, value)


def _narrow(field: type[ipywidgets.Widget], width: int, **bounds: Any) -> Callable[..., ipywidgets.Widget]:
    """A maker of a number field of a fixed width in pixels."""

    def make(layout: Any, **common: Any) -> ipywidgets.Widget:
        return field(layout={**layout, "width": f"{width}px"}, **bounds, **common)

    return make


class RegionExplorer(Zooming, AnalysisWidget):
    """The partition of a two-dimensional slice of input space into the regions on which a network is affine.

    Click a region for its affine map and activation pattern; zoom, and the view is computed anew, exactly. The definition
    of a region and what is exact are those of :func:`netgeom_widgets.kernels.regions.partition`.

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
    **kwargs
        Settings (see :attr:`settings`), ``region``, ``view``, ``selection``, ``autorun``, ``static_picture``, ``layout``.

    Raises
    ------
    NetgeomError
        Before anything starts: an unsupported module, weights that are not finite, shapes that do not fit, bad settings.

    Examples
    --------
    >>> explorer = RegionExplorer(model, Slice.box(-1, 1, -1, 1))     # doctest: +SKIP
    >>> explorer.wait(); explorer.result.n_regions                    # doctest: +SKIP
    """

    title = "Linear regions"

    color_by = traitlets.Enum(COLOR_BY, COLOR_BY[0], help="What the regions are coloured by.").tag(
        setting="draw", label="Colour by"
    )
    output = traitlets.Int(0, min=0, help="Which output 'output' shows, from 0.").tag(
        setting="draw",
        control=_narrow(ipywidgets.BoundedIntText, 110, min=0, max=10**6),
    )
    scale = traitlets.Enum(SCALES, SCALES[0], help="Colour scale; auto is logarithmic for areas.").tag(setting="draw")
    layer = traitlets.Int(
        None, min=0, allow_none=True, help="How many activation layers have cut the domain; None for all."
    ).tag(setting="draw", label="Layers", control=LayerSlider)
    hinges = Layers(
        None, help="Layers whose hinge lines are shown: an iterable of indices from 0, or None for all."
    ).tag(setting="draw", label="Hinge lines", control=LayerChecks)
    boundary = traitlets.Bool(True, help="Show the decision boundary.").tag(setting="draw", label="Decision boundary")
    samples = traitlets.Bool(True, help="Show the samples.").tag(setting="draw")
    max_distance = traitlets.Float(
        None, min=0.0, allow_none=True, help="Hide samples farther than this from the plane (input units)."
    ).tag(setting="draw", label="Samples within", control=OptionalNumber)
    tolerance = traitlets.Float(
        1e-10, min=0.0, help="Relative size below which a pre-activation counts as zero."
    ).tag(setting="costly", control=_narrow(ipywidgets.FloatText, 150))
    max_regions = traitlets.Int(2_000_000, min=1, help="A run that finds more regions ends with an error.").tag(
        setting="costly", control=_narrow(ipywidgets.IntText, 190)
    )
    region = traitlets.Int(None, allow_none=True, help="Id of the picked region in result, or None.").tag(setting="mark")

    def __init__(self, model: Any, domain: Slice, data: Any = None, labels: Any = None, **kwargs: Any) -> None:
        self._model, self._domain = model, domain
        self._first_kernel = compile_partition(
            model,
            domain,
            tolerance=kwargs.get("tolerance", 1e-10),
            max_regions=kwargs.get("max_regions", 2_000_000),
        )
        self._points = _project(domain, data, labels)
        super().__init__(**kwargs)

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        self._figure = RegionFigure(self._domain, self._points)
        plot = self._figure.root
        plot.on_event(Tap, self._on_tap)
        plot.on_event(MouseMove, self._on_pointer)
        self._watch_ranges()
        self._figure.canvas.on_lasso(self._on_lasso)
        self._figure.on_legend(lambda ops: self._paint(lambda: setattr(self, "hinges", ops), "legend"))
        for name in ("samples", "max_distance"):
            if name in self._controls and not len(self._points):
                self._controls[name].box.layout.display = "none"
        return plot

    def _panels(self) -> list[ipywidgets.Widget]:
        self._panel = RegionPanel(step=self._step, go=self._go, zoom=self.zoom_to_region)
        return [self._panel]

    def run(self) -> None:
        """Start a run on a copy of the model as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        kernel, self._first_kernel = self._first_kernel, None
        if kernel is None:
            limits = {"tolerance": self.tolerance, "max_regions": self.max_regions}
            kernel = compile_partition(self._model, self._domain, **limits)
        self._kernel = kernel
        super().run()

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Partition:
        kernel = self._kernel
        result = kernel(self._domain, on_layer=publish, progress=progress, cancel=cancel)
        if settings["output"] >= result.outputs.shape[1]:
            raise _no_such_output(settings["output"], result.outputs.shape[1])
        progress.update(text=f"{result.n_regions:,} regions: maps and boundary")
        window = self._figure.window
        size = pixels(self._figure.frame, window, Window.around(self._domain.polygon))
        prepared = Prepared.of(result, kernel, self._points.points, size, cancel)
        self._prepared = prepared
        return result

    def _draw(self, result: Partition, settings: dict[str, Any], *, final: bool) -> None:
        style = RegionStyle(**{n: settings[n] for n in _STYLE}, region=self.region, selection=self.selection)
        if not final:
            self._scene = RegionScene.of(result)
            self._figure.draw(self._scene, style)
            return
        prepared = self._prepared
        if prepared is None or prepared.result is not result:  # back to the last good run after one that failed
            size = pixels(self._figure.frame, self._figure.window, Window.around(self._domain.polygon))
            prepared = Prepared.of(result, self._kernel, self._points.points, size, Cancel())
            self._prepared = prepared
        if self._scene is None or self._scene.full is not result:
            self._scene = prepared.scene
            self._figure.limit(prepared.narrowest)
            self._fit_controls(result)
            self.set_trait("viewport", result)
            self._recompute_view()
        self._figure.draw(self._scene, style)
        self._follow_pointer()

    def _draw_marks(self, result: Partition) -> None:
        region = self.region if self.region is not None and self.region < result.n_regions else None
        self._figure.mark(region, self.selection)
        if region is None:
            self._panel.show(None, hint_html(result))
            return
        held = self._held(region)
        nearest = float(self._points.distance[held].min()) if len(held) else None
        self._panel.show(region, detail_html(result, region, result.pattern(region), held, nearest))

    def _validate(self, settings: dict[str, Any]) -> None:
        result = self.result
        if result is None:
            return
        n_outputs, n_layers = result.outputs.shape[1], layer_count(result)
        if settings["output"] >= n_outputs:
            raise _no_such_output(settings["output"], n_outputs)
        layer, hinges = settings["layer"], settings["hinges"]
        if layer is not None and layer > n_layers:
            raise _bad("layer", "There are not that many layers.", f"None or 0 to {n_layers}", layer)
        if hinges is not None and any(op >= n_layers for op in hinges):
            raise _bad("hinges", "There is no such layer.", f"None or indices from 0 to {n_layers - 1}", hinges)

    def _sample_count(self) -> int | None:
        return len(self._points)

    def _summary(self) -> str:
        return f"{self.result.n_regions:,} regions" if self.result is not None else ""

    def _export_arrays(self) -> dict[str, Any]:
        found: Partition = self._prepared.result if self._prepared else self.result
        names = ("vertices", "edges", "edge_op", "edge_unit", "edge_regions", "ring_offsets", "ring_vertices")
        names += ("areas", "centroids", "slopes", "offsets", "classes", "births")
        arrays = {name: getattr(found, name) for name in names}
        line = found.decision_boundary()
        arrays |= {"boundary_segments": line.segments, "boundary_classes": line.classes}
        if len(self._points):
            inside = self._prepared.sample_regions if self._prepared else found.locate(self._points.points)
            arrays |= {"sample_points": self._points.points, "sample_distance": self._points.distance, "sample_region": inside}
        return arrays

    def export_data(self, path: Any) -> None:
        """Write the partition: .npz takes all arrays, .csv one row per region (area, centroid, affine map, class, birth)."""
        if str(path).lower().endswith(".csv"):
            from netgeom_widgets.widgets.exports import save_data

            def write() -> None:
                arrays = self._export_arrays()
                rows = {name: arrays[name] for name in ("areas", "centroids", "offsets", "classes", "births")}
                n = len(rows["areas"])
                rows = {"region": np.arange(n), **rows, "slopes": arrays["slopes"].reshape(n, -1)}
                save_data(rows, path, self.state())

            self._export(write)
        else:
            super().export_data(path)

    # ---- picking

    @traitlets.validate("region")
    def _check_region(self, proposal: Any) -> int | None:
        region, result = proposal["value"], self.result
        if region is not None and (region < 0 or (result is not None and region >= result.n_regions)):
            last = "" if result is None else f" to {result.n_regions - 1}"
            raise NetgeomError("There is no such region.", expected=f"None or an id from 0{last}", got=str(region))
        return region

    @traitlets.observe("region")
    def _region_changed(self, change: Any) -> None:
        if self._prepared is not None and len(self._points):
            self.selection = () if change["new"] is None else tuple(self._held(change["new"]).tolist())

    @traitlets.observe("result")
    def _result_changed(self, change: Any) -> None:
        old, new = change["old"], change["new"]
        if self.region is None:
            return
        same = old is None or (isinstance(old, Partition) and old.digest == new.digest and old.n_regions == new.n_regions)
        if not same or self.region >= new.n_regions:
            self.region = None  # an id means nothing in another network
        elif old is None:
            self._region_changed({"new": self.region})

    def _held(self, region: int) -> np.ndarray:
        """Ids of the samples whose projection lies in a region."""
        prepared = self._prepared
        return np.flatnonzero(prepared.sample_regions == region) if prepared is not None else np.empty(0, dtype=np.int64)

    def _step(self, by: int) -> None:
        result = self.result
        if result is not None:
            self.region = (by - 1 if by > 0 and self.region is None else (self.region or 0) + by) % result.n_regions

    def _go(self, region: int | None) -> None:
        try:
            self.region = region
        except NetgeomError as error:
            self._say(str(error))
            self._redraw_marks()

    def _on_tap(self, event: Tap) -> None:
        if event.x is None or event.y is None:
            return
        point = np.array([[event.x, event.y]], dtype=np.float64)

        def pick() -> None:
            if self.result is not None and self._scene is not None and self._scene.full is self.result:
                found = int(self.result.locate(point)[0])
                self.region = found if found >= 0 else None

        self._paint(pick, "pick")

    def _on_lasso(self, ids: list[int]) -> None:
        self._paint(lambda: setattr(self, "selection", tuple(ids)), "lasso")

    # ---- what the pointer is over, where the picture is a raster and knows no polygons

    def _on_pointer(self, event: MouseMove) -> None:
        if event.x is None or event.y is None or self._closed:
            return
        point = (float(event.x), float(event.y))

        def read() -> None:
            if self.result is not None and self._scene is not None and self._scene.is_raster:
                self._panel.say(hover_line(self.result, int(self.result.locate(np.array([point]))[0]), point))

        self._painter.submit(lambda progress, cancel: read(), key="pointer")

    def _follow_pointer(self) -> None:
        wanted = self._scene is not None and self._scene.is_raster
        self._figure.canvas.follow_pointer(wanted)
        if not wanted:
            self._panel.say("")

    def _fit_controls(self, result: Partition) -> None:
        """Offer the layers and outputs that the network turned out to have."""
        for name in ("layer", "hinges"):
            self._controls[name].widget.set_layers(result.ops)
        n_outputs = result.outputs.shape[1]
        self._controls["output"].set_bounds(0, n_outputs - 1)
        self._controls["output"].box.layout.display = "none" if n_outputs == 1 else None


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
                "The labels do not fit the data.", expected=f"one label each, shape ({len(points)},)", got=f"{labels.shape}"
            )
    box = Window.around(domain.polygon)
    unit = float(np.linalg.norm(domain.u))  # lengths of the box are in u, distances in input units
    return SliceSamples(points, distance, SliceSamples.natural_reach(unit * max(box.width, box.height)), labels)


def _bad(setting: str, what: str, expected: str, got: Any) -> NetgeomError:
    error = NetgeomError(what, expected=expected, got=str(got))
    error.setting = setting  # type: ignore[attr-defined]  # the base shows the message beside this control
    return error


def _no_such_output(output: int, count: int) -> NetgeomError:
    return _bad("output", "The model has no such output.", f"0 to {count - 1}", output)

"""Tests of widgets/regions.py and its parts, fed with what a browser would send."""

from __future__ import annotations

import csv
import functools
import gc
import threading
import time
import weakref

import numpy as np
import pytest
import torch
import traitlets
from bokeh.events import MouseMove, Tap
from bokeh.models import HoverTool
from bokeh.models.tools import SelectTool

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError, TooLargeError, UnsupportedModuleError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.figures.region_geometry import Window
from netgeom_widgets.kernels.regions import Partition
from netgeom_widgets.widgets.controls import OptionalNumber
from netgeom_widgets.widgets.region_controls import LayerChecks, LayerSlider
from netgeom_widgets.widgets.region_view import Prepared, is_drawn, pixels, view_scenes
from tests.networks import mlp

BOX = ng.Slice.box(-2.0, 2.0, -1.5, 1.5)
DATA = np.random.default_rng(0).uniform((-2, -1.5), (2, 1.5), (60, 2))
LABELS = (DATA[:, 0] > 0).astype(int)


@pytest.fixture
def explorer(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, DATA, LABELS)
    explorer.wait(30)
    return explorer


def tap(explorer, s, t):
    explorer._on_tap(Tap(explorer._figure.root, sx=1, sy=1, x=s, y=t))
    explorer.wait(30)


def from_browser(explorer, *changes):
    """Apply changes of models as a view sends them."""
    events = [
        {"kind": "ModelChanged", "model": {"id": model.id}, "attr": attr, "new": new} for model, attr, new in changes
    ]
    explorer.pane._receive(explorer.pane, {"t": "events", "view": "v", "events": events}, [])


def zoom(explorer, xmin, xmax, ymin, ymax):
    x, y = explorer._figure.root.x_range, explorer._figure.root.y_range
    from_browser(explorer, (x, "start", xmin), (x, "end", xmax), (y, "start", ymin), (y, "end", ymax))
    explorer.wait(30)


def caption(explorer):
    return explorer._figure.canvas.caption.text.replace("\n", " ")


# ---- construction and runs


def test_the_result_is_the_partition_of_the_domain(explorer):
    assert isinstance(explorer.result, Partition) and explorer.viewport is explorer.result
    assert explorer.result.n_regions == ng.kernels.regions.partition(mlp(2, 8, 8, 1), BOX).n_regions
    assert (explorer.status, explorer.progress) == ("done", 1.0)
    assert repr(explorer) == f"<RegionExplorer done {explorer.result.n_regions} regions>"
    assert explorer._figure.root.title.text == f"{explorer.result.n_regions} regions, exact"


def test_bad_input_is_refused_before_anything_starts(make):
    nan = mlp(2, 4, 1)
    nan[0].weight.data[0, 0] = float("nan")
    weight = nan[0].weight.clone()
    before = threading.active_count()
    good = mlp(2, 4, 1)
    refusals = [
        (UnsupportedModuleError, (torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.GELU()), BOX), {}),
        (NetgeomError, (nan, BOX), {}),
        (NetgeomError, (mlp(3, 4, 1), BOX), {}),
        (NetgeomError, (good, "box"), {}),
        (NetgeomError, (good, BOX, np.zeros((5, 3))), {}),
        (NetgeomError, (good, BOX, np.zeros((5, 2)), np.zeros(4)), {}),
        (NetgeomError, (good, BOX, None, np.zeros(4)), {}),
        (NetgeomError, (good, BOX, np.full((5, 2), np.nan)), {}),
        (NetgeomError, (good, BOX), {"color_by": "mood"}),
        (NetgeomError, (good, BOX), {"colour": "area"}),
        (NetgeomError, (good, BOX), {"tolerance": "small"}),
        (NetgeomError, (good, BOX), {"max_regions": 0}),
        (NetgeomError, (good, BOX), {"hinges": (-1,)}),
        (NetgeomError, (good, BOX), {"region": -1}),
        (NetgeomError, (good, BOX), {"view": (0, 1)}),
        (NetgeomError, (good, BOX), {"view": (1, 0, 0, 1)}),
        (NetgeomError, (good, BOX, DATA), {"selection": (60,)}),
    ]
    for error, arguments, keywords in refusals:
        with pytest.raises(error):
            make(*arguments, **keywords)
    assert threading.active_count() == before
    assert torch.equal(weight.nan_to_num(7), nan[0].weight.nan_to_num(7))


def test_the_model_is_unharmed_and_read_anew_by_run(make):
    model = mlp(2, 6, 1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explorer = make(model, BOX)
    explorer.wait(30)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model[0].weight.requires_grad and model[0].weight.grad is None
    digest = explorer.result.digest
    explorer.region = 2
    with torch.no_grad():
        model[0].bias += 0.3
    explorer.run()
    explorer.wait(30)
    assert explorer.result.digest != digest
    assert explorer.region is None, "an id of the old network means nothing in the new one"


def test_a_run_again_on_the_same_network_keeps_the_region(explorer):
    explorer.region = 2
    explorer.run()
    explorer.wait(30)
    assert explorer.region == 2


def test_too_many_regions_is_an_error_in_the_widget_and_raised_by_wait(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, max_regions=10)
    with pytest.raises(TooLargeError):
        explorer.wait(30)
    assert explorer.status == "error" and "TooLargeError" in explorer._frame.error.value
    explorer.max_regions = 1000
    assert explorer.status == "error", "costly: waits for Run"
    explorer.run()
    explorer.wait(30)
    assert explorer.status == "done" and explorer.result.n_regions > 10


def test_cancel_keeps_the_last_good_picture(explorer):
    good = explorer.result
    started = threading.Event()
    release = threading.Event()
    kernel = explorer._sides[0].kernel

    def slow(domain, *, on_layer=None, progress=None, cancel=None):
        def layer(partial):
            on_layer(partial)
            started.set()
            release.wait(10)
            cancel.checkpoint()

        return kernel(domain, on_layer=layer, progress=progress, cancel=cancel)

    explorer._sides[0].next_kernel = slow
    explorer.run()
    assert started.wait(10)
    assert explorer.status == "running"
    explorer.cancel()
    release.set()
    explorer.wait(30)
    assert explorer.status == "cancelled" and explorer.result is good
    assert explorer._figure.root.title.text == f"{good.n_regions} regions, exact"
    tap(explorer, 0.0, 0.0)
    assert explorer.region == good.locate(np.zeros((1, 2)))[0]


def test_partial_results_appear_layer_by_layer(make):
    explorer = make(mlp(2, 6, 6, 1), BOX, autorun=False)
    titles = []
    explorer._figure.root.title.on_change("text", lambda attr, old, new: titles.append(new))
    explorer.run()
    explorer.wait(30)
    assert any("after layer 1" in text and "not finished" in text for text in titles)
    assert titles[-1] == f"{explorer.result.n_regions} regions, exact"


# ---- settings


def test_every_setting_draws_and_only_costly_ones_wait(explorer):
    result = explorer.result
    for name, values in {
        "color_by": ("area", "class", "output", "region id", "layer of birth", "slope norm"),
        "scale": ("log", "linear", "auto"),
        "layer": (0, 1, 2, None),
        "hinges": ((), (1,), [0], None),
        "boundary": (False, True),
        "samples": (False, True),
        "max_distance": (0.0, 2.5, None),
    }.items():
        for value in values:
            setattr(explorer, name, value)
            explorer.wait(30)
            style = getattr(explorer._figure.style, name)
            assert (tuple(style) if name == "hinges" and style is not None else style) == getattr(explorer, name)
    assert explorer.result is result, "no setting of the drawing computes anything"
    explorer.tolerance = 1e-9
    explorer.wait(30)
    assert explorer.result is result
    explorer.run()
    explorer.wait(30)
    assert explorer.result is not result and explorer.result.settings["tolerance"] == 1e-9


def test_settings_that_do_not_fit_the_network_are_refused(explorer):
    for name, value in {"output": 1, "layer": 3, "hinges": (2,)}.items():
        with pytest.raises(NetgeomError):
            setattr(explorer, name, value)
        assert explorer._controls[name].message
    with pytest.raises(traitlets.TraitError):
        explorer.hinges = 5
    for name, value in {"region": 10**6, "selection": (60,)}.items():
        with pytest.raises(NetgeomError):
            setattr(explorer, name, value)


def test_an_output_beyond_the_network_fails_the_run(make):
    explorer = make(mlp(2, 6, 3), BOX, color_by="output", output=3)
    with pytest.raises(NetgeomError, match="no such output"):
        explorer.wait(30)
    explorer.output = 2
    explorer.run()
    explorer.wait(30)
    assert explorer.status == "done"


def test_the_layer_controls_know_the_network(explorer):
    slider, checks = explorer._controls["layer"].widget, explorer._controls["hinges"].widget
    assert slider._slider.max == 2 and not slider._slider.disabled
    slider._slider.value = 1
    assert explorer.layer == 1
    slider._slider.value = 2
    assert explorer.layer is None
    checks.children[1].value = False
    assert explorer.hinges == (1,)
    checks.children[1].value = True
    assert explorer.hinges is None


def test_a_legend_click_hides_the_lines_of_its_layer(explorer):
    from_browser(explorer, (explorer._figure.canvas.lines[0], "visible", False))
    explorer.wait(30)
    assert explorer.hinges == (1,)
    from_browser(explorer, (explorer._figure.canvas.lines[0], "visible", True))
    explorer.wait(30)
    assert explorer.hinges is None
    explorer.layer = 1
    explorer.wait(30)
    assert explorer.hinges is None, "lines that a drawing hides are no click"


# ---- picking


def test_a_tap_picks_the_region_and_its_samples(explorer):
    tap(explorer, 0.3, 0.2)
    region = int(explorer.result.locate(np.array([[0.3, 0.2]]))[0])
    assert explorer.region == region
    assert explorer.selection == tuple(np.flatnonzero(explorer.result.locate(DATA) == region).tolist())
    detail = explorer._panel._detail.value
    assert f"Region {region:,}" in detail and "Affine map" in detail
    assert len(explorer._figure.canvas._outlines[0].data["xs"]) == 1
    tap(explorer, 5.0, 5.0)
    assert explorer.region is None and explorer.selection == () and "Click a region" in explorer._panel._detail.value


def test_region_and_selection_are_settable(explorer):
    explorer.selection = (3, 7)
    explorer.wait(30)
    assert explorer.region is None
    shown = explorer._figure.canvas._samples.data
    assert sorted(shown["sample"][shown["picked"]].tolist()) == [3, 7] and shown["picked"][-2:].all()
    region = int(explorer.result.locate(DATA[:1])[0])
    explorer.region = region
    explorer.wait(30)
    assert 0 in explorer.selection
    explorer.selection = ()
    explorer.wait(30)
    assert explorer.region == region


def test_a_region_given_at_construction_is_picked_with_its_samples(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, DATA, region=4, layer=1)
    explorer.wait(30)
    assert explorer.region == 4
    assert explorer.selection == tuple(np.flatnonzero(explorer.result.locate(DATA) == 4).tolist())


def test_buttons_and_the_index_box_step_through_the_regions(explorer):
    panel, n = explorer._panel, explorer.result.n_regions
    panel._next.click()
    assert explorer.region == 0
    panel._previous.click()
    assert explorer.region == n - 1
    panel._next.click()
    explorer.wait(30)
    assert explorer.region == 0 and panel._index._field.value == "0"
    panel._index._field.value = "5"
    assert explorer.region == 5
    panel._index._field.value = "five"
    explorer.wait(30)
    assert explorer.region == 5 and panel._index._field.value == "5" and "whole number" in explorer.message
    panel._index._field.value = str(n)
    explorer.wait(30)
    assert explorer.region == 5 and "no such region" in explorer.message
    panel._clear.click()
    assert explorer.region is None


def test_a_lasso_selects_samples(explorer):
    from_browser(explorer, (explorer._figure.canvas._samples.selected, "indices", [2, 4]))
    explorer.wait(30)
    assert explorer.selection == (2, 4)


def test_only_whole_strokes_select_and_only_samples(explorer):
    tools = explorer._figure.root.select({"type": SelectTool})
    tools = [tool for tool in tools if not isinstance(tool, HoverTool)]
    assert {tool.__class__.__name__ for tool in tools} == {"LassoSelectTool", "BoxSelectTool"}
    for tool in tools:
        assert tool.renderers == [explorer._figure.canvas._dots], "regions outside of the stroke would fade"
        assert not tool.continuous, "ids on the way of a stroke would be read off rows that have moved"


def test_selected_samples_are_counted_and_let_go(explorer):
    explorer.selection = (2, 4)
    explorer.wait(30)
    assert "2 samples selected" in explorer._panel._detail.value
    assert not explorer._panel._clear.disabled
    explorer._panel._clear.click()
    explorer.wait(30)
    assert explorer.selection == () and explorer._panel._clear.disabled
    explorer.selection = (2, 4)
    tap(explorer, 50.0, 50.0)
    assert explorer.selection == (), "a click outside of the domain picks nothing"


def test_a_distance_that_is_none_is_refused_beside_its_control(explorer):
    control = explorer._controls["max_distance"]
    for text in ("far", "-2"):
        control.widget._field.value = text
        assert (
            control.message
            == f"Expected: a number from 0 up, or nothing. Got: {float(text) if text[0] == '-' else text}."
        )
        assert explorer.max_distance is None
    control.widget._field.value = ""
    assert control.message == ""


def test_a_lasso_among_the_near_samples_gives_their_ids(make):
    x = np.eye(3)
    data = np.concatenate([x, x + 1, x])
    explorer = make(mlp(3, 6, 2), ng.Slice.through(*x), data, max_distance=0.5)
    explorer.wait(30)
    from_browser(explorer, (explorer._figure.canvas._samples.selected, "indices", [3, 5]))
    explorer.wait(30)
    shown = explorer._figure.canvas._samples.data["sample"]
    assert set(shown) == {0, 1, 2, 6, 7, 8}
    assert set(explorer.selection) < {0, 1, 2, 6, 7, 8} and len(explorer.selection) == 2


def test_two_explorers_share_a_selection(explorer, make):
    other = make(mlp(2, 5, 1, seed=3), BOX, DATA)
    other.wait(30)
    joined = ng.link(explorer, other)
    explorer.region = int(explorer.result.locate(DATA[:1])[0])
    assert 0 in other.selection and other.selection == explorer.selection
    joined.unlink()


# ---- the view


def test_zooming_computes_the_view_anew(explorer):
    zoom(explorer, -0.4, 0.4, -0.3, 0.3)
    assert explorer.view == (-0.4, 0.4, -0.3, 0.3)
    viewport, scene = explorer.viewport, explorer._scene
    assert viewport is not explorer.result and scene.shown is viewport
    low, high = viewport.domain.polygon.min(0), viewport.domain.polygon.max(0)
    assert (low <= (-0.4, -0.3)).all() and (high >= (0.4, 0.3)).all() and viewport.domain.area < BOX.area
    assert scene.ids[:-1].tolist() == explorer.result.locate(viewport.centroids).tolist()
    assert "zoom" in caption(explorer) and f"{scene.n_polygons} exact polygons" in caption(explorer)
    explorer._reset()
    explorer.wait(30)
    assert explorer.view is None and explorer.viewport is explorer.result


def test_a_short_pan_needs_nothing_new_and_a_long_one_does(explorer):
    zoom(explorer, -0.4, 0.4, -0.3, 0.3)
    before = explorer.viewport
    zoom(explorer, -0.35, 0.45, -0.3, 0.3)
    assert explorer.viewport is before
    zoom(explorer, 0.4, 1.2, -0.3, 0.3)
    assert explorer.viewport is not before


def test_the_view_is_settable_and_shown_at_the_frames_proportions(explorer):
    explorer.view = (0, 0.1, 0, 0.4)
    explorer.wait(30)
    window = explorer._figure.window
    assert window.contains(Window(0, 0.1, 0, 0.4))
    x, y = explorer._figure.root.x_range, explorer._figure.root.y_range
    proportions = (x.reset_end - x.reset_start) / (y.reset_end - y.reset_start)
    assert window.width / window.height == pytest.approx(proportions)
    explorer.view = None
    explorer.wait(30)
    assert explorer._figure.window.contains(Window.around(BOX.polygon))


def test_the_picked_region_comes_into_view(explorer):
    explorer.region = int(explorer.result.areas.argmin())
    explorer._panel._zoom.click()
    explorer.wait(30)
    corners = Window.around(explorer.result.polygon(explorer.region))
    assert explorer._figure.window.contains(corners)
    assert explorer.viewport is not explorer.result


def test_zooming_stops_where_float64_does(explorer):
    limit = 1000 * explorer.result.resolution
    assert explorer._figure.root.x_range.min_interval == pytest.approx(limit)
    assert "Zoom limit" not in caption(explorer)
    zoom(explorer, 0.1, 0.1 + limit, 0.1, 0.1 + limit)
    assert "Zoom limit" in caption(explorer)


def test_a_view_outside_the_domain_says_so(explorer):
    zoom(explorer, 10, 11, 10, 11)
    assert "outside the domain" in caption(explorer) and explorer.status == "done"


def test_a_view_that_cannot_be_computed_leaves_the_polygons_of_the_whole(explorer):
    def fails(*_, **__):
        raise NetgeomError("No room.")

    object.__setattr__(explorer._prepared, "kernel", fails)
    zoom(explorer, -0.4, 0.4, -0.3, 0.3)
    assert "No room." in explorer.message and explorer.status == "done"
    assert explorer.viewport is explorer.result


def test_a_view_given_at_construction_is_shown(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, view=(0, 0.1, 0, 0.1))
    explorer.wait(30)
    assert explorer.viewport is not explorer.result and explorer._figure.window.width < 1


def test_a_new_view_replaces_one_still_being_computed(explorer):
    kernel = explorer._prepared.kernel
    seen = []

    def slow(domain, *, progress=None, cancel=None, **_):
        seen.append(domain)
        for _i in range(30):
            time.sleep(0.01)
            cancel.checkpoint()
        return kernel(domain, progress=progress, cancel=cancel)

    object.__setattr__(explorer._prepared, "kernel", slow)
    x = explorer._figure.root.x_range
    for start in (0.0, 0.2, 0.4, 0.6):
        from_browser(explorer, (x, "start", start), (x, "end", start + 0.3))
        time.sleep(0.05)
    explorer.wait(30)
    assert explorer.view[0] == 0.6
    assert explorer.viewport.domain.polygon[:, 0].min() > 0.4


# ---- rasters


@pytest.fixture
def big(make):
    explorer = make(mlp(2, 64, 64, 64, 1), BOX, DATA)
    explorer.wait(60)
    assert explorer.result.n_regions > 5000
    return explorer


def test_a_big_partition_is_a_raster_with_pointer_line_and_taps(big):
    assert big._scene.is_raster
    assert f"raster of {big.result.n_regions:,} exact polygons" in caption(big)
    assert "mousemove" in big._figure.root.subscribed_events
    big._on_pointer(MouseMove(big._figure.root, sx=1, sy=1, x=0.5, y=0.5))
    big.wait(30)
    region = int(big.result.locate(np.array([[0.5, 0.5]]))[0])
    assert f"region {region:,}" in big._panel.pointer.value
    tap(big, 0.5, 0.5)
    assert big.region == region
    image = big._figure.canvas._images.data["image"][-1]
    big.color_by = "area"
    big.wait(30)
    assert (big._figure.canvas._images.data["image"][-1] != image).any()
    assert len(big._figure.canvas.regions.data["xs"]) == 0


def test_zooming_into_a_raster_gives_polygons_over_a_coarse_whole(big):
    zoom(big, 0.0, 0.2, 0.0, 0.15)
    assert not big._scene.is_raster and big.viewport is not big.result
    assert "mousemove" not in big._figure.root.subscribed_events and big._panel.pointer.value == ""
    assert len(big._figure.canvas._images.data["image"]) == 1, "the coarse whole lies beneath"


def test_a_view_is_first_shown_from_the_whole_then_exactly(explorer):
    prepared, seen = explorer._prepared, []
    window = Window(-0.2, 0.2, -0.2, 0.2)
    look = functools.partial(view_scenes, prepared, window, (None, None), shown=None, progress=Progress())
    look(cancel=Cancel(), show=seen.append)
    assert [scene.shown is prepared.result for scene in seen] == [True, False]
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        look(cancel=cancel, show=lambda scene: None)
    assert is_drawn(seen[1], Window(-0.2, 0.2, -0.2, 0.2), prepared.home)
    assert not is_drawn(seen[1], Window(-0.02, 0.02, -0.02, 0.02), prepared.home)
    assert isinstance(prepared, Prepared)


def test_raster_sizes_follow_the_frame_and_are_bounded():
    window = Window(0, 1, 0, 1)
    assert pixels((300, 200), window, window) == (300, 200)
    assert pixels((300, 200), window, Window(0, 1.5, 0, 1)) == (450, 200)
    assert pixels((None, None), window, window) == (760, 430)
    assert pixels((5000, 5000), window, window) == (1600, 1600)


# ---- state, exports, closing


def test_state_makes_the_same_picture_again(explorer, make):
    explorer.color_by, explorer.layer, explorer.hinges, explorer.region = "area", 1, (0,), 6
    explorer.view = (0.0, 0.5, 0.0, 0.5)
    explorer.wait(30)
    again = ng.RegionExplorer.from_state(explorer.state(), mlp(2, 8, 8, 1), BOX, DATA, LABELS)
    again.wait(30)
    try:
        assert again.settings == explorer.settings
        assert (again.region, again.selection) == (6, explorer.selection)
        assert again.view == pytest.approx(explorer.view)
    finally:
        again.close()


def test_exports_hold_the_numbers_and_pictures(explorer, tmp_path):
    explorer.export_data(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["slopes"].shape == (explorer.result.n_regions, 1, 2)
        assert arrays["sample_region"].tolist() == explorer.result.locate(DATA).tolist()
    explorer.export_data(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert len(rows) == explorer.result.n_regions and float(rows[3]["areas"]) == explorer.result.areas[3]
    for name in ("png", "svg", "html"):
        getattr(explorer, f"export_{name}")(tmp_path / f"a.{name}")
        assert (tmp_path / f"a.{name}").stat().st_size > 1000


def test_nothing_is_left_after_close():
    explorer = ng.RegionExplorer(mlp(2, 8, 8, 1), BOX, DATA)
    explorer.wait(30)
    explorer.region = 3
    explorer.wait(30)
    gone = [weakref.ref(thing) for thing in (explorer, explorer._figure, explorer.result)]
    explorer.close()
    del explorer
    gc.collect()
    assert [ref() for ref in gone] == [None, None, None]


def test_a_closed_explorer_keeps_its_result_and_refuses_to_run(make):
    explorer = make(mlp(2, 8, 8, 1), BOX, DATA)
    explorer.wait(30)
    result = explorer.result
    explorer.close()
    explorer.close()
    assert explorer.result is result
    explorer._on_pointer(MouseMove(explorer._figure.root, sx=1, sy=1, x=0.5, y=0.5))
    with pytest.raises(NetgeomError):
        explorer.run()


# ---- controls


def test_a_layer_slider_shows_all_as_none():
    slider = LayerSlider(description="Layers", tooltip="how many")
    assert slider.value is None and slider._slider.disabled
    slider.value = 1
    slider.set_layers(["a", "b", "c"])
    assert slider.value == 1 and slider._slider.value == 1 and slider._words.value == "1 of 3 (a)"
    slider._slider.value = 0
    assert slider.value == 0 and "domain" in slider._words.value
    slider.set_layers(["a"])
    assert slider.value == 0


def test_layer_checks_keep_their_value_when_the_layers_change():
    checks = LayerChecks(description="Lines", tooltip="lines")
    checks.value = (0, 2)
    checks.set_layers(["a", "b", "c"])
    assert [box.value for box in checks.children[1:]] == [True, False, True]
    checks.children[2].value = True
    assert checks.value is None


def test_an_optional_number_takes_numbers_and_nothing():
    field = OptionalNumber(description="within", tooltip="how far")
    field._field.value = "0.25"
    assert field.value == 0.25
    field._field.value = " "
    assert field.value is None
    field._field.value = "far"
    assert field.value == field._field.value == "far", "whoever owns the value refuses it, and says why"
    field._field.value = "0.5"
    assert field.value == 0.5
    field.value = 1e-7
    assert field._field.value == "1e-07"

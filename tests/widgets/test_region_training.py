"""Tests of the region explorer over the checkpoints of a training run: widgets/region_training.py and its parts."""

from __future__ import annotations

import json
import threading
from functools import partial

import numpy as np
import pytest
import torch
from bokeh.events import Tap

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.region_values import region_values
from netgeom_widgets.kernels.regions import partition
from netgeom_widgets.widgets import link
from netgeom_widgets.widgets import steps as steps_module
from tests.networks import mlp
from tests.widgets import waiting

BOX = ng.Slice.box(-2.0, 2.0, -1.5, 1.5)
DATA = np.random.default_rng(0).uniform((-2, -1.5), (2, 1.5), (60, 2))
STEPS = (0, 10, 20, 40)
NETS = [mlp(2, 6, 6, 1, seed=seed) for seed in range(4)]
for scale, net in zip((0.2, 1.0, 2.0, 1.0), NETS, strict=True):
    net[-1].weight.data *= scale
SOURCE = dict(zip(STEPS, [net.state_dict() for net in NETS], strict=True))


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.02)
    made = []

    def make(checkpoints=SOURCE, **kwargs):
        made.append(ng.RegionExplorer(mlp(2, 6, 6, 1, seed=9), BOX, DATA, checkpoints=checkpoints, **kwargs))
        made[-1].wait(30)
        return made[-1]

    yield make
    for explorer in made:
        explorer.close()


def go(explorer, step):
    explorer.step = step
    explorer.wait(30)


def title(explorer):
    return explorer._figure.root.title.text


def caption(explorer):
    return explorer._figure.canvas.caption.text.replace("\n", " ")


def tap(explorer, s, t):
    explorer._on_tap(Tap(explorer._figure.root, sx=1, sy=1, x=s, y=t))
    explorer.wait(30)


def colours(explorer):
    return list(explorer._figure.canvas.regions.data["fill"])


# ---- steps


def test_the_last_step_is_shown_first_and_each_is_the_partition_of_its_network(make):
    explorer = make()
    assert explorer.step == 40 and explorer.steps == STEPS
    for step, net in zip(STEPS, NETS, strict=True):
        go(explorer, step)
        expected = partition(net, BOX)
        assert np.array_equal(explorer.result.vertices, expected.vertices)
        assert title(explorer) == f"Step {step}: {expected.n_regions} regions, exact"
        assert repr(explorer) == f"<RegionExplorer done step {step}: {expected.n_regions} regions>"


def test_without_checkpoints_there_is_no_step(make):
    explorer = make(None)
    assert explorer.step is None and "Step" not in title(explorer)
    assert explorer._step_control.layout.display == "none"
    assert explorer._controls["common_scale"].box.layout.display == "none"
    with pytest.raises(NetgeomError, match="no recorded steps"):
        explorer.step = 0


def test_bad_checkpoints_are_refused_before_anything_starts(make):
    before = threading.active_count()
    wide = mlp(2, 7, 6, 1).state_dict()
    gelu = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.GELU())
    for checkpoints in ([], [wide], 3, [gelu]):
        with pytest.raises(NetgeomError):
            make(checkpoints)
    with pytest.raises(NetgeomError, match="was not recorded"):
        make(step=5)
    assert threading.active_count() == before


def test_a_step_whose_weights_are_not_finite_says_so_and_the_others_work(make):
    broken = {name: value.clone() for name, value in SOURCE[40].items()}
    broken["0.bias"][0] = float("nan")
    checkpoints = {**SOURCE, 40: broken}
    with pytest.raises(NetgeomError, match="not finite"):
        make(checkpoints)
    explorer = make(checkpoints, step=20)
    explorer.step = 40
    with pytest.raises(NetgeomError, match="not finite"):
        explorer.wait(30)
    assert explorer.status == "error" and title(explorer).startswith("Step 20")
    go(explorer, 10)
    assert explorer.status == "done"


def test_models_of_different_widths(make):
    models = [mlp(2, width, 1, seed=3) for width in (1, 4, 16)]
    explorer = make(models, step=0)
    counts = []
    for step in range(3):
        go(explorer, step)
        counts.append(explorer.result.n_regions)
    assert counts == [partition(model, BOX).n_regions for model in models]


def test_going_back_takes_no_computation(make):
    explorer = make(step=10)
    first = explorer.result
    go(explorer, 20)
    explorer._kernel_at = None  # would fail
    go(explorer, 10)
    assert explorer.result is first
    explorer.run()
    explorer.wait(30)
    assert explorer.result is first


def test_kept_steps_are_bounded_by_memory(make, monkeypatch):
    explorer = make()
    for step in STEPS:
        go(explorer, step)
    assert len(explorer._recent) == 4
    sizes = [prepared.n_bytes for prepared, _ in explorer._recent._kept.values()]
    assert all(size > 500_000 for size in sizes), "the backdrop alone takes more"
    explorer._recent._limit = sum(sizes[-2:])
    explorer._recent.put(*[(key, kept[0]) for key, kept in explorer._recent._kept.items()][-1])
    assert [key[0] for key in explorer._recent._kept] == [20, 40]
    explorer._recent._limit = 0
    go(explorer, 0)
    assert [key[0] for key in explorer._recent._kept] == [0]
    explorer.close()
    assert len(explorer._recent) == 0


def test_costly_settings_belong_to_what_is_kept(make):
    explorer = make(step=10)
    n_regions = explorer.result.n_regions
    explorer.max_regions = 5
    go(explorer, 20)  # not applied before Run
    assert explorer.result.n_regions > 5
    explorer.run()
    with pytest.raises(NetgeomError):
        explorer.wait(30)
    explorer.max_regions = 2_000_000
    explorer.step = 10
    explorer.run()
    explorer.wait(30)
    assert explorer.result.n_regions == n_regions


def test_the_latest_step_wins(make):
    explorer = make(step=0)
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]), "result")
    for step in (10, 20, 40, 20):
        explorer.step = step
    explorer.wait(30)
    assert explorer.result.digest == partition(NETS[2], BOX).digest
    assert len(seen) == 1


def test_state_makes_the_same_picture_again(make):
    explorer = make(step=10)
    explorer.region = 3
    state = json.loads(json.dumps(explorer.state()))
    again = ng.RegionExplorer.from_state(state, mlp(2, 6, 6, 1), BOX, DATA, checkpoints=SOURCE)
    again.wait(30)
    assert (again.step, again.region, again.selection) == (10, 3, explorer.selection)
    assert title(again) == title(explorer)
    again.close()


# ---- what stays from step to step


def test_view_and_settings_stay(make):
    explorer = make(step=10, color_by="output", layer=1)
    explorer.view = (-0.5, 0.5, -0.4, 0.4)
    explorer.wait(30)
    window = explorer._figure.window
    go(explorer, 20)
    assert explorer._figure.window == window and explorer.view is not None
    assert explorer.viewport is not explorer.result and explorer.viewport.digest == explorer.result.digest
    assert explorer.color_by == "output" and "after layer 1 of 2" in title(explorer)
    assert title(explorer).startswith("Step 20: ")


def test_of_the_picked_region_the_point_stays(make):
    explorer = make(step=10)
    tap(explorer, 0.3, 0.2)
    seen = []
    explorer.observe(lambda change: seen.append((change["new"], explorer.result.n_regions)), "region")
    for step, net in zip(STEPS, NETS, strict=True):
        go(explorer, step)
        expected = int(partition(net, BOX).locate(np.array([[0.3, 0.2]]))[0])
        assert explorer.region == expected
        held = np.flatnonzero(explorer.result.locate(DATA) == expected)
        assert explorer.selection == tuple(held.tolist())
        assert f"Region {expected:,}" in explorer._panel._detail.value
    assert all(region < n_regions for region, n_regions in seen)


def test_a_region_picked_by_number_is_followed_from_its_centre(make):
    explorer = make(step=10)
    explorer.region = 4
    centre = explorer.result.centroids[4][None]
    go(explorer, 40)
    assert explorer.region == int(explorer.result.locate(centre)[0])
    explorer.region = None
    go(explorer, 20)
    assert explorer.region is None


def test_a_lasso_stays(make):
    explorer = make(step=10)
    explorer._on_lasso([1, 5])
    explorer.wait(30)
    go(explorer, 20)
    assert explorer.selection == (1, 5)


def test_no_part_of_a_later_step_is_drawn(make):
    explorer = make(step=0)
    titles = []
    explorer._figure.root.title.on_change("text", lambda attr, old, new: titles.append(new))
    go(explorer, 10)
    assert titles == [title(explorer)]


# ---- one colour scale


def bar(explorer):
    mapper = next(bar for bar in explorer._figure.canvas._bars.values() if bar.visible).color_mapper
    return mapper.low, mapper.high


def limits_of(*steps):
    found = [region_values(partition(NETS[STEPS.index(step)], BOX), "slope norm").limits for step in steps]
    return min(low for low, _ in found), max(high for _, high in found)


def test_colours_mean_the_same_at_all_steps_seen(make):
    explorer = make(step=20)
    assert bar(explorer) == limits_of(20) and "colour scale" not in caption(explorer)
    go(explorer, 0)
    assert bar(explorer) == limits_of(0, 20) != limits_of(0)
    assert "One colour scale for the 2 steps seen so far" in caption(explorer)
    at_0 = colours(explorer)
    go(explorer, 20)
    assert bar(explorer) == limits_of(0, 20)
    go(explorer, 0)
    assert colours(explorer) == at_0


def test_each_step_has_its_own_scale_on_request(make):
    explorer = make(step=0)
    go(explorer, 20)
    explorer.common_scale = False
    explorer.wait(30)
    assert bar(explorer) == limits_of(20) and "colour scale" not in caption(explorer)
    go(explorer, 0)
    assert bar(explorer) == limits_of(0)


def test_another_colouring_takes_the_steps_seen_into_its_scale(make):
    explorer = make(step=0)
    go(explorer, 20)
    explorer.color_by = "area"
    explorer.wait(30)
    areas = [region_values(partition(NETS[i], BOX), "area").limits for i in (0, 2)]
    assert bar(explorer) == (min(low for low, _ in areas), max(high for _, high in areas))
    explorer.color_by = "class"
    explorer.wait(30)
    assert "colour scale" not in caption(explorer)


# ---- play, links, recordings


def test_play_shows_the_network_of_every_step(make):
    explorer = make()
    titles = []
    explorer._figure.root.title.on_change("text", lambda attr, old, new: titles.append(new.split(":")[0]))
    explorer.play()
    explorer.wait(60)
    assert titles == [f"Step {step}" for step in STEPS]
    assert not explorer.playing and explorer.result.digest == partition(NETS[3], BOX).digest


def test_linked_explorers_show_the_same_step(make):
    a, b = make(step=0), make()
    joined = link(a, b, "step")
    b.step = 20
    a.wait(30)
    assert title(a).startswith("Step 20")
    joined.unlink()


def train(path, steps, **options):
    """Record a run in which the weights of NETS follow one another; returns the recorder, left open."""
    model = mlp(2, 6, 6, 1)
    model.load_state_dict(NETS[0].state_dict())
    recorder = ng.Recorder(model, DATA.astype(np.float32), path=path, **{"parameters": True, **options})
    recorder.__enter__()
    for number in range(1, steps):
        advance(recorder, model, number)
    return recorder, model


def advance(recorder, model, number):
    model.load_state_dict(NETS[number].state_dict())
    recorder.step(10 * number)


def test_a_recording_or_its_path(make, tmp_path):
    recorder, _ = train(tmp_path, 4)
    recorder.__exit__(None, None, None)
    for checkpoints in (tmp_path, str(tmp_path), ng.open_recording(tmp_path)):
        explorer = make(checkpoints)
        assert explorer.steps == (0, 10, 20, 30) and explorer.step == 30
        assert explorer._controls["live"].box.layout.display == "none"
        for position, net in enumerate(NETS):
            go(explorer, 10 * position)
            assert explorer.result.n_regions == partition(net, BOX).n_regions


@pytest.mark.parametrize("parameters", [False, ["0.*"]])
def test_a_recording_without_all_parameters_is_refused_with_what_to_do(make, tmp_path, parameters):
    recorder, _ = train(tmp_path, 2, parameters=parameters)
    recorder.__exit__(None, None, None)
    with pytest.raises(NetgeomError, match="parameters=True"):
        make(tmp_path)


def test_a_recording_of_another_network_is_refused(make, tmp_path):
    other = mlp(2, 3, 1)
    with ng.Recorder(other, DATA.astype(np.float32), path=tmp_path, parameters=True):
        pass
    with pytest.raises(NetgeomError, match="not those of this model"):
        make(tmp_path)


def test_a_recording_that_is_written_is_followed(make, tmp_path, monkeypatch):
    monkeypatch.setattr("netgeom_widgets.widgets.following.FASTEST", 0.05)
    recorder, model = train(tmp_path, 2)
    recording = ng.open_recording(tmp_path)
    following, staying = make(recording), make(recording, step=0)
    assert following._controls["live"].box.layout.display is None
    advance(recorder, model, 2)
    wait_for(lambda: following.steps == staying.steps == (0, 10, 20))
    following.wait(30)
    assert following.step == 20 and title(following).startswith("Step 20: ")
    assert staying.step == 0 and title(staying).startswith("Step 0: ")
    assert len(recording) == 2, "the user's own view stays as it is"
    staying.live = False
    advance(recorder, model, 3)
    recorder.__exit__(None, None, None)
    wait_for(lambda: following.step == 30)
    following.wait(30)
    assert following.result.n_regions == partition(NETS[3], BOX).n_regions
    assert staying.steps == (0, 10, 20)


def test_run_takes_up_the_steps_of_a_recording_that_went_on(make, tmp_path):
    recorder, model = train(tmp_path, 2, run_id="mine")
    recorder.__exit__(None, None, None)
    explorer = make(tmp_path)
    with ng.Recorder(model, DATA.astype(np.float32), path=tmp_path, parameters=True, run_id="mine") as recorder:
        advance(recorder, model, 2)
    assert explorer.steps == (0, 10)
    explorer.run()
    explorer.wait(30)
    assert explorer.steps == (0, 10, 20) and explorer.step == 10
    go(explorer, 20)
    assert explorer.result.n_regions == partition(NETS[2], BOX).n_regions


wait_for = partial(waiting.wait_for, seconds=20)

"""Tests of what the similarity matrix compares and diagnoses: checkpoints, against, fit, noise, layers and the rest."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity import cka, fit_error, image_transforms, similarity_matrix
from netgeom_widgets.widgets import steps as steps_module
from netgeom_widgets.widgets.similarity_noise import CAUTION
from tests.widgets.waiting import wait_for

N, CLASSES = 24, 3
LABELS = np.arange(N) % CLASSES
STEPS = (0, 5, 10)


def network(width: int = 6, outputs: int = CLASSES, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, width), nn.Tanh(), nn.Linear(width, outputs)).double()


def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    centres = torch.rand(CLASSES, 4, 4, generator=generator, dtype=torch.float64)
    return centres[LABELS] + 0.2 * torch.rand(N, 4, 4, generator=generator, dtype=torch.float64)


def trained() -> dict[int, dict[str, torch.Tensor]]:
    """State dicts of a short training run by step."""
    model, found = network(), {}
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            found[step] = copy.deepcopy(model.state_dict())
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images()), torch.from_numpy(LABELS)).backward()
        optimizer.step()
    return found


RUN = trained()


def at_step(step: int) -> nn.Module:
    model = network()
    model.load_state_dict(RUN[step])
    return model


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(steps_module, "PACE", 0.02)
    made = []

    def make(model=None, labels=LABELS, **kwargs):
        made.append(ng.SimilarityMatrix(network() if model is None else model, images(), labels, **kwargs))
        made[-1].wait(60)
        return made[-1]

    yield make
    for widget in made:
        widget.close()


def change(widget, **traits):
    for name, value in traits.items():
        setattr(widget, name, value)
    widget.wait(60)


def words(widget, part):
    return widget._shown_parts[part].fold.words


def listed(widget, part):
    return [sample for _, sample in widget._shown_parts[part].part._list.options]


def caption(widget):
    return widget._note(widget._picture)


# ---- checkpoints


def test_each_step_is_the_matrix_of_its_network_and_is_computed_once(make, monkeypatch):
    widget = make(checkpoints=list(RUN.items()))
    assert widget.step == 10 and widget.steps == STEPS
    found = {}
    for step in (10, 0, 5):
        change(widget, step=step)
        found[step] = widget.result
        assert np.allclose(widget.result.values, similarity_matrix(at_step(step), images()).values, atol=1e-12)
        assert repr(widget).startswith(f"<SimilarityMatrix done step {step}: ")
    change(widget, step=0)
    assert widget.result is found[0]


def test_all_steps_stand_in_the_order_of_one_until_each_has_its_own(make):
    widget = make(checkpoints=RUN)
    last = widget.shown_order.tolist()
    change(widget, step=0)
    assert widget.order_step == 10 and widget.shown_order.tolist() == last
    control = widget._controls["order_step"].widget
    assert control._box.description == "Keep the order of step 10"
    control._box.value = False
    widget.wait(60)
    own = widget.shown_order.tolist()
    assert widget.order_step is None and own != last
    control._box.value = True
    change(widget, step=10)
    assert widget.order_step == 0 and widget.shown_order.tolist() == own
    change(widget, order="as given")
    assert widget.shown_order.tolist() == list(range(N))
    with pytest.raises(NetgeomError, match="was not recorded"):
        widget.order_step = 3


def test_play_shows_every_step(make):
    widget = make(checkpoints=RUN)
    seen = []
    widget.observe(lambda change: seen.append(widget._picture.settings["step"]), "result")
    widget.play()
    widget.wait(60)
    assert seen == list(STEPS) and not widget.playing


def test_a_recording_is_a_source_of_checkpoints_and_a_curve_runs_over_all_of_it(make, tmp_path):
    model = network()
    with ng.Recorder(model, images(), path=tmp_path / "run", parameters=True) as recorder:
        for step in (1, 2):
            with torch.no_grad():
                model[1].weight.mul_(1.5)
            recorder.step(step)
            if step == 1:
                widget = make(checkpoints=tmp_path / "run", over_steps=True)
    assert "2 steps with step 1" in words(widget, "over_steps")
    widget.run()
    widget.wait(60)
    assert widget.steps == (0, 1, 2) and "3 steps with step 2" in words(widget, "over_steps")
    arrays = widget._part_arrays()
    nets = [network() for _ in range(3)]
    for step, net in enumerate(nets):
        net[1].weight.data *= 1.5**step
    matrices = [similarity_matrix(net, images()).values for net in nets]
    expected = [(cka(matrices[2], values), cka(matrices[2], values, debiased=True)) for values in matrices]
    assert np.allclose(arrays["over_steps_cka"], expected, atol=1e-6)
    change(widget, steps_against="first")
    assert widget._part_arrays()["over_steps_cka"][0] == pytest.approx(1)
    widget._go_to_step(1)
    widget.wait(60)
    assert widget.step == 1 and widget.result.values == pytest.approx(matrices[1], abs=1e-6)


def test_bad_checkpoints_and_steps_are_refused_before_anything_starts(make):
    for checkpoints in ([], [network(7).state_dict()], 3):
        with pytest.raises(NetgeomError):
            make(checkpoints=checkpoints)
    with pytest.raises(NetgeomError, match="nothing to show for over_steps"):
        make(over_steps=True)
    with pytest.raises(NetgeomError, match="was not recorded"):
        make(checkpoints=RUN, step=7)


# ---- against


def test_another_network_is_shown_alone_or_as_a_difference_in_the_same_order(make):
    other = network(9, seed=5)
    widget = make(against=other)
    this, order = widget.result.values, widget.shown_order.tolist()
    expected = similarity_matrix(other, images()).values
    assert np.allclose(widget.against_result.values, expected, atol=1e-12) and "this network" in caption(widget)
    change(widget, mode="other")
    assert np.allclose(widget.result.values, expected, atol=1e-12) and "the other network" in caption(widget)
    assert "not defined" in make(against=network(outputs=2), targets=LABELS, mode="other").message
    change(widget, mode="difference")
    assert np.allclose(widget._picture.drawn, expected - this, atol=1e-12) and widget.result.values is this
    assert caption(widget).startswith("Shown: the other network minus this network.")
    assert widget.shown_order.tolist() == order
    change(widget, pair=(3, 7))
    said = widget._pair_words(widget._picture, (3, 7))
    assert f"{expected[3, 7]:.4g}".replace("-", "\N{MINUS SIGN}") in said


def test_the_agreement_is_said_in_numbers_and_those_that_changed_most_are_listed(make):
    other = network(9, seed=5)
    widget = make(against=other, agreement=True)
    a, b = widget.result.values, widget.against_result.values
    said = words(widget, "agreement")
    assert f"CKA {cka(a, b):.3f} (debiased {cka(a, b, debiased=True):.3f})" in said and "Spearman" in said
    found = widget._shown_parts["agreement"].found
    changed = found.changes.n_changed
    assert listed(widget, "agreement")[0] == np.argmax(changed) and changed.max() > 0
    widget._shown_parts["agreement"].part._list.value = listed(widget, "agreement")[1]
    wait_for(lambda: widget.row == listed(widget, "agreement")[1])


def test_a_step_or_other_layers_can_stand_against(make):
    widget = make(checkpoints=RUN, against=0, agreement=True)
    assert np.allclose(widget.against_result.values, similarity_matrix(at_step(0), images()).values, atol=1e-12)
    change(widget, step=0)
    assert widget.against_result is widget.result and caption(widget) == "Shown: step 0."
    assert "CKA 1.000 (debiased 1.000)" in words(widget, "agreement") and listed(widget, "agreement") == []
    layers = make(at_step(10), against=["3"], parameters=("1",))
    names = ["3.weight", "3.bias"]
    expected = similarity_matrix(at_step(10), images(), parameters=names).values
    assert np.allclose(layers.against_result.values, expected, atol=1e-12)
    assert caption(layers) == "Shown: layers 1."
    change(layers, mode="other")
    assert caption(layers) == "Shown: layers 3."


def test_what_cannot_stand_against_is_refused(make):
    for against in (3, object(), ["nowhere"], [], nn.Linear(5, 3)):
        with pytest.raises(NetgeomError):
            make(against=against)
    with pytest.raises(NetgeomError, match="nothing to compare"):
        make(mode="difference")
    widget = make()
    with pytest.raises(NetgeomError, match="nothing to show for agreement"):
        widget.agreement = True


# ---- fit


def test_the_fit_error_is_that_of_the_network_and_step_shown(make):
    widget = make(checkpoints=RUN, against=0, targets=LABELS, fit_errors=True)
    expected = {step: fit_error(at_step(step)(images()).detach(), LABELS) for step in STEPS}
    for step, mode, shown in ((10, "this", 10), (5, "this", 5), (5, "other", 0), (5, "difference", 5)):
        change(widget, step=step, mode=mode)
        assert np.allclose(widget.fit.losses, expected[shown].losses, atol=1e-12)
        for line in (widget.message, widget._fit_label.value, words(widget, "fit_errors")):
            assert f"it error {expected[shown].mean:.4g}" in line and f"{100 * expected[shown].accuracy:.4g} %" in line
    assert listed(widget, "fit_errors")[0] == np.argmax(expected[5].losses)
    widget._shown_parts["fit_errors"].part._go(4)
    widget._shown_parts["fit_errors"].part._take([2, 9])
    wait_for(lambda: (widget.row, widget.selection) == (4, (2, 9)))


def test_a_fit_that_is_not_small_is_questioned_and_a_good_one_is_not(make):
    model = network()
    outputs = model(images()).detach().numpy()
    good = make(model, targets=outputs + 1e-3)
    assert "% of a constant's" in good.message and "converged" not in good.message
    bad = make(model, targets=np.random.default_rng(0).normal(size=outputs.shape), loss="mse")
    assert "not converged?" in bad.message
    without = make()
    assert without.fit is None and without._fit_label.layout.display == "none" and "error" not in without.message
    for targets, loss in ((np.zeros((N, 2)), None), (LABELS + 1, None), (LABELS, "mse")):
        with pytest.raises(NetgeomError, match="targets"):
            make(targets=targets, loss=loss)
    assert make(targets=np.eye(CLASSES, dtype=int)[LABELS]).fit.loss == "mse"


# ---- label noise


def test_a_flipped_label_leads_the_list_and_choosing_it_shows_its_row(make):
    flipped = LABELS.copy()
    flipped[7] = (LABELS[7] + 1) % CLASSES
    widget = make(at_step(10), flipped, label_noise=True)
    for method in ("nearest", "soft", "less_soft"):
        change(widget, noise_method=method)
        assert listed(widget, "label_noise")[0] == 7
    found = widget._shown_parts["label_noise"].found
    assert found.said[7] == str(LABELS[7]) and found.scores[7] == found.scores.max()
    assert "1 of 24 inputs" in words(widget, "label_noise")
    above = widget._shown_parts["label_noise"].fold._top[0].children
    assert any(CAUTION in getattr(part, "value", "") for part in above)
    widget._shown_parts["label_noise"].part._list.value = 7
    wait_for(lambda: widget.row == 7)
    change(widget, output=0, kernel="inner")
    assert "normalised" in words(widget, "label_noise")
    named = make(at_step(10), np.array(["a", "b", "c"])[flipped], label_noise=True)
    assert listed(named, "label_noise")[0] == 7 and named._shown_parts["label_noise"].found.said[7] == "b"


# ---- invariance


class Mean(nn.Module):
    """Indifferent to any permutation of the pixels."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(1, 4)
        self.last = nn.Linear(4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.head(x.flatten(1).sort(1).values.mean(1, keepdim=True))))


def test_a_network_that_ignores_a_change_gives_one_and_the_choice_offers_changes_of_images(make):
    widget = make(Mean().double(), invariance=True)
    assert "Choose a change" in words(widget, "invariance")
    offered = [value for _, value in widget._controls["transform"].widget._menu.options]
    assert offered == ["", *image_transforms((4, 4))]
    change(widget, transform="rotate 90°")
    found = widget._shown_parts["invariance"].found
    assert np.allclose(found.values, 1, atol=1e-9) and not np.allclose(found.random, 1, atol=1e-3)
    assert "median k: 1 with the changed input" in words(widget, "invariance")


def test_a_change_of_ones_own_is_taken_its_errors_are_shown_and_its_result_is_checked(make):
    widget = make()
    widget.test_invariance(lambda batch: batch.flip(-1), "mirror")
    widget.wait(60)
    assert widget.invariance and widget.transform == "mirror" and "median k" in words(widget, "invariance")

    def broken(batch):
        raise ZeroDivisionError("<b>no</b>")

    fold = widget._shown_parts["invariance"].fold
    for transform, match in ((broken, "no"), (lambda batch: batch[:, :2], "shape"), (lambda batch: None, "array")):
        widget.test_invariance(transform)
        with pytest.raises(NetgeomError, match=match):
            widget.wait(60)
        assert fold._error.layout.display is None and "<b>" not in fold._error.value and widget.status == "done"
    with pytest.raises(NetgeomError, match="no function"):
        widget.test_invariance(3)
    widget.test_invariance(lambda batch: batch + 0, "mirror")  # another one by the same name
    widget.wait(60)
    assert np.allclose(widget._shown_parts["invariance"].found.values, 1)


# ---- denoising and layers


def test_denoising_is_offered_for_values_and_says_how_far_from_rest_it_is(make):
    model = network(outputs=1)
    targets = model(images()).detach().numpy()[:, 0] + 0.1
    widget = make(model, targets=targets, denoising=True)
    found = widget._shown_parts["denoising"].found
    assert found.estimate.shape == (N,) and "standard deviation" in words(widget, "denoising")
    assert "residual" in words(widget, "denoising")
    assert set(widget._part_arrays()) >= {"denoising_estimate", "denoising_factor", "denoising_stationarity"}
    with pytest.raises(NetgeomError, match="targets that are values"):
        make(targets=LABELS, denoising=True)


def test_layers_sum_to_the_matrix_and_their_agreement_is_cka(make):
    widget = make(by_layer=True)
    arrays = widget._part_arrays()
    assert arrays["by_layer_names"].tolist() == ["1", "3"]
    assert np.allclose(arrays["by_layer_parts"].sum(0), widget.result.values, atol=1e-12)
    assert arrays["by_layer_cka"][0, 1] == pytest.approx(cka(*arrays["by_layer_parts"]))
    change(widget, kernel="nuclear")
    assert "no sum over parameters" in words(widget, "by_layer")


# ---- all together


def test_state_brings_everything_back_and_exports_hold_it(make, tmp_path):
    options = {"checkpoints": RUN, "against": 0, "targets": LABELS}
    opened = dict.fromkeys(("fit_errors", "label_noise", "agreement", "over_steps", "by_layer", "invariance"), True)
    widget = make(step=5, mode="difference", noise_method="soft", transform="noise", **opened, **options)
    state = json.loads(json.dumps(widget.state()))
    again = ng.SimilarityMatrix.from_state(state, network(), images(), LABELS, **options)
    try:
        again.wait(60)
        assert (again.step, again.mode, again.noise_method, again.transform) == (5, "difference", "soft", "noise")
        assert all(words(again, part) == words(widget, part) != "" for part in opened)
    finally:
        again.close()
    widget.export_png(tmp_path / "all.png")
    assert (tmp_path / "all.png").stat().st_size > 20_000
    widget.export_data(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as stored:
        assert {"against_values", "agreement_cka", "fit_errors_losses", "label_noise_scores"} <= set(stored.files)

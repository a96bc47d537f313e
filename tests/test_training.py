"""Many runs at once are what each of them is alone: a plain torch loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.recording import trajectories
from netgeom_widgets.training import train_runs

X = torch.randn(22, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.sin(X @ torch.tensor([[1.0, -2.0], [0.5, 1.0], [2.0, 0.0]], dtype=torch.float64))
CLASSES = (Y[:, 0] > 0).long() + (Y[:, 1] > 0).long()
CROSS_ENTROPY = nn.functional.cross_entropy


def regressor() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()


class Classifier(nn.Module):
    """Batch norm, a weight used twice, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.twice = nn.Linear(3, 6), nn.BatchNorm1d(6), nn.Linear(6, 6)
        self.last = nn.Linear(6, 3).requires_grad_(False)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.norm(self.first(x)))
        return self.last(self.twice(torch.relu(self.twice(hidden))))


class Branching(nn.Linear):
    """What vmap cannot batch: a branch that depends on values."""

    def __init__(self) -> None:
        super().__init__(3, 2, dtype=torch.float64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if bool(x.sum() > 0) else super().forward(-x)


def plain(make_model, seed, x, y, epochs, batch_size, loss, optimizer):
    """The loop of the docstring: the network, its loss of each epoch."""
    torch.manual_seed(seed)
    net, order = make_model(), torch.Generator().manual_seed(seed)
    stepper = optimizer([p for p in net.parameters() if p.requires_grad])
    history = []
    for _ in range(epochs):
        summed = 0.0
        for rows in torch.randperm(len(x), generator=order).split(batch_size):
            stepper.zero_grad()
            value = loss(net(x[rows]), y[rows])
            value.backward()
            stepper.step()
            summed += float(value.detach()) * len(rows)
        history.append(summed / len(x))
    return net.eval(), history


SGD = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}


@pytest.mark.parametrize(
    ("make_model", "targets", "loss", "criterion", "options"),
    [
        (regressor, Y, "mse", nn.functional.mse_loss, {}),
        (regressor, Y, "l1", nn.functional.l1_loss, SGD),
        (Classifier, CLASSES, "cross_entropy", CROSS_ENTROPY, {"weight_decay": 0.01}),
        (Classifier, CLASSES, CROSS_ENTROPY, CROSS_ENTROPY, SGD),
        pytest.param(
            Branching, Y, "mse", nn.functional.mse_loss, {}, marks=pytest.mark.filterwarnings("ignore:torch.func.vmap")
        ),
    ],
)
def test_each_run_is_a_plain_loop(make_model, targets, loss, criterion, options):
    found = train_runs(make_model, X, targets, runs=3, epochs=4, batch_size=5, lr=0.01, loss=loss, seed=7, **options)
    assert found.batched == (make_model is not Branching) and found.batched == (not found.notes)
    for r, seed in enumerate((7, 8, 9)):

        def optimizer(parameters):
            if not options.get("momentum"):
                return torch.optim.Adam(parameters, 0.01, weight_decay=options.get("weight_decay", 0.0))
            return torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=0.01)

        net, history = plain(make_model, seed, X, targets, 4, 5, criterion, optimizer)
        np.testing.assert_allclose(found.history[r], history, rtol=1e-9)
        ours = found.model(r)
        for name, value in net.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-8, atol=1e-11)
        flat = nn.utils.parameters_to_vector(net.parameters())
        np.testing.assert_allclose(found.parameters[r], flat.detach(), rtol=1e-8, atol=1e-11)
        with torch.no_grad():
            assert found.final_loss[r] == pytest.approx(float(criterion(net(X), targets)), rel=1e-8)
    if loss == "cross_entropy":
        best = CROSS_ENTROPY((CLASSES.bincount() / 22).log().expand(22, 3), CLASSES.int().long())
        assert found.constant_loss == pytest.approx(float(best)) and found.relative_loss.shape == (3,)


def test_data_of_their_own(tmp_path):
    """Inputs and targets may differ from run to run; a rate may follow the epoch; all at once needs no order."""
    x = torch.stack([X, 2 * X])
    y = torch.stack([Y[:, 0], -Y[:, 1]])

    def one() -> nn.Module:
        return nn.Linear(3, 1, dtype=torch.float64)

    def rate(epoch):
        return 0.1 / (1 + epoch)

    options = {"epochs": 30, "lr": rate, "optimizer": "sgd"}
    found = train_runs(one, x.numpy(), y, runs=2, per_run=("inputs", "targets"), **options)
    for r in range(2):
        alone = train_runs(one, x[r], y[r, :, None], runs=1, seed=r, batch_size=99, **options)
        np.testing.assert_allclose(found.parameters[r], alone.parameters[0], rtol=1e-9)
        assert found.constant_loss[r] == pytest.approx(float(y[r].var(correction=0)))
    np.testing.assert_array_equal(found.converged(0.9), found.relative_loss <= 0.9)


def test_a_recording_of_all_runs(tmp_path):
    path = tmp_path / "runs.zarr"
    told = []
    found = train_runs(
        Classifier, X, CLASSES, runs=2, epochs=5, batch_size=8, loss="cross_entropy", record=path, every=2,
        progress=Progress(lambda p: told.append(p.fraction)),
    )  # fmt: skip
    assert found.run_ids == ("run-0", "run-1") and told[-1] == 1
    for r, run_id in enumerate(found.run_ids):
        recording = ng.open_recording(path, run_id)
        assert recording.finished and recording.steps.tolist() == [0, 2, 4, 5]
        np.testing.assert_array_equal(recording.parameters[-1], found.parameters[r])
        np.testing.assert_array_equal(recording.labels, CLASSES)
        np.testing.assert_allclose(recording.metrics["loss"][1:], found.history[r, [1, 3, 4]])
        restored, ours = recording.restore(Classifier(), 3).eval(), found.model(r)
        assert restored.norm.num_batches_tracked == ours.norm.num_batches_tracked == 15
        torch.testing.assert_close(restored(X), ours(X), rtol=0, atol=0)
        torch.testing.assert_close(torch.from_numpy(recording.outputs[-1]), ours(X).detach())
    curves = trajectories(path, ["loss", "last.bias"])
    assert curves.values.shape == (2, 4, 4) and curves.run_ids == found.run_ids
    train_runs(Classifier, X, CLASSES, runs=1, epochs=1, loss="cross_entropy", record=path)
    assert len(ng.open_recording(path, "run-2").runs) == 3  # more runs go beside them


def test_a_run_that_diverges_disturbs_no_other_and_nothing_else_changes():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    y = torch.stack([Y, 1e300 * Y])
    found = train_runs(regressor, X, y, runs=2, epochs=3, optimizer="sgd", lr=0.1, per_run="targets")
    assert torch.equal(torch.rand(2), expected)  # the random numbers of the user
    alone = train_runs(regressor, X, Y, runs=1, epochs=3, optimizer="sgd", lr=0.1)
    np.testing.assert_allclose(found.parameters[0], alone.parameters[0], rtol=1e-12)
    assert np.isfinite(found.final_loss).tolist() == [True, False] and not found.converged(1.0)[1]
    again = train_runs(regressor, X, Y, runs=2, epochs=1, seed=np.random.default_rng(0))
    same = train_runs(regressor, X, Y, runs=2, epochs=1, seed=np.random.default_rng(0))
    np.testing.assert_array_equal(again.parameters, same.parameters)
    assert "2 runs of 3 epochs" in repr(found) and len(set(again.seeds)) == 2


def test_cancel_stops_and_the_recording_keeps_what_it_has(tmp_path):
    cancel = Cancel()
    stop = Progress(lambda p: cancel.set() if p.done == 2 else None)
    with pytest.raises(Cancelled):
        train_runs(regressor, X, Y, runs=2, epochs=9, record=tmp_path / "r", progress=stop, cancel=cancel)
    assert ng.open_recording(tmp_path / "r", "run-1").steps.tolist() == [0, 1, 2]


SHARED = regressor()


@pytest.mark.parametrize(
    ("make_model", "changed", "said"),
    [
        (regressor, {"targets": Y[:, 0]}, "shape of the outputs"),
        (regressor, {"targets": Y[:5]}, "as many targets"),
        (regressor, {"targets": CLASSES + 1, "loss": "cross_entropy"}, "classes of the outputs"),
        (regressor, {"inputs": X[:, :2]}, "does not take the inputs"),
        (regressor, {"inputs": X * float("nan")}, "not all finite"),
        (regressor, {"per_run": "labels"}, "per_run"),
        (regressor, {"per_run": "inputs"}, "do not fit"),
        (regressor, {"optimizer": "lbfgs"}, "optimizer"),
        (regressor, {"momentum": 0.9}, "adam"),
        (regressor, {"loss": "hinge"}, "loss is not"),
        (regressor, {"loss": lambda outputs, targets: (outputs - targets).abs()}, "one number"),
        (regressor, {"runs": 0}, "runs must be"),
        (regressor, {"epochs": 2.5}, "epochs must be"),
        (regressor, {"lr": -1}, "lr must be"),
        (regressor, {"seed": "7"}, "seed"),
        (lambda: SHARED, {}, "same network"),
        (lambda: 3, {}, "does not make"),
        (lambda: nn.Linear(3, 2).requires_grad_(False), {}, "nothing to train"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).double()), {}, "several kinds"),
        (lambda: nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).double(), {}, "random numbers"),
        (lambda: nn.Linear(3, 2 + int(torch.rand(()) > 0.4)).double(), {"runs": 9}, "not built like"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make_model, changed, said):
    given = {"inputs": X, "targets": Y, "runs": 2, "epochs": 1} | changed
    with pytest.raises(NetgeomError, match=said):
        train_runs(make_model, given.pop("inputs"), given.pop("targets"), **given)


def test_a_loss_of_your_own_has_no_scale():
    found = train_runs(regressor, X, Y, runs=1, epochs=1, loss=nn.functional.huber_loss)
    with pytest.raises(NetgeomError, match="best constant output"):
        found.converged()
    with pytest.raises(NetgeomError, match="no such run"):
        found.model(1)

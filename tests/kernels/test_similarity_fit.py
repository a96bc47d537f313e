"""Tests of the fit error: kernels/similarity/fit.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity import fit_error, loss_gradient, similarity_matrix

RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(30, 3))
CLASSES = RNG.integers(0, 3, size=30)
VALUES = RNG.normal(size=(30, 3))


def test_each_named_loss_and_its_constant_by_its_definition():
    squares = fit_error(OUTPUTS, VALUES)
    expected = [
        np.mean([(o - y) ** 2 for o, y in zip(row, wanted, strict=True)])
        for row, wanted in zip(OUTPUTS, VALUES, strict=True)
    ]
    assert squares.loss == "mse" and np.allclose(squares.losses, expected, rtol=1e-12)
    assert squares.relative == pytest.approx(np.mean(expected) / VALUES.var(axis=0).mean(), rel=1e-12)
    assert squares.correct is None and squares.accuracy is None
    entropy = fit_error(OUTPUTS, CLASSES)
    chances = np.exp(OUTPUTS) / np.exp(OUTPUTS).sum(1, keepdims=True)
    assert np.allclose(entropy.losses, -np.log(chances[np.arange(30), CLASSES]), rtol=1e-12)
    shares = np.bincount(CLASSES) / 30
    assert entropy.loss == "cross_entropy"
    assert entropy.constant == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12)
    assert entropy.accuracy == np.mean(OUTPUTS.argmax(1) == CLASSES)


def test_one_hot_rows_are_values_and_classes():
    found = fit_error(OUTPUTS, np.eye(3)[CLASSES])
    assert found.loss == "mse" and found.accuracy == np.mean(OUTPUTS.argmax(1) == CLASSES)
    assert np.allclose(found.losses, ((OUTPUTS - np.eye(3)[CLASSES]) ** 2).mean(1))


def test_the_constant_is_the_best_one():
    for targets, loss in ((VALUES, "mse"), (CLASSES, "cross_entropy")):
        best = fit_error(OUTPUTS, targets, loss=loss).constant
        for _ in range(20):
            other = np.broadcast_to(RNG.normal(size=3), OUTPUTS.shape)
            assert fit_error(other, targets, loss=loss).mean >= best


def test_one_output_is_a_logit_for_classes_and_a_column_for_values():
    logits, classes = OUTPUTS[:, :1], (CLASSES > 0).astype(int)
    found = fit_error(logits, classes)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits[:, 0]), torch.tensor(classes, dtype=torch.float64), reduction="none"
    )
    assert np.allclose(found.losses, wanted.numpy(), rtol=1e-12)
    share = classes.mean()
    assert found.constant == pytest.approx(-(share * np.log(share) + (1 - share) * np.log(1 - share)), rel=1e-12)
    assert found.accuracy == np.mean((logits[:, 0] > 0) == classes)
    column = fit_error(torch.tensor(logits, dtype=torch.float32), VALUES[:, 0])
    assert np.allclose(column.losses, (logits[:, 0].astype(np.float32) - VALUES[:, 0]) ** 2, rtol=1e-6)
    assert fit_error(logits, classes, loss="mse").loss == "mse"


def test_a_function_is_asked_for_each_sample():
    def absolute(outputs, targets):
        return (outputs - targets).abs().mean(1)

    found = fit_error(OUTPUTS, VALUES, loss=absolute)
    assert found.loss == "absolute" and np.allclose(found.losses, np.abs(OUTPUTS - VALUES).mean(1))
    assert found.constant == pytest.approx(np.abs(VALUES - VALUES.mean(0)).mean())
    by_class = fit_error(OUTPUTS, CLASSES, loss=lambda o, t: torch.nn.functional.cross_entropy(o, t, reduction="none"))
    named = fit_error(OUTPUTS, CLASSES)
    assert np.allclose(by_class.losses, named.losses) and by_class.constant == pytest.approx(named.constant)
    assert by_class.accuracy == named.accuracy
    for bad in (torch.nn.MSELoss(), lambda outputs, targets: outputs.no_such_method()):  # one number for all; an error
        with pytest.raises(NetgeomError):
            fit_error(OUTPUTS, VALUES, loss=bad)


def test_constant_targets_leave_the_share_undefined():
    assert np.isnan(fit_error(OUTPUTS, np.ones((30, 3))).relative)


@pytest.mark.parametrize(
    ("targets", "loss"),
    [
        (CLASSES[:5], None),
        (CLASSES + 1, None),
        (-CLASSES, None),
        (CLASSES, "mse"),
        (VALUES[:, :2], None),
        (VALUES * np.nan, None),
        (VALUES, "cross_entropy"),
        (VALUES, "hinge"),
    ],
)
def test_targets_and_losses_that_do_not_fit_are_refused(targets, loss):
    with pytest.raises(NetgeomError):
        fit_error(OUTPUTS, targets, loss=loss)


def test_the_gradient_of_a_logits_loss_is_that_of_the_logistic_loss():
    torch.manual_seed(0)
    model, inputs = torch.nn.Linear(4, 1).double(), torch.randn(6, 4, dtype=torch.float64)
    classes = torch.tensor([0, 1, 1, 0, 1, 0])
    found = similarity_matrix(model, inputs, kernel="inner", output=loss_gradient(classes, "cross_entropy"))
    slopes = torch.sigmoid(model(inputs))[:, 0] - classes
    expected = slopes[:, None] * slopes * (inputs @ inputs.T + 1)
    assert np.allclose(found.values, expected.detach().numpy(), rtol=1e-12)

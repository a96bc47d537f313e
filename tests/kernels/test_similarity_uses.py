"""What similarities are used for: soft counts without a matrix, stored gradients, denoising, labels, invariance."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels import similarity as sim
from netgeom_widgets.kernels.similarity import denoising, soft_counts, stored_gradients
from tests.reference import similarity as twin

few = settings(max_examples=15, derandomize=True, deadline=None)
RNG = np.random.default_rng(0)


def network(*sizes: int, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def close(found, expected, atol=1e-10):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=atol)


# ------------------------------------------------------------------------------------------------------ soft counts


@pytest.mark.parametrize("at_once", [1 << 24, 200])
@pytest.mark.parametrize("output", [None, 1, sim.probabilities(), sim.margin([0, 1, 2] * 4)])
def test_soft_counts_are_row_sums(output, at_once, monkeypatch):
    """In one chunk and in several; also where K(x, x) has no full rank."""
    monkeypatch.setattr(soft_counts, "_NUMBERS_AT_ONCE", at_once)
    model, x = network(4, 6, 3), RNG.normal(size=(12, 4))
    values = sim.similarity_matrix(model, x, output=output, dtype=torch.float64).values
    close(sim.soft_neighbour_counts(model, x, output=output, dtype=torch.float64), values.sum(1))
    close(sim.soft_neighbour_counts(model, x, output=output), values.sum(1), atol=1e-4)


def test_soft_counts_of_parts_of_a_network():
    model, x = network(4, 6, 3).double(), RNG.normal(size=(7, 4))
    names = ["0.weight", "2.bias"]
    values = sim.similarity_matrix(model, x, parameters=names).values
    close(sim.soft_neighbour_counts(model, x, parameters=names), values.sum(1))
    linear = nn.Linear(4, 1, bias=False).double()
    close(sim.soft_neighbour_counts(linear, np.zeros((3, 4))), 0)  # zero gradients: 0, never NaN
    assert sim.soft_neighbour_counts(linear, np.ones((1, 4))) == pytest.approx(1)


class Once(torch.autograd.Function):
    """An operation whose gradient cannot be differentiated."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


class Squares(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):
        return Once.apply(self.linear(x))


def test_soft_counts_that_torch_cannot_take():
    with pytest.raises(NetgeomError, match="only once") as error:
        sim.soft_neighbour_counts(Squares(), np.ones((3, 2)))
    assert "similarity_matrix" in str(error.value)


# ------------------------------------------------------------------------------------------------- stored gradients


@few
@given(st.integers(1, 6), st.integers(1, 3), st.integers(1, 7), st.integers(0, 10**6), st.integers(1, 50))
def test_stored_gradients_equal_the_twin(n, d, p, seed, at_once):
    rng = np.random.default_rng(seed)
    j, others = rng.normal(size=(n, d, p)), rng.normal(size=(n + 1, d, p))
    j[0] = 0  # a zero gradient
    if n > 1 and d > 1:
        j[1, 1] = j[1, 0]  # a K(x, x) of lower rank
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_gradients, "_NUMBERS_AT_ONCE", at_once)
        for kernel in ("trace", "frobenius", "nuclear", "flat", *(("rotation",) if d == 2 else ())):
            found = sim.similarity_from_gradients(j, others, kernel=kernel)
            close(found.values, twin.similarity(j, others, kernel), atol=1e-6 if d > p else 1e-9)
            assert found.zero_gradient[0] and not found.values[0].any()
        for kernel in ("inner", "relative", "cosine"):
            close(
                sim.similarity_from_gradients(j[:, 0], kernel=kernel).values, twin.similarity(j[:, :1], kernel=kernel)
            )


def test_stored_gradients_anywhere(tmp_path, monkeypatch):
    import zarr

    monkeypatch.setattr(stored_gradients, "_NUMBERS_AT_ONCE", 40)
    j = RNG.normal(size=(6, 2, 11)).astype(np.float32)
    expected = twin.similarity(j.astype(float))
    mapped = np.memmap(tmp_path / "g.bin", np.float32, "w+", shape=j.shape)
    mapped[:] = j
    for held in (j, torch.as_tensor(j), mapped, zarr.create_array(str(tmp_path / "g.zarr"), data=j), j.tolist()):
        found = sim.similarity_from_gradients(held)
        np.testing.assert_allclose(found.values, expected, atol=2e-6)
    assert found.values.dtype == np.float64 and sim.similarity_from_gradients(j).values.dtype == np.float32
    assert sim.similarity_from_gradients(j, dtype=torch.float64).values.dtype == np.float64
    assert found.kernel == "trace" and found.outputs.shape == (6, 0)


# -------------------------------------------------------------------------------------------------------- denoising


def test_denoising_equals_the_twin(monkeypatch):
    monkeypatch.setattr(denoising, "_ENTRIES_AT_ONCE", 1)
    model, x, y = network(3, 5, 2).double(), RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))
    j = twin.joined(twin.jacobians(model, x))
    outputs = sim.similarity_matrix(model, x).outputs
    found, expected = sim.denoise(model, x, y), twin.denoise(j, outputs, y)
    for name in ("estimate", "variance", "consistency"):
        close(getattr(found, name), expected[name], atol=1e-9)
    gradient = np.einsum("jap,ja->p", j, outputs - y)
    assert found.stationarity == pytest.approx(np.linalg.norm(j @ gradient, axis=1).max())
    terms = np.linalg.norm(np.einsum("jap,ja->jp", j, outputs - y), axis=1).sum()
    assert found.gradient_share == pytest.approx(np.linalg.norm(gradient) / terms)


def test_the_identity_and_the_noise_left():
    """Least squares at its minimum: averages of targets and of outputs agree, and noise is left as foretold."""
    x, model = RNG.normal(size=(40, 3)), nn.Linear(3, 2).double()
    y = RNG.normal(size=(40, 2))
    design = np.column_stack([x, np.ones(40)])
    solution = np.linalg.lstsq(design, y, rcond=None)[0]
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(solution[:3].T))
        model.bias.copy_(torch.as_tensor(solution[3]))
    found = sim.denoise(model, x, y)
    assert found.stationarity < 1e-9 and found.gradient_share < 1e-7
    close(found.estimate, sim.denoise(model, x, design @ solution).estimate)
    close(found.consistency, np.linalg.norm(design @ solution - found.estimate, axis=1))
    gram = sim.cross_gram(model, x)
    noise = np.random.default_rng(1).normal(size=(2000, 40, 2))
    weights = np.linalg.inv(gram.sum(1))[:, None] @ gram
    left = np.einsum("ijab,sjb->sia", weights, noise)
    np.testing.assert_allclose(np.sqrt((left**2).mean((0, 2))), found.factor, rtol=0.1)
    own = found.covariance
    np.testing.assert_allclose(np.einsum("sia,sib->iab", left, left) / 2000, own, atol=0.15 * own.max())


def test_denoising_where_it_is_not_defined():
    gram = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, -2.0], [0.0, -2.0, 3.0]])
    found = sim.denoise_from_gram(gram, [1, 2, 3], [1, 2, 3])
    assert found.defined.tolist() == [False, False, True]
    assert (
        np.isnan(found.estimate[:2]).all()
        and np.isnan(found.factor[:2]).all()
        and np.isnan(found.consistency[:2]).all()
    )
    assert found.stationarity == 0 and np.isnan(found.gradient_share), "no residual, no gradient"
    one = sim.denoise_from_gram(np.full((1, 1), 4.0), [3.0], [5.0])
    assert (one.estimate, one.factor, one.consistency, one.gradient_share) == (3.0, 1.0, 0.0, 1.0)


# ------------------------------------------------------------------------------------------------------------ labels


@few
@given(st.integers(2, 12), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from(["nearest", "soft", "less_soft"]))
def test_label_noise_equals_the_twin(n, k, seed, method):
    rng = np.random.default_rng(seed)
    values = twin.similarity(rng.normal(size=(n, 1, 3)), kernel="cosine")
    labels, k = rng.integers(0, 3, n), min(k, n - 1)
    expected = twin.label_noise_scores(values, labels, method, k, 4.0)
    close(sim.label_noise_scores(values, labels, method=method, k=k), expected)
    if method == "nearest":
        close(sim.label_noise_scores(sim.nearest(values, k), labels), expected)


def test_flipped_labels_are_found():
    g = np.concatenate([RNG.normal([4, 0], 1, (30, 2)), RNG.normal([0, 4], 1, (30, 2))])
    values, labels = twin.similarity(g[:, None], kernel="cosine"), np.repeat([0, 1], 30)
    labels[[3, 40]] = [1, 0]
    for method in ("nearest", "soft", "less_soft"):
        scores = sim.label_noise_scores(values, labels, method=method)
        assert set(np.argsort(-scores)[:2]) == {3, 40}
    rest = np.setdiff1d(np.arange(60), [3, 40])
    rectangular = sim.label_noise_scores(values[[3, 40, 5]][:, rest], labels[[3, 40, 5]], labels_others=labels[rest])
    assert rectangular.argmin() == 2 and (rectangular[:2] > 0.9).all()
    assert not sim.label_noise_scores(values, np.zeros(60, dtype=int)).any(), "one label: nothing is suspicious"
    values[0] = values[:, 0] = 0  # a zero gradient
    assert np.isnan(sim.label_noise_scores(values, labels, method="soft")[0])
    assert np.isnan(sim.label_noise_scores(np.ones((1, 1)), [0])).all()


# ---------------------------------------------------------------------------------------------------- training term


def pairs():
    torch.manual_seed(3)
    return torch.randn(12, 4), torch.randn(12, 4)


@pytest.mark.parametrize("output", [None, 2, sim.margin([0, 1, 2] * 4)])
def test_the_loss_is_one_minus_the_similarity(output):
    model, (a, b) = network(4, 6, 3), pairs()
    kernel = "flat" if output is None else "cosine"
    both = output if output is None or isinstance(output, int) else sim.margin([0, 1, 2] * 4, [0, 1, 2] * 4)
    values = sim.similarity_matrix(model, a, b, kernel=kernel, output=both).values
    assert sim.similarity_loss(model, a, b, output=output).item() == pytest.approx(1 - np.diag(values).mean(), abs=1e-5)


def test_training_with_the_loss_raises_the_similarity_and_with_the_other_sign_lowers_it():
    a, b = pairs()
    after = {}
    for sign in (1, -1):
        model = network(4, 16, 3)
        before = sim.similarity_loss(model, a, b).item()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(60):
            optimiser.zero_grad()
            (sign * sim.similarity_loss(model, a, b)).backward()
            optimiser.step()
        after[sign] = sim.similarity_loss(model, a, b).item()
    assert after[1] < before - 0.1 and after[-1] > before + 0.1
    values = sim.similarity_matrix(model, a, b, kernel="flat").values
    assert np.diag(values).mean() == pytest.approx(1 - after[-1], abs=1e-5)


def test_the_live_model_is_left_alone():
    """In train mode too: one mask for all of the batch, so that a pair of equal inputs stays equal."""
    model, (a, b) = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.5), nn.Tanh(), nn.Linear(5, 2)), pairs()
    model[0].bias.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    sim.similarity_loss(model, a, b)
    assert sim.similarity_loss(model, a, a).item() == pytest.approx(0, abs=1e-6)
    assert model.training and all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


class Shared(nn.Module):
    """A linear layer met twice, one that sees several rows of a sample, and one weight that is also added."""

    def __init__(self):
        super().__init__()
        self.rows, self.twice, self.last = nn.Linear(2, 3), nn.Linear(6, 6, bias=False), nn.Linear(6, 2)

    def forward(self, x):
        h = torch.tanh(self.rows(x.reshape(-1, 2, 2))).flatten(1)
        return self.last(torch.tanh(self.twice(torch.tanh(self.twice(h))))) + self.last.weight.sum()


CONVOLUTIONS = nn.Sequential(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2, padding=1), nn.GroupNorm(1, 3))
WITH_CONVOLUTIONS = nn.Sequential(CONVOLUTIONS, nn.Tanh(), nn.Flatten(), nn.Linear(27, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.mark.parametrize("model", [network(4, 6, 3), Shared(), WITH_CONVOLUTIONS], ids=["plain", "shared", "conv"])
@pytest.mark.parametrize("parameters", [None, 0], ids=["all", "first"])
def test_the_loss_and_its_gradient(model, parameters):
    model, (a, b) = model.double(), pairs()
    names = None if parameters is None else [next(name for name, _ in model.named_parameters())]
    values = sim.similarity_matrix(model, a, b, kernel="flat", parameters=names).values
    loss = sim.similarity_loss(model, a.double(), b.double(), parameters=names)
    close(loss.item(), 1 - np.diag(values).mean())
    weights = list(model.parameters())
    gradient = torch.autograd.grad(loss, weights, allow_unused=True)
    directions = [torch.randn_like(p) for p in weights]
    expected = sum((g * v).sum().item() for g, v in zip(gradient, directions, strict=True) if g is not None)
    ends = []
    for step in (1e-6, -1e-6):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for p, v in zip(moved.parameters(), directions, strict=True):
                p.add_(step * v)
        ends.append(sim.similarity_loss(moved, a.double(), b.double(), parameters=names).item())
    assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-5, abs=1e-8)


class Branching(nn.Module):
    """Decides row by row on values, which torch cannot batch."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        rows = [torch.tanh(self.first(r)) if r.sum().item() > 0 else torch.sin(self.second(r)) for r in x]
        return torch.stack(rows)


def test_the_loss_sample_by_sample():
    model, (a, b) = Branching(), pairs()
    loss = sim.similarity_loss(model, a, b)
    j = twin.joined(twin.jacobians(model, torch.cat([a, b])))
    assert loss.item() == pytest.approx(1 - np.diag(twin.similarity(j[:12], j[12:], "flat")).mean(), abs=1e-5)
    loss.backward()
    assert model.first.weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert sim.similarity_loss(model, a, b).item() == pytest.approx(loss.item(), abs=1e-6)
        assert sim.similarity_loss(network(4, 6, 3), a.tolist(), b.numpy()).requires_grad is False
    dead = nn.Linear(4, 1, bias=False)
    assert sim.similarity_loss(dead, torch.zeros(2, 4), torch.ones(2, 4)).item() == 1, "zero gradients: similarity 0"


# -------------------------------------------------------------------------------------------------------- invariance


class Invariant(nn.Module):
    """Does not see the order of the entries."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.each, self.head = nn.Linear(1, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.each(x[:, :, None])).sum(1))


@pytest.mark.parametrize("kernel", ["trace", "nuclear", "flat"])
def test_an_invariant_network(kernel):
    x = RNG.normal(size=(70, 5))
    found = sim.invariance(Invariant(), x, lambda batch: batch[:, ::-1].copy(), kernel=kernel, dtype=torch.float64)
    close(found.values, 1)
    assert found.share_above == 1 and (found.random < 1).all()
    whole = sim.similarity_matrix(Invariant(), x, kernel=kernel, dtype=torch.float64).values
    close(found.random, whole[np.arange(70), found.partners])
    assert np.array_equal(np.sort(found.partners), np.arange(70)) and (found.partners != np.arange(70)).all()
    again = sim.invariance(Invariant(), x, lambda batch: batch[:, ::-1].copy(), kernel=kernel, dtype=torch.float64)
    assert np.array_equal(found.random, again.random)


def test_invariance_against_others_with_labels():
    model, x, others = network(4, 6, 3).double(), torch.randn(9, 4).double(), torch.randn(5, 4).double()
    labels, more = [0, 1, 2] * 3, [2, 1, 0, 1, 2]
    found = sim.invariance(model, x, lambda batch: batch.mul_(2), others=others, output=sim.margin(labels, more))
    own = sim.similarity_matrix(model, x, 2 * x, output=sim.margin(labels, labels)).values
    far = sim.similarity_matrix(model, x, others, output=sim.margin(labels, more)).values
    close(found.values, np.diag(own))
    close(found.random, far[np.arange(9), found.partners])


# ---------------------------------------------------------------------------------------------------------- refusals

NET = network(2, 3, 2)
X = np.ones((3, 2))
REFUSED = [
    (lambda: sim.similarity_from_gradients(np.ones(3)), "(n, d, p)"),
    (lambda: sim.similarity_from_gradients(np.ones((3, 2, 4)), np.ones((3, 2, 5))), "(m, 2, 4)"),
    (lambda: sim.similarity_from_gradients(np.ones((3, 2, 4)), kernel="cosine"), "compares one output"),
    (lambda: sim.similarity_from_gradients(np.ones((3, 1, 4)), kernel="rotation"), "two outputs"),
    (lambda: sim.similarity_from_gradients(np.ones((3, 4)), kernel="rbf"), "'trace'"),
    (lambda: sim.similarity_from_gradients(np.array([[1.0], [np.nan]])), "sample 1"),
    (lambda: sim.denoise(NET, X, np.ones(3)), "shape (3, 2)"),
    (lambda: sim.denoise(NET, X, np.full((3, 2), np.inf)), "finite"),
    (lambda: sim.denoise_from_gram(np.ones((2, 3)), [1, 2], [1, 2]), "(n, n)"),
    (lambda: sim.denoise_from_gram(np.full((2, 2), np.nan), [1, 2], [1, 2]), "finite"),
    (lambda: sim.label_noise_scores(np.eye(3), [0, 1]), "3 whole numbers"),
    (lambda: sim.label_noise_scores(np.eye(3), [0, 1, 2], method="loss"), "'nearest'"),
    (lambda: sim.label_noise_scores(np.ones((2, 3)), [0, 1]), "3 whole numbers"),
    (lambda: sim.label_noise_scores(sim.nearest(np.eye(3), 1), [0, 1, 2], method="soft"), "one method"),
    (lambda: sim.similarity_loss(NET, torch.ones(3, 2), [[1.0, 1.0]]), "one shape"),
    (lambda: sim.similarity_loss(NET, torch.ones(3, 2), torch.ones(3, 2), parameters=["9.weight"]), "9.weight"),
    (lambda: sim.similarity_loss(nn.BatchNorm1d(2), torch.ones(3, 2), torch.ones(3, 2)), "statistics of the batch"),
    (lambda: sim.invariance(NET, X, lambda x: x[:2]), "another shape"),
    (lambda: sim.invariance(NET, X, lambda x: 1 / 0), "ZeroDivisionError"),
    (lambda: sim.invariance(NET, X, lambda x: x * np.nan), "finite"),
    (lambda: sim.invariance(NET, X[:1], lambda x: x), "at least 2"),
    (lambda: sim.invariance(NET, X, lambda x: x, others="all"), "'random'"),
    (lambda: sim.soft_neighbour_counts(NET, X, output=5), "0 to 1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_refusals(call, message):
    with pytest.raises(NetgeomError) as error:
        call()
    assert message in str(error.value)

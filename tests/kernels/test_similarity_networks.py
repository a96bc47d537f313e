"""similarity_matrix and cross_gram on networks of many kinds, against plain autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels import similarity as sim
from netgeom_widgets.kernels.similarity import checking, gradients, pairs, positions, readings
from tests.reference import similarity as twin


class Call(nn.Module):
    """A module whose forward is the function given; its parts are modules and parameters."""

    def __init__(self, forward, **parts) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def tied():
    """An embedding whose weight is the last layer's too: two forms of use."""
    embedding, last = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
    last.weight = embedding.weight
    return nn.Sequential(embedding, nn.Tanh(), last, Call(lambda self, x: x.mean(1)))


def twice():
    shared = nn.Linear(6, 6)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), shared, nn.Tanh(), shared, nn.Linear(6, 2))


def of_two_sizes():
    """One convolution at two resolutions: its calls have different numbers of positions."""
    return Call(
        lambda self, x: self.last(self.c(self.c(x).tanh()[..., ::2]).mean(-1)),
        c=nn.Conv1d(2, 2, 3),
        last=nn.Linear(2, 3),
    )


def attention():
    def forward(self, x):
        h = self.norm(self.tokens(x))
        return (torch.tanh((h + self.attention(h, h, h)[0]) @ self.raw)).mean(1)

    return Call(
        forward,
        tokens=nn.Embedding(7, 4, padding_idx=0),
        norm=nn.LayerNorm(4),
        attention=nn.MultiheadAttention(4, 2, batch_first=True),
        raw=nn.Parameter(torch.randn(4, 3)),
    )


def functional_transpose():
    """A weight used once as it is and once transposed, as autoencoders with tied weights do."""
    return Call(lambda self, x: self.layer(x).tanh() @ self.layer.weight, layer=nn.Linear(5, 3))


def time_first():
    """Layers that see (time, batch, features): rows of a sample do not stand together."""
    return Call(lambda self, x: self.layer(x.transpose(0, 1)).tanh().sum(0), layer=nn.Linear(3, 2))


def folded():
    """Layers that see (batch * places, features)."""
    return Call(lambda self, x: self.layer(x.flatten(0, 1)).relu().reshape(len(x), -1), layer=nn.Linear(3, 2))


def images_folded():
    """Convolutions that see (batch * views, channels, ...)."""
    return Call(
        lambda self, x: self.c(x.flatten(0, 1)[:, None]).tanh().reshape(len(x), x.shape[1], -1).sum(1),
        c=nn.Conv1d(1, 2, 2),
    )


def changed_in_place():
    """The input of a layer is overwritten after its use."""

    def forward(self, x):
        h = self.first(x)
        out = self.second(h)
        h.add_(1.0)
        return out + h[:, :2]

    return Call(forward, first=nn.Linear(5, 3), second=nn.Linear(3, 2))


CONVOLUTIONAL = nn.Sequential(
    nn.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2),
    nn.BatchNorm2d(6),
    nn.ReLU(inplace=True),
    nn.Conv2d(6, 6, 3, stride=2, groups=6, padding_mode="circular", padding=1),
    nn.GroupNorm(2, 6),
    nn.PReLU(),
    nn.Flatten(),
    nn.Linear(96, 3),
)
NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), (5,)),
    "convolutional": (lambda: CONVOLUTIONAL, (4, 7, 7)),
    "one-dimensional": (
        lambda: nn.Sequential(nn.Conv1d(2, 6, 3, padding="same"), nn.InstanceNorm1d(6, affine=True)),
        (2, 4),
    ),
    "three-dimensional": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2, stride=(1, 2, 1)), nn.Flatten()), (1, 2, 3, 2)),
    "transposed": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(2, 4, (3, 2), stride=2, padding=1, output_padding=1, groups=2),
            nn.PReLU(4),
            nn.Flatten(),
            nn.Linear(4 * 8 * 7, 2),
        ),
        (2, 4, 4),
    ),
    "sequence": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Flatten(), nn.Linear(12, 2)),
        (6, 3),
    ),
    "norms": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.RMSNorm(4), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 2)),
        (2, 3),
    ),
    "shared": (twice, (5,)),
    "shared at two sizes": (of_two_sizes, (2, 12)),
    "time first": (time_first, (5, 3)),
    "as many places as are checked": (time_first, (4, 3)),
    "folded": (folded, (5, 3)),
    "images folded": (images_folded, (3, 6)),
    "tied transpose": (functional_transpose, (5,)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(5, 3)), (5,)),
    "bilinear": (lambda: Call(lambda self, x: self.b(x, x), b=nn.Bilinear(3, 3, 2)), (3,)),
    "recurrent": (lambda: Call(lambda self, x: self.r(x)[0][:, -1], r=nn.LSTM(3, 2, batch_first=True)), (4, 3)),
    "attention": (attention, ("tokens", 5)),
    "tied embedding": (tied, ("tokens", 5)),
}
"""Factory and the shape of one input; ("tokens", T) for whole numbers below 7."""

DIFFERENTIATED_WHOLE = {
    "time first",
    "as many places as are checked",
    "tied transpose",
    "weight norm",
    "bilinear",
    "recurrent",
    "attention",
    "tied embedding",
}


def built(name, n=7):
    torch.manual_seed(3)
    make, shape = NETWORKS[name]
    model = make().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    tokens = shape[0] == "tokens"
    return model, torch.randint(0, 7, (n, *shape[1:])) if tokens else torch.randn(n, *shape, dtype=torch.float64)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network(name):
    model, inputs = built(name)
    parts = twin.jacobians(model, inputs)
    j = twin.joined(parts)
    close(sim.cross_gram(model, inputs), twin.blocks(j))
    close(sim.cross_gram(model, inputs[:3], inputs[1:]), twin.blocks(j[:3], j[1:]))
    found = sim.similarity_matrix(model, inputs, by_parameter=True)
    close(found.values, twin.similarity(j))
    close(sim.similarity_matrix(model, inputs).values, twin.similarity(j))
    roots = [twin.inverse_root(x @ x.T)[0] for x in j]
    for parameter, part in parts.items():
        whitened = np.array([root @ x for root, x in zip(roots, part, strict=True)])
        close(found.parts[parameter], np.einsum("icp,jcp->ij", whitened, whitened) / j.shape[1])
    np.testing.assert_array_equal(found.rank, twin.ranks(j))
    assert set(found.method.values()) <= {"layers", "jacobian", "loop"}
    assert (set(found.method.values()) == {"layers"}) == (name not in DIFFERENTIATED_WHOLE), found.method


@pytest.mark.parametrize("kernel", ["frobenius", "nuclear", "rotation", "flat", "inner", "relative", "cosine"])
@pytest.mark.parametrize("name", ["mlp", "convolutional", "sequence", "attention"])
def test_kernels(name, kernel):
    model, inputs = built(name)
    outputs = {"rotation": lambda z: z[:, :2], "frobenius": None, "nuclear": None, "flat": None}
    output = outputs.get(kernel, 1)
    j = twin.joined(twin.jacobians(model, inputs, output=output))
    found = sim.similarity_matrix(model, inputs, inputs[2:], kernel=kernel, output=output)
    close(found.values, twin.similarity(j, j[2:], kernel=kernel))
    close(sim.similarity_matrix(model, inputs, kernel=kernel, output=output).values, twin.similarity(j, kernel=kernel))


def test_float32_is_within_a_millionth():
    model, inputs = built("convolutional", n=30)
    exact = sim.similarity_matrix(model, inputs).values
    coarse = sim.similarity_matrix(model.float(), inputs.float())
    assert coarse.values.dtype == np.float32 and coarse.settings["dtype"] == "float32"
    np.testing.assert_allclose(coarse.values, exact, atol=3e-6)
    np.testing.assert_allclose(sim.similarity_matrix(model, inputs, dtype=torch.float64).values, exact, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "convolutional", "sequence", "attention", "tied embedding", "images folded"])
def test_sizes_of_tiles_and_passes_change_nothing(name, monkeypatch):
    model, inputs = built(name, n=11)
    whole = sim.similarity_matrix(model, inputs).values
    blocks = sim.cross_gram(model, inputs, inputs[:5])
    monkeypatch.setattr(pairs, "TILE", 3)
    monkeypatch.setattr(gradients, "_NUMBERS_AT_ONCE", 1)
    monkeypatch.setattr(positions, "NUMBERS_AT_ONCE", 7)
    seen = []
    again = sim.similarity_matrix(
        model, inputs, on_rows=lambda start, stop, rows: seen.append((start, stop, rows.copy()))
    )
    close(again.values, whole)
    assert [s[:2] for s in seen] == [(0, 3), (3, 6), (6, 9), (9, 11)]
    np.testing.assert_array_equal(np.concatenate([rows for *_, rows in seen]), again.values)
    close(sim.cross_gram(model, inputs, inputs[:5]), blocks)
    monkeypatch.setattr(pairs, "_KEPT_BYTES", 1)
    close(sim.similarity_matrix(model, inputs).values, whole)
    close(sim.similarity_matrix(model, inputs, inputs[:5]).values, whole[:, :5])


@pytest.mark.parametrize("by_pairs", [False, True])
@pytest.mark.parametrize("name", ["convolutional", "sequence", "shared at two sizes", "transposed", "images folded"])
def test_both_forms_of_the_product_of_positions(name, by_pairs, monkeypatch):
    model, inputs = built(name)
    j = twin.joined(twin.jacobians(model, inputs))
    monkeypatch.setattr(gradients.Gradients, "_smaller", lambda self, factor: factor)
    monkeypatch.setattr(positions, "_by_vectors_is_cheaper", lambda factor, d: not by_pairs)
    close(sim.similarity_matrix(model, inputs).values, twin.similarity(j))
    close(sim.similarity_matrix(model, inputs, inputs[2:]).values, twin.similarity(j, j[2:]))
    close(sim.cross_gram(model, inputs), twin.blocks(j))


# --------------------------------------------------------------------------------------------------------- the check


def test_a_wrong_layer_form_is_found_and_said(monkeypatch):
    model, inputs = built("mlp")
    right = readings.READERS[torch.nn.functional.linear]

    def wrong(x, weight, bias=None):
        reading = right(x, weight, bias)
        reading.inputs = reading.inputs * 1.000001
        return reading

    monkeypatch.setitem(readings.READERS, torch.nn.functional.linear, wrong)
    found = sim.similarity_matrix(model, inputs)
    assert found.method == {"0.weight": "jacobian", "0.bias": "layers", "2.weight": "jacobian", "2.bias": "layers"}
    assert len(found.notes) == 2 and found.notes[0].startswith("0.weight: its layer form is off by 2e-06")
    close(found.values, twin.similarity(twin.joined(twin.jacobians(model, inputs))))


def test_an_operation_hidden_from_the_forward_pass_is_found(monkeypatch):
    """Checkpointing runs the operations again in the backward pass, where nobody watches."""

    def forward(self, x):
        return self.last(torch.utils.checkpoint.checkpoint(self.first, x, use_reentrant=False).tanh())

    model = Call(forward, first=nn.Linear(5, 4), last=nn.Linear(4, 2)).double()
    inputs = torch.randn(7, 5, dtype=torch.float64)
    close(sim.similarity_matrix(model, inputs).values, twin.similarity(twin.joined(twin.jacobians(model, inputs))))


def test_rounding_does_not_make_a_layer_form_fail(monkeypatch):
    """In float32 a unit near its kink may fall to another side in a batch than alone: float64 then decides."""
    model, inputs = built("convolutional")
    monkeypatch.setitem(checking._TOLERANCE, torch.float32, 0.0)
    found = sim.similarity_matrix(model.float(), inputs.float())
    assert set(found.method.values()) == {"layers"} and not found.notes


def test_a_model_of_one_precision_alone_is_differentiated_whole_where_the_check_fails(monkeypatch):
    model = Call(lambda self, x: self.m(x.float()), m=nn.Linear(5, 3))
    inputs = torch.randn(7, 5)
    monkeypatch.setitem(checking._TOLERANCE, torch.float32, 0.0)
    assert set(sim.similarity_matrix(model, inputs).method.values()) == {"loop"}


# -------------------------------------------------------------------------------------------------------- identities


@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_positive_semidefinite_bounded_and_symmetric(seed, n, d, duplicated):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, d)).double()
    inputs = torch.randn(n, 3, dtype=torch.float64)
    inputs = torch.cat([inputs, inputs]) if duplicated else inputs
    for kernel in ("trace", "flat", "frobenius", "nuclear"):
        values = sim.similarity_matrix(model, inputs, kernel=kernel).values
        np.testing.assert_array_equal(values, values.T)
        assert np.abs(values).max() <= 1
        np.testing.assert_allclose(np.diag(values), 1, atol=1e-12)
        if duplicated:
            np.testing.assert_allclose(np.diag(values[:n, n:]), 1, atol=1e-12)
        if kernel in ("trace", "flat"):
            assert np.linalg.eigvalsh(values).min() > -1e-9


def test_a_linear_model_has_the_closed_form():
    x = torch.randn(6, 4, dtype=torch.float64)
    expected = (x @ x.T + 1).numpy()[:, :, None, None] * np.eye(3)
    close(sim.cross_gram(nn.Linear(4, 3).double(), x), expected)


def test_group_copies_of_an_invariant_network_are_the_same_input():
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).double()
    x = torch.randn(5, 1, 6, 6, dtype=torch.float64)
    shifted = torch.roll(x, (2, 3), (2, 3))
    np.testing.assert_allclose(np.diag(sim.similarity_matrix(model, x, shifted).values), 1, atol=1e-12)


def test_zero_gradients_are_flagged_and_never_nan():
    model = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU(), nn.Linear(4, 1, bias=False)).double()
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [-1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    for kernel in ("trace", "flat", "relative", "nuclear"):
        found = sim.similarity_matrix(model, x, x[:2], kernel=kernel)
        assert found.zero_gradient.tolist() == [True, False, False, True]
        assert found.zero_gradient_others.tolist() == [True, False]
        assert found.rank.tolist() == [0, 1, 1, 0]
        assert (
            not found.values[[0, 3]].any() and not found.values[:, 0].any() and found.values[1, 1] == pytest.approx(1)
        )


def test_a_network_that_ignores_its_parameters_has_zero_gradients():
    model = Call(lambda self, x: x[:, :2], unused=nn.Linear(3, 2))
    found = sim.similarity_matrix(model, torch.randn(5, 3))
    assert found.zero_gradient.all() and not found.values.any()


def test_probabilities_lose_a_rank_and_say_so():
    model, inputs = built("mlp")
    found = sim.similarity_matrix(model, inputs, output=sim.probabilities())
    assert (found.rank == 2).all()
    np.testing.assert_allclose(np.diag(found.values), 2 / 3, atol=1e-12)
    coarse = sim.similarity_matrix(model.float(), inputs.float(), output=sim.probabilities())
    assert (coarse.rank == 2).all()
    np.testing.assert_allclose(coarse.values, found.values, atol=1e-5)


def test_parameter_subsets_and_frozen_ones():
    model, inputs = built("mlp")
    j = twin.jacobians(model, inputs, ["2.weight"])
    close(sim.similarity_matrix(model, inputs, parameters=["2.weight"]).values, twin.similarity(twin.joined(j)))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name == "2.weight")
    found = sim.similarity_matrix(model, inputs)
    close(found.values, twin.similarity(twin.joined(j)))
    assert list(found.method) == found.settings["parameters"] == ["2.weight"]


# ------------------------------------------------------------------------------------------------------------ outputs


def test_margin_of_labels_and_of_predictions():
    model, inputs = built("mlp")
    labels = np.arange(7) % 3
    rows = [
        twin.joined(twin.jacobians(model, inputs[[i]], output=lambda z, c=c: z[:, c] - (z.sum(1) - z[:, c]) / 2))
        for i, c in enumerate(labels)
    ]
    j = np.concatenate(rows)
    close(sim.similarity_matrix(model, inputs, output=sim.margin(labels)).values, twin.similarity(j))
    half = sim.similarity_matrix(model, inputs, inputs[:4], output=sim.margin(labels, others=labels[:4]))
    close(half.values, twin.similarity(j, j[:4]))
    predicted = model(inputs).argmax(1)
    by_name = sim.similarity_matrix(model, inputs, output=sim.margin(predicted)).values
    close(sim.similarity_matrix(model, inputs, output=sim.margin()).values, by_name)


@pytest.mark.parametrize("name", ["mlp", "attention", "recurrent"])  # layers, jacobians and loop get the targets
def test_loss_gradients_are_those_of_tracin(name):
    model, inputs = built(name)
    d = model(inputs).shape[1]
    for loss, targets in (("cross_entropy", torch.arange(7) % d), ("mse", torch.randn(7, d, dtype=torch.float64))):

        def of_one(i, loss=loss, targets=targets):
            function = getattr(nn.functional, "mse_loss" if loss == "mse" else loss)
            return twin.joined(twin.jacobians(model, inputs[[i]], output=lambda z: function(z, targets[[i]])))

        j = np.concatenate([of_one(i) for i in range(7)])
        found = sim.similarity_matrix(model, inputs, kernel="inner", output=sim.loss_gradient(targets, loss))
        close(found.values, twin.similarity(j, kernel="inner"))


def test_a_function_of_the_outputs():
    model, inputs = built("mlp")
    j = twin.joined(twin.jacobians(model, inputs, output=lambda z: z.square().sum(1)))
    close(sim.similarity_matrix(model, inputs, output=lambda z: z.square().sum(1)).values, twin.similarity(j))


# ----------------------------------------------------------------------------------------------------------- promises


def test_the_model_given_stays_as_it_was():
    model, inputs = built("convolutional")
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    sim.similarity_matrix(model, inputs)
    assert model.training and all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_inputs_of_other_kinds():
    model, inputs = built("mlp")
    expected = sim.similarity_matrix(model, inputs).values
    close(sim.similarity_matrix(model, inputs.numpy().tolist()).values, expected)
    with torch.no_grad():
        close(sim.similarity_matrix(model, inputs.numpy()).values, expected)
    pixels = (inputs.abs() * 50).to(torch.uint8)
    whole = sim.similarity_matrix(model, pixels).values
    close(whole, sim.similarity_matrix(model, pixels.double()).values)


def test_provenance_and_same_bits():
    model, inputs = built("convolutional")
    first, second = (sim.similarity_matrix(model, inputs, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    assert first.model_digest == second.model_digest and first.settings["kernel"] == "trace"
    close(first.outputs, model.eval()(inputs).detach().numpy())
    with torch.no_grad():
        model[0].bias.add_(1)
    assert sim.similarity_matrix(model, inputs).model_digest != first.model_digest


class Mixing(nn.Linear):
    def forward(self, x):
        return super().forward(x - x.mean(0))


class Random(nn.Linear):
    def forward(self, x):
        return super().forward(x + torch.rand(x.shape))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m, x: sim.similarity_matrix(m, x, kernel="cosin"), "kernel is not known"),
        (lambda m, x: sim.similarity_matrix(m, x, kernel="cosine"), "compares one output"),
        (lambda m, x: sim.similarity_matrix(m, x, kernel="rotation"), "two outputs"),
        (lambda m, x: sim.similarity_matrix(m, x, kernel="nuclear", by_parameter=True), "no sum over parameters"),
        (lambda m, x: sim.similarity_matrix(m, x, output=3), "no such output"),
        (lambda m, x: sim.similarity_matrix(m, x, output="logits"), "output is not understood"),
        (lambda m, x: sim.similarity_matrix(m, x, output=lambda z: z.sum()), "gives no numbers per sample"),
        (lambda m, x: sim.similarity_matrix(m, x, output=sim.margin([0, 1])), "targets do not fit"),
        (lambda m, x: sim.similarity_matrix(m, x, x, output=sim.loss_gradient(x[:, :3])), "needs targets of the other"),
        (lambda m, x: sim.similarity_matrix(m, x, parameters=["0.wieght"]), "no such parameter"),
        (lambda m, x: sim.similarity_matrix(m, x, parameters=[]), "No parameter takes part"),
        (lambda m, x: sim.similarity_matrix(m, x, parameters="0.weight"), "must be a list"),
        (lambda m, x: sim.similarity_matrix(m, x, dtype=torch.float16), "dtype is not supported"),
        (lambda m, x: sim.similarity_matrix(m.half(), x), "too coarse"),
        (lambda m, x: sim.similarity_matrix(m, x[:0]), "not understood"),
        (lambda m, x: sim.similarity_matrix(m, x * np.inf), "not finite"),
        (lambda m, x: sim.similarity_matrix(m, x, x[:, :2]), "another shape"),
        (lambda m, x: sim.similarity_matrix(Mixing(5, 3), x), "depend on the other samples"),
        (lambda m, x: sim.similarity_matrix(Random(5, 3), x), "depend on the other samples"),
        (lambda m, x: sim.similarity_matrix(Call(lambda self, y: (self.m(y),), m=m), x), "one row of outputs"),
        (lambda m, x: sim.similarity_matrix(changed_in_place(), x), "cannot be differentiated"),
        (lambda m, x: sim.similarity_matrix(m, x[:, :2]), "does not take these inputs"),
        (lambda m, x: sim.similarity_matrix(built("tied embedding")[0], torch.full((3, 5), 9)), "IndexError"),
        (lambda m, x: sim.similarity_matrix(nn.ReLU(), x), "No parameter takes part"),
        (lambda m, x: sim.similarity_matrix(Call(lambda self, y: self.m(y).log(), m=m), -x.abs()), "not finite"),
    ],
)
def test_refusals(call, match):
    model, inputs = built("mlp")
    with pytest.raises(NetgeomError, match=match):
        call(model, inputs)


def test_gradients_that_are_not_finite_are_refused_by_sample():
    model = Call(lambda self, x: self.m(x).abs().sqrt(), m=nn.Linear(2, 1, bias=False))
    x = torch.tensor([[1.0, 2.0]] * 9 + [[0.0, 0.0]])
    with pytest.raises(NetgeomError, match="not finite"):
        sim.similarity_matrix(model, x)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("rectangular", [True, False])
def test_progress_ends_at_its_total_and_cancel_is_heard(kept, rectangular, monkeypatch):
    model, inputs = built("mlp", n=11)
    others = inputs[:5] if rectangular else None
    monkeypatch.setattr(pairs, "TILE", 3)
    if not kept:
        monkeypatch.setattr(pairs, "_KEPT_BYTES", 6 * 8 * 64)
    seen = []
    progress = Progress(lambda p: seen.append(p.done))
    sim.similarity_matrix(model, inputs, others, progress=progress)
    assert seen == sorted(seen) and seen[-1] == pytest.approx(progress.total) and len(seen) > 8
    for when in (1, len(seen) - 2):
        cancel = Cancel()
        told = []

        def stop(p, cancel=cancel, told=told, when=when):
            told.append(p.done)
            if len(told) == when:
                cancel.set()

        with pytest.raises(Cancelled):
            sim.similarity_matrix(model, inputs, others, progress=Progress(stop), cancel=cancel)


class Routed(nn.Module):
    """Two experts; each sees the rows that a router gives it, all of them or some or none."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        out, chosen = torch.zeros(len(x), 2, dtype=x.dtype), x[:, 0] > 0
        for expert, rows in ((self.a, chosen), (self.b, ~chosen)):
            if rows.any():
                out[rows] = expert(x[rows])
        return out


@pytest.mark.parametrize(
    ("n_first", "seed", "method"), [(0, 0, "layers"), (41, 0, "layers"), (6, 2, "loop"), (1, 0, None)]
)
def test_a_routed_model_is_right_or_refused_and_never_lacks_a_part(n_first, seed, method):
    """The four samples of the check may meet one of the experts only: then the others are found missing."""
    torch.manual_seed(0)
    x = torch.randn(41, 3, dtype=torch.float64)
    x[:, 0] = -x[:, 0].abs()
    x[:n_first, 0] *= -1
    model = Routed().double()
    if method is None:
        with pytest.raises(NetgeomError, match="in other ways for other samples"):
            sim.similarity_matrix(model, x, seed=seed)
        return
    found = sim.similarity_matrix(model, x, seed=seed)
    assert set(found.method.values()) == {method}
    close(found.values, twin.similarity(twin.joined(twin.jacobians(model, x))))

"""Bad input is refused before any work, by name; whatever comes, the user's model stays as it was."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from netgeom_widgets.errors import NetgeomError, TooLargeError, UnsupportedModuleError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.regions import Slice, partition
from tests.kernels.checks import assert_jacobians, assert_values, double
from tests.kernels.networks import MODULES, warmed

BOX = Slice.box(-1, 1, -1, 1)


def small(seed: int = 0, width: int = 8) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))


def plane(*shape: int) -> Slice:
    a, b, c = np.random.default_rng(0).normal(size=(3, *shape))
    return Slice.through(a, b, c)


class Calls(nn.Module):
    """linear -> a function under test -> linear."""

    def __init__(self, function, width: int = 6) -> None:
        super().__init__()
        self.first, self.second, self.function = nn.Linear(2, width), nn.Linear(width, 1), function

    def forward(self, x):
        return self.second(self.function(self.first(x)))


# ------------------------------------------------------------------------------------------------ what is not supported

UNSUPPORTED = {
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "ELU": nn.ELU,
    "Softplus": nn.Softplus,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
    "Softmax": lambda: nn.Softmax(dim=1),
    "LogSoftmax": lambda: nn.LogSoftmax(dim=1),
    "LayerNorm": lambda: nn.LayerNorm(6),
    "GroupNorm": lambda: nn.GroupNorm(2, 6),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_modules_are_named_by_their_path(kind):
    layers: list = []
    inner = nn.Sequential(OrderedDict(lin=nn.Linear(6, 6), act=UNSUPPORTED[kind]()))
    model = nn.Sequential(OrderedDict(body=nn.Sequential(nn.Linear(2, 6), nn.ReLU(), inner), head=nn.Linear(6, 1)))
    with pytest.raises(UnsupportedModuleError) as caught:
        partition(model, BOX, on_layer=layers.append)
    assert "body.2.act" in str(caught.value) and kind in str(caught.value)
    assert "ReLU" in str(caught.value), "the message lists what is supported"
    assert not layers, "refused before any work"


def test_unsupported_modules_of_other_inputs():
    cases = [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.InstanceNorm2d(2), nn.Flatten(), nn.Linear(8, 1)), plane(1, 4, 4), "1"),
        (nn.Sequential(nn.Linear(2, 4), nn.LPPool1d(2, 2), nn.Linear(2, 1)), BOX, "1"),
    ]
    for model, domain, path in cases:
        with pytest.raises(UnsupportedModuleError) as caught:
            partition(model, domain)
        assert f"{path!r}" in str(caught.value) or f" {path} " in str(caught.value) or path in str(caught.value)


def test_recurrent_and_attention_are_refused():
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.out = nn.MultiheadAttention(4, 1, batch_first=True), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(self.mix(x, x, x)[0]).flatten(1)

    with pytest.raises(UnsupportedModuleError, match="mix"):
        partition(Attends(), plane(3, 4))


FUNCTIONS = {
    "gelu": F.gelu,
    "softmax": lambda x: F.softmax(x, dim=1),
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": lambda x: x.sigmoid(),
    "exp": torch.exp,
    "log": lambda x: torch.log(x * x + 1),
    "square": lambda x: x * x,
    "power": lambda x: x**2,
    "quotient": lambda x: x / (1 + abs(x)),
    "reciprocal": lambda x: 1 / x,
    "sin": torch.sin,
    "norm": lambda x: x / x.norm(dim=1, keepdim=True),
    "layer_norm": lambda x: F.layer_norm(x, (6,)),
    "normalize": lambda x: F.normalize(x, dim=1),
    "round": torch.round,
    "sign": torch.sign,
    "floor": torch.floor,
    "compare": lambda x: (x > 0) * 1.0,
    "where": lambda x: torch.where(x > 0, x, 2 * x + 1),
    "gate": lambda x: x * torch.relu(x),
    "attention": lambda x: (x[:, :, None] * x[:, None, :]).sum(2),
    "sort": lambda x: torch.sort(x, dim=1)[0],
    "random": lambda x: x + torch.rand(1),
    "noise": lambda x: x + torch.randn_like(x),
    "functional dropout in training": lambda x: F.dropout(x, 0.5, training=True),
    "hardshrink": F.hardshrink,
    "threshold with a jump": lambda x: F.threshold(x, 0.0, 1.0),
    "pool with indices": lambda x: F.max_pool1d(x, 2, return_indices=True)[0],
    "indices of a maximum": lambda x: x.max(1, keepdim=True)[0] * 0 + x.max(1, keepdim=True)[1],
    "cumulative maximum": lambda x: torch.cummax(x, 1)[0],
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_functions_that_are_not_piecewise_linear_are_refused(kind):
    layers: list = []
    with pytest.raises(NetgeomError) as caught:
        partition(Calls(FUNCTIONS[kind]), BOX, on_layer=layers.append)
    assert not layers
    if kind in ("gelu", "softmax", "silu", "tanh", "sigmoid", "exp", "sin", "layer_norm", "sort"):
        assert kind in str(caught.value)


BATCH_MIXING = {
    "mean of the batch": lambda x: x - x.mean(0),
    "mean of everything": lambda x: x - x.mean(),
    "sum of the batch": lambda x: x + x.sum(0, keepdim=True),
    "first sample": lambda x: x + x[0],
    "last sample": lambda x: x - x[-1:],
    "flip": lambda x: x + x.flip(0),
    "roll": lambda x: x + x.roll(1, 0),
    "cumulative sum": lambda x: torch.cumsum(x, 0),
    "batch size as a number": lambda x: x * x.shape[0],
    "maximum of everything": lambda x: x - x.max(),
    "maximum of the batch": lambda x: x - x.max(0)[0],
    "maximum over the batch, negative": lambda x: torch.maximum(x, torch.amin(x, (-2, -1), keepdim=True)),
    "pool over the batch": lambda x: F.max_pool1d(x.t(), 2, 1, padding=1)[:, :1].t() + x,
    "batch statistics": lambda x: F.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("kind", BATCH_MIXING)
def test_models_that_mix_samples_are_refused(kind):
    with pytest.raises(NetgeomError):
        partition(Calls(BATCH_MIXING[kind]), BOX)


def test_batch_norm_without_running_statistics_is_refused():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU(), nn.Linear(4, 1))
    with pytest.raises(NetgeomError, match="1"):
        partition(model, BOX)


def test_control_flow_on_data_is_refused():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 1), nn.Linear(2, 1)

        def forward(self, x):
            return self.a(x) if x.sum() > 0 else self.b(x)

    with pytest.raises(NetgeomError):
        partition(Branches(), BOX)


# ------------------------------------------------------------------------------------------------------- bad models


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.linear, self.function = nn.Linear(2, 3), function

    def forward(self, x):
        return self.function(self.linear(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda y: (y, y),
        lambda y: {"logits": y},
        lambda y: [y],
        lambda y: None,
        lambda y: 3.0,
        lambda y: y.mean(),
        lambda y: y.sum(0),
        lambda y: y.argmax(1),
        lambda y: y.reshape(-1),
    ],
    ids=["tuple", "dict", "list", "none", "number", "scalar", "no batch", "integers", "batch folded in"],
)
def test_models_that_do_not_return_one_tensor_per_sample_are_refused(function):
    with pytest.raises(NetgeomError):
        partition(Returns(function), BOX)


BAD_MODELS = {
    "two inputs": TwoInputs,
    "lazy": lambda: nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 1)),
    "complex": lambda: nn.Sequential(nn.Linear(2, 4, dtype=torch.complex64), nn.Linear(4, 1, dtype=torch.complex64)),
    "on the meta device": lambda: nn.Sequential(nn.Linear(2, 4, device="meta"), nn.ReLU()),
    "no outputs": lambda: Returns(lambda y: y[:, :0]),
    "text": lambda: "model",
    "None": lambda: None,
    "a class": lambda: nn.ReLU,
    "a function": lambda: lambda x: x,
}


@pytest.mark.parametrize("kind", BAD_MODELS)
def test_other_bad_models_are_refused(kind):
    model = BAD_MODELS[kind]()
    with pytest.raises(NetgeomError):
        partition(model, BOX)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(value):
    model = small()
    with torch.no_grad():
        model[2].weight[3, 1] = value
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(NetgeomError, match=r"2\.weight"):
        partition(model, BOX)
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor.nan_to_num(), before[key].nan_to_num())


def test_buffers_that_are_not_finite_are_named():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 1))
    model[1].running_var[2] = float("nan")
    with pytest.raises(NetgeomError, match=r"1\.running_var"):
        partition(model, BOX)


def test_overflow_inside_is_refused():
    """Finite weights whose products overflow float64: no NaN comes out."""
    model = small().double()
    with torch.no_grad():
        for layer in (0, 2, 4):
            model[layer].weight.mul_(1e150)
    with pytest.raises(NetgeomError):
        _ = partition(model, BOX).slopes


@pytest.mark.parametrize(
    ("model", "domain"),
    [
        (nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), BOX),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)), plane(1, 4, 4)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 1)), plane(16)),
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.ReLU()), plane(2, 4)),
    ],
)
def test_wrong_input_shape(model, domain):
    with pytest.raises(NetgeomError, match="shape"):
        partition(model, domain)


class Uncopyable(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.lock = nn.Linear(2, 1), threading.Lock()

    def forward(self, x):
        return self.linear(x)


class RefusesCopies(Uncopyable):
    def __deepcopy__(self, memo):
        raise RuntimeError("there is only one of me")


@pytest.mark.parametrize("kind", [Uncopyable, RefusesCopies])
def test_a_model_that_cannot_be_copied_is_refused(kind):
    with pytest.raises(NetgeomError, match="cop"):
        partition(kind(), BOX)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tolerance", value) for value in (-1e-9, float("nan"), 1.5, "small")]
    + [("max_regions", value) for value in (0, -5, 2.5, "many")],
)
def test_bad_settings_are_refused(name, value):
    with pytest.raises(NetgeomError, match=name):
        partition(small(), BOX, **{name: value})


def test_numpy_numbers_are_settings_too():
    found = partition(small(), BOX, tolerance=np.float32(1e-9), max_regions=np.int64(500))
    assert found.n_regions == partition(small(), BOX).n_regions


@pytest.mark.parametrize("domain", [None, [[-1, -1], [1, -1], [1, 1]], "box"])
def test_a_domain_that_is_no_slice_is_refused(domain):
    with pytest.raises(NetgeomError):
        partition(small(), domain)


def test_too_many_regions_says_how_far_it_came():
    counts = list(partition(small(width=20), BOX).region_counts)
    assert counts[0] < counts[1]
    layers: list = []
    with pytest.raises(TooLargeError) as caught:
        partition(small(width=20), BOX, max_regions=counts[1] - 1, on_layer=layers.append)
    message = str(caught.value)
    assert "max_regions" in message and "1" in message
    assert str(counts[1] - 1) in message.replace(",", "").replace("_", "")
    assert len(layers) == 1 and layers[0].n_regions == counts[0]
    assert partition(small(width=20), BOX, max_regions=counts[1]).n_regions == counts[1]


# ------------------------------------------------------------------------------------------- what must simply work


def fingerprint(model: nn.Module):
    """Everything of a model and of the random generators that a kernel might disturb."""
    state = {key: (tensor.dtype, tensor.device, tensor.clone()) for key, tensor in model.state_dict().items()}
    flags = [(name, module.training, type(module)) for name, module in model.named_modules()]
    hooks = [
        (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
        for module in model.modules()
    ]
    parameters = [(id(p), p.requires_grad, None if p.grad is None else p.grad.clone()) for p in model.parameters()]
    # Not Python's `random`: the run-time type checker of these tests draws from it.
    generators = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (the global one is meant)
    return state, flags, hooks, parameters, *generators


def assert_same(before, after) -> None:
    for (key, (dtype, device, tensor)), (key2, (dtype2, device2, tensor2)) in zip(
        before[0].items(), after[0].items(), strict=True
    ):
        assert (key, dtype, device) == (key2, dtype2, device2) and torch.equal(tensor, tensor2)
    assert before[1:3] == after[1:3]
    for (a, flag, gradient), (a2, flag2, gradient2) in zip(before[3], after[3], strict=True):
        assert a == a2 and flag == flag2
        assert (gradient is None) == (gradient2 is None) and (gradient is None or torch.equal(gradient, gradient2))
    assert torch.equal(before[4], after[4]) and np.array_equal(before[5], after[5])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("training", [True, False])
def test_any_precision_and_mode_just_work(dtype, training):
    torch.manual_seed(4)
    model = nn.Sequential(
        nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.RReLU(), nn.Linear(8, 2)
    )
    model = warmed(model).to(dtype).train(training)
    model[3].eval()
    model[0].weight.grad = torch.ones_like(model[0].weight)
    model[4].bias.requires_grad_(False)
    before = fingerprint(model)
    found = partition(model, BOX)
    _ = found.slopes, found.decision_boundary(), found.certify(), found.statistics(), found.outputs
    found.input_slopes(0)
    assert_same(before, fingerprint(model))
    assert_values(found, model)
    assert_jacobians(found, model)
    assert list(found.region_counts) == list(partition(double(model), BOX).region_counts)


@pytest.mark.parametrize("name", MODULES)
def test_default_dtype_and_gradient_mode_do_not_matter(name):
    constructor, shape = MODULES[name]
    torch.manual_seed(0)
    model = constructor()
    domain = plane(*shape)
    expected = list(partition(model, domain).region_counts)
    with torch.no_grad():
        assert list(partition(model, domain).region_counts) == expected
    with torch.inference_mode():
        assert list(partition(model, domain).region_counts) == expected


def test_failing_leaves_the_model_alone():
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(inplace=True), nn.GELU(), nn.Linear(4, 1)).half().train()
    before = fingerprint(model)
    with pytest.raises(UnsupportedModuleError):
        partition(model, BOX)
    assert_same(before, fingerprint(model))


def test_observing_hooks_of_the_users_model_are_kept_and_not_called():
    """A forward hook that says it only looks, and any backward hook."""
    model, calls = small(), []

    def observe(*_):
        calls.append("forward")

    observe.netgeom_observer = True
    model[1].register_forward_hook(observe)
    model.register_forward_pre_hook(observe)
    model[2].register_full_backward_hook(lambda *_: calls.append("backward"))
    before = fingerprint(model)
    expected = list(partition(small(), BOX).region_counts)
    found = partition(model, BOX)
    _ = found.slopes, found.certify(), found.input_slopes(0)
    assert list(found.region_counts) == expected
    assert calls == []
    assert_same(before, fingerprint(model))


def test_other_forward_hooks_are_refused_by_name_without_being_called():
    model, calls = small(), []
    model[2].register_forward_hook(lambda *_: calls.append("forward"))
    before = fingerprint(model)
    with pytest.raises(NetgeomError, match=r"2.*hook"):
        partition(model, BOX)
    assert calls == []
    assert_same(before, fingerprint(model))


def test_a_hook_that_changes_the_output_is_never_ignored():
    """Either refused, or the partition is that of the hooked model."""
    model = small().double()
    model[0].register_forward_hook(lambda _, __, output: output + 0.25)
    try:
        found = partition(model, BOX)
    except NetgeomError:
        return
    assert_values(found, model)


def test_shared_modules_and_tied_weights():
    torch.manual_seed(0)
    shared, relu = nn.Linear(8, 8), nn.ReLU()
    model = nn.Sequential(nn.Linear(2, 8), relu, shared, relu, shared, relu, nn.Linear(8, 1)).double()
    found = partition(model, BOX)
    assert len(found.region_counts) == 3 and len(set(found.ops)) == 3
    assert_values(found, model)
    assert_jacobians(found, model)


def test_parametrised_weights():
    torch.manual_seed(0)
    model = small().double()
    nn.utils.parametrizations.weight_norm(model[2])
    plain = double(model)
    found = partition(model, BOX)
    assert_values(found, plain)


def test_the_result_outlives_changes_of_the_model():
    """Everything computed on first use is of the model as it was when given."""
    model = small().double()
    frozen = double(model)
    found = partition(model, BOX)
    with torch.no_grad():
        model[0].weight.mul_(3)
    assert_values(found, frozen)
    assert_jacobians(found, frozen)
    assert found.certify().holds


# --------------------------------------------------------------------------- progress, cancel, partial results, bits


def test_partial_partitions_refuse_what_they_do_not_have():
    partials: list = []
    partition(small(), BOX, on_layer=partials.append)
    assert [partial.complete for partial in partials] == [False, False]
    for partial in partials:
        for read in (lambda p: p.slopes, lambda p: p.offsets, lambda p: p.decision_boundary()):
            with pytest.raises(NetgeomError):
                read(partial)


def test_progress_runs_to_the_end():
    seen: list[float] = []
    progress = Progress(lambda p: seen.append(p.fraction))
    partition(small(), BOX, progress=progress)
    assert seen and seen == sorted(seen) and progress.fraction == 1.0
    assert all(0 <= fraction <= 1 for fraction in seen)


def test_cancel_before_and_during():
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        partition(small(), BOX, cancel=cancel)
    cancel, layers = Cancel(), []

    def stop(partial):
        layers.append(partial)
        cancel.set()

    with pytest.raises(Cancelled):
        partition(small(), BOX, cancel=cancel, on_layer=stop)
    assert len(layers) == 1


def test_cancel_from_another_thread_is_heard():
    """A net that takes far longer than the test: it must come back with Cancelled."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU())
    cancel = Cancel()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    with pytest.raises(Cancelled):
        partition(model, Slice.box(-20, 20, -20, 20), cancel=cancel)
    timer.join()


def test_an_exception_of_the_callback_is_passed_on():
    class StopHereError(Exception):
        pass

    def callback(partial):
        raise StopHereError

    with pytest.raises(StopHereError):
        partition(small(), BOX, on_layer=callback)


def test_same_input_same_bits():
    one, two = partition(small(width=16), BOX), partition(small(width=16), BOX)
    names = "vertices edges edge_op edge_unit edge_regions ring_offsets ring_vertices areas centroids"
    for name in [*names.split(), "slopes", "offsets", "births", "outputs", "classes"]:
        a, b = getattr(one, name), getattr(two, name)
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), name
    assert np.array_equal(one.decision_boundary().segments, two.decision_boundary().segments)


def test_types_of_the_arrays():
    found = partition(small(), BOX)
    for name in ("vertices", "areas", "centroids", "slopes", "offsets", "outputs"):
        assert getattr(found, name).dtype == np.float64
    for name in ("edges", "edge_op", "edge_unit", "edge_regions", "ring_vertices", "births", "classes"):
        assert getattr(found, name).dtype == np.int32, name
    assert found.slopes.shape == (found.n_regions, 1, 2) and found.offsets.shape == (found.n_regions, 1)
    with pytest.raises(AttributeError):
        found.n_regions = 3


def test_a_located_region_can_be_asked_for():
    """`locate` gives numpy integers: they are region ids as good as any."""
    found = partition(small(), BOX)
    (region,) = found.locate(found.centroids[3:4])
    assert region == 3
    assert np.array_equal(found.pattern(region)["1"], found.pattern(3)["1"])
    assert np.array_equal(found.input_slopes(region), found.input_slopes(3))


def test_the_resolution_is_small_and_grows_far_from_the_origin():
    """A million units away neighbouring floats are 1e-10 apart, also where no hinge passes."""
    found = partition(small(), BOX)
    assert 0 < found.resolution < 1e-9
    far = partition(small(), Slice.box(1e6, 1e6 + 1, -1, 1))
    assert far.resolution >= np.spacing(1e6)


BAD_CALLS = {
    "pattern of no region": lambda found: found.pattern(found.n_regions),
    "pattern of region -1": lambda found: found.pattern(-1),
    "slopes of no region": lambda found: found.input_slopes(found.n_regions),
    "ancestors after no op": lambda found: found.ancestors(2),
    "points with three coordinates": lambda found: found.locate(np.zeros((3, 3))),
    "flat viewport": lambda found: found.rasterise(0, 0, 0, 1, 10, 10),
    "no pixels": lambda found: found.rasterise(0, 1, 0, 1, 0, 10),
    "negative sample": lambda found: found.sample_boundary(-1),
}


@pytest.mark.parametrize("kind", BAD_CALLS)
def test_bad_arguments_of_methods_are_refused(kind):
    found = partition(small(), BOX)
    with pytest.raises(NetgeomError):
        BAD_CALLS[kind](found)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(value):
    with pytest.raises(NetgeomError, match="finite"):
        partition(small(), BOX).locate(np.array([[0.0, 0.0], [value, 0.0]]))

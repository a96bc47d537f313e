"""Which layers are recorded, and how each becomes one row per sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.recording import Recorder, Recording, open_recording, projected
from netgeom_widgets.recording.reducers import GaussianProjection
from tests.recording.runs import Convolutional, Transformer, data, network

INPUTS, _ = data()
IMAGES = torch.rand(10, 1, 6, 6, generator=torch.Generator().manual_seed(1))
TOKENS = torch.arange(50).reshape(10, 5) % 11


def recorded(path: Path, model: nn.Module, probe: torch.Tensor, layers: object, **options: object) -> Recording:
    with Recorder(model, probe, path=path, layers=layers, **options):
        pass
    return open_recording(path)


def activations(model: nn.Module, name: str, probe: torch.Tensor) -> np.ndarray:
    seen = []
    handle = model.get_submodule(name).register_forward_hook(lambda *a: seen.append(a[2].clone().numpy()))
    with torch.no_grad():
        model.eval()(probe)
    handle.remove()
    return seen[0]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("conv1", ("conv1",)),
        (["head", "conv1"], ("conv1", "head")),
        (["conv*"], ("conv1", "conv2")),
        (["conv[2-9]", "h?ad"], ("conv2", "head")),
        ({"*": None}, ("conv1", "conv2", "head")),
        ((), ()),
    ],
)
def test_names_and_patterns_give_layers_in_the_order_of_the_model(
    tmp_path: Path, layers: object, expected: tuple[str, ...]
) -> None:
    assert recorded(tmp_path, Convolutional(), IMAGES, layers).layers == expected


def test_patterns_reach_into_blocks(tmp_path: Path) -> None:
    recording = recorded(tmp_path, Transformer(), TOKENS, {"block.norm*": "tokens", "block": "cls"}, batch_size=3)
    assert recording.layers == ("block", "block.norm1", "block.norm2")


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        (None, lambda a: a.mean((2, 3))),
        ("average", lambda a: a.mean((2, 3))),
        ("flatten", lambda a: a.reshape(10, -1)),
        (lambda a: a.amax((2, 3)), lambda a: a.max((2, 3))),
        (lambda a: a[:, 0, 0, 0], lambda a: a[:, 0, 0, :1]),
    ],
)
def test_reducers_of_images(tmp_path: Path, reducer: object, expected: object) -> None:
    model = Convolutional()
    recording = recorded(tmp_path, model, IMAGES, {"conv2": reducer})
    np.testing.assert_allclose(recording.layer("conv2")[0], expected(activations(model, "conv2", IMAGES)), rtol=1e-5)


@pytest.mark.parametrize(("reducer", "expected"), [("tokens", lambda a: a.mean(1)), ("cls", lambda a: a[:, 0])])
def test_reducers_of_tokens(tmp_path: Path, reducer: str, expected: object) -> None:
    model = Transformer()
    recording = recorded(tmp_path, model, TOKENS, {"embed": reducer})
    np.testing.assert_allclose(
        recording.layer("embed")[0], expected(activations(model, "embed", TOKENS)), rtol=1e-5, atol=1e-6
    )
    assert recording.inputs.dtype == np.int64  # token ids go to the model as they are


def test_what_can_be_read_in_two_ways_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetgeomError, match=r"\(10, 5, 8\) can be read in two ways.*\"tokens\".*\"average\""):
        recorded(tmp_path, Transformer(), TOKENS, ["embed"])


def test_the_first_pattern_that_matches_decides(tmp_path: Path) -> None:
    recording = recorded(tmp_path, Convolutional(), IMAGES, {"conv1": "flatten", "conv*": "average"})
    assert recording.layer("conv1").shape == (1, 10, 48) and recording.layer("conv2").shape == (1, 10, 5)


@pytest.mark.parametrize(
    ("model", "probe", "layers", "message"),
    [
        (
            nn.Sequential(nn.LSTM(6, 3), nn.Identity()),
            INPUTS,
            ["0"],
            "'0' does not give one tensor.*tuple.*output\\[0\\]",
        ),
        (Convolutional(), IMAGES, {"conv1": lambda a: a}, "'conv1' does not come out as one row.*\\(10, 3, 4, 4\\)"),
        (Convolutional(), IMAGES, {"conv1": lambda a: a[:, 0, 0] > 0}, "'conv1' does not come out.*torch.bool"),
        (Convolutional(), IMAGES, {"conv1": lambda a: None}, "'conv1' does not come out.*NoneType"),
        (Convolutional(), IMAGES, {"conv1": lambda a: a[:3, 0, 0]}, "wrong shape.*10 samples"),
    ],
)
def test_what_is_no_row_per_sample_is_refused(
    tmp_path: Path, model: nn.Module, probe: torch.Tensor, layers: object, message: str
) -> None:
    with pytest.raises(NetgeomError, match=message):
        recorded(tmp_path, model, probe, layers, outputs=False)


def test_a_tuple_is_for_a_function(tmp_path: Path) -> None:
    model = nn.LSTM(6, 3)
    model = nn.Sequential(model, nn.Identity())
    recording = recorded(tmp_path, model, INPUTS, {"0": lambda output: output[0]}, outputs=False)
    assert recording.layer("0").shape == (1, 60, 3)


class Shared(nn.Module):
    """One activation at two places, and a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.unused, self.act = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(1, 1), nn.ReLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.act(self.b(self.act(self.a(inputs))))


@pytest.mark.parametrize("mode", ["probe", "as_trained"])
@pytest.mark.parametrize(
    ("layer", "message"), [("act", "'act' runs more than once"), ("unused", "'unused' has not run in the forward pass")]
)
def test_a_module_that_does_not_run_exactly_once_is_refused(
    tmp_path: Path, layer: str, message: str, mode: str
) -> None:
    model = Shared()

    def run() -> None:
        with Recorder(model, INPUTS, path=tmp_path, layers=[layer], mode=mode) as recorder:
            model(INPUTS)
            recorder.store(range(60))

    with pytest.raises(NetgeomError, match=message):
        run()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_whose_output_is_changed_in_place_later(tmp_path: Path) -> None:
    model = network()  # the activation after the batch norm works in place
    recording = recorded(tmp_path, model, INPUTS, ["1"])
    assert (recording.layer("1")[0] < 0).any()


def test_batches_make_no_difference_to_what_belongs_where(tmp_path: Path) -> None:
    whole = recorded(tmp_path / "a", network(), INPUTS, ["0", "2"])
    pieces = recorded(tmp_path / "b", network(), INPUTS, ["0", "2"], batch_size=7)
    for name in ("0", "2"):
        np.testing.assert_allclose(whole.layer(name), pieces.layer(name), rtol=1e-5, atol=1e-6)


def test_projected_layers(tmp_path: Path) -> None:
    layers = {"conv1": projected(dimensions=12, seed=4), "conv2": projected("average", dimensions=12)}
    first = recorded(tmp_path, Convolutional(), IMAGES, layers)
    second = recorded(tmp_path, Convolutional(), IMAGES, layers)
    assert first.layer("conv1").shape == (1, 10, 12)
    assert first.layer("conv2").shape == (1, 10, 5)  # no wider than asked for: stays
    np.testing.assert_array_equal(first.layer("conv1"), second.layer("conv1"))
    assert first.layout.reducers == (
        "projected(flatten, dimensions=12, seed=4)",
        "projected(average, dimensions=12, seed=0)",
    )


def test_a_projection_keeps_distances_and_depends_on_nothing_but_its_seed() -> None:
    rows = torch.randn(20, 9000, generator=torch.Generator().manual_seed(0))
    project = GaussianProjection(256, 1)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    projected_rows = project(rows)
    assert torch.equal(before, torch.get_rng_state())
    ratio = torch.pdist(projected_rows) / torch.pdist(rows)
    assert float(ratio.min()) > 0.8 and float(ratio.max()) < 1.2
    matrix = np.concatenate(
        [np.random.default_rng([1, block]).standard_normal((4096, 256), np.float32) for block in range(3)]
    )[:9000] / np.float32(16)
    np.testing.assert_allclose(projected_rows, rows.numpy() @ matrix, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(GaussianProjection(256, 2)(rows), projected_rows)


def test_a_projection_too_large_to_keep_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from netgeom_widgets.recording import reducers

    rows = torch.randn(3, 9000, generator=torch.Generator().manual_seed(0))
    kept = GaussianProjection(8, 0)
    expected = kept(rows)
    monkeypatch.setattr(reducers, "_KEPT_BYTES", 0)
    drawn = GaussianProjection(8, 0)
    for _ in range(2):
        assert torch.equal(drawn(rows), expected)
    assert len(next(iter(kept._kept.values()))) == 3 and not next(iter(drawn._kept.values()))


@pytest.mark.parametrize("bad", [{"dimensions": 0}, {"seed": -1}, {"reducer": "mean"}])
def test_bad_projections_are_refused(bad: dict) -> None:
    with pytest.raises(NetgeomError):
        projected(**bad)

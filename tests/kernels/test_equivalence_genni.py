"""Reading GENNI's stored experiments, from a folder made here in its layout."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.equivalence.genni import read_genni
from netgeom_widgets.kernels.equivalence.genni_files import read_losses, read_settings
from tests.kernels.equivalence_models import LeNet, golden, lenet_inputs, parameters_of
from tests.reference import equivalence as twin

CONFIG = """batch_size: 256
data_meta:
  N: 16384
  inp_dim: {width}
  out_dim: 1
learning_rate: 0.015
mean_loss_threshold: null
model_seed: {seed}
net_name: {net}
net_params:
{arguments}
num_nets: 3
optimizer: SGD
"""

META = """basis_coordinates:
- - -1.5
  - -3.7e-09
- [2.0,
  0.25]
basis_orthonorm_vectors:
- !!python/object/apply:os.system
  - touch {bait}
basis_vectors:
  model_idxs:
  - 1
  - 2
  steps:
  - 26
  - 26
center: {{idx: 0, step: 26}}
center_coordinates:
- - 0
  - 0
grid_bound: [-2, 3]
num_inter_models: 5
"""


class Hostile:
    """Its pickle creates a file when it is read by pickle itself."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def write(folder, net="SimpleNet", arguments=(1, 1, 2, 1, "false"), seed=10, width=1, elements=None):
    """Three elements at steps 1 and 26, of a net whose state has these shapes; one grid."""
    run = folder / "models" / "1604.5"
    elements = np.random.default_rng(0).standard_normal((2, 3, 4)) if elements is None else elements
    for step, vectors in zip((1, 26), elements, strict=True):
        (run / f"step_{step}").mkdir(parents=True)
        for number, vector in enumerate(vectors):
            a, b = torch.as_tensor(vector, dtype=torch.float32).reshape(2, 2)
            state = OrderedDict(fc_input=a.reshape(2, 1), fc_final=b.reshape(1, 2))
            stored = {"model_name": net, "model_params": (1, 1, 2, 1, False), "model_state_dict": state}
            torch.save(stored, run / f"step_{step}" / f"model_{number}.pt")
    (folder / "runs" / "1604.5").mkdir(parents=True)
    lines = "\n".join(f"- {argument}" for argument in arguments)
    (folder / "runs" / "1604.5" / "config.yml").write_text(
        CONFIG.format(net=net, arguments=lines, seed=seed, width=width)
    )
    grid = folder / "postprocessing" / "2d_loss" / "Nov09_16-57-20"
    grid.mkdir(parents=True)
    (grid / "data.pkl").write_bytes(pickle.dumps(np.arange(25, dtype=np.float32).reshape(5, 5)))
    (grid / "meta.yml").write_text(META.format(bait=folder / "bait"))
    umap = folder / "postprocessing" / "UMAP_HighD" / "Oct09"
    umap.mkdir(parents=True)
    (umap / "data.pkl").write_bytes(pickle.dumps(Hostile(folder / "bait")))
    return elements


def test_an_experiment(tmp_path):
    elements = write(tmp_path).astype(np.float32).astype(float)
    before = torch.random.get_rng_state()
    found = read_genni(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before) and not (tmp_path / "bait").exists()
    assert (found.step, found.steps, found.run) == (26, (1, 26), "1604.5")
    np.testing.assert_array_equal(found.parameters, elements[1])
    np.testing.assert_array_equal(read_genni(tmp_path, step=1).parameters, elements[0])
    assert found.settings["net_params"] == [1, 1, 2, 1, False] and found.settings["mean_loss_threshold"] is None
    assert found.settings["data_meta"] == {"N": 16384, "inp_dim": 1, "out_dim": 1}
    assert found.settings["learning_rate"] == 0.015 and found.settings["optimizer"] == "SGD"
    (grid,) = found.grids
    assert grid.name == "2d_loss/Nov09_16-57-20" and "basis_orthonorm_vectors" not in grid.settings
    assert grid.settings["basis_coordinates"] == [[-1.5, -3.7e-09], [2.0, 0.25]]
    np.testing.assert_array_equal(grid.loss, np.arange(25.0).reshape(5, 5).T)
    np.testing.assert_array_equal(grid.axes, [np.linspace(-2, 3, 5)] * 2)
    np.testing.assert_array_equal(grid.center, elements[1, 0])
    np.testing.assert_allclose(grid.basis @ grid.basis.T, np.eye(2), atol=1e-6)
    for row in elements[1, 1:]:
        assert twin.coordinates(row, grid.center, grid.basis)[1] < 1e-6


def test_the_problem_is_genni_s_own(tmp_path):
    """Teacher, inputs and labels of both experiments, drawn again."""
    stored = golden("genni_fcn_elements")
    write(tmp_path)
    found = read_genni(tmp_path)
    np.testing.assert_array_equal(parameters_of(found.model)[[0, 1, 2, 3]], stored["teacher"])
    np.testing.assert_array_equal(found.inputs, stored["x"])
    with torch.no_grad():
        np.testing.assert_allclose(found.model(torch.as_tensor(found.inputs)), stored["y"], atol=1e-8)


def test_lenet_is_drawn_as_torch_draws_it(tmp_path):
    lenet = {"net": "LeNet", "arguments": (28, 28, 1, 1), "seed": 0, "width": 28}
    write(tmp_path, **lenet, elements=np.zeros((2, 0, 4)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = LeNet()
    for number in range(2):
        stored = {"model_name": "LeNet", "model_params": (28, 28, 1, 1), "model_state_dict": teacher.state_dict()}
        torch.save(stored, tmp_path / "models" / "1604.5" / "step_26" / f"model_{number}.pt")
    found = read_genni(tmp_path, grids=False)
    np.testing.assert_array_equal(found.inputs, lenet_inputs())
    np.testing.assert_array_equal(parameters_of(found.model), found.parameters[1])
    with torch.no_grad():
        some = torch.as_tensor(found.inputs[:3])
        assert torch.equal(found.model(some), teacher.double()(some))


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (Hostile, "it names"),
        (np.array([1, 2]), "KeyError"),
        (np.array(["a"]), "KeyError"),
        (np.array([{}], dtype=object), "KeyError"),
        ([0.5], "AttributeError"),
        (nn.ReLU, "it names torch.nn"),
    ],
)
def test_other_pickles_are_refused_and_call_nothing(tmp_path, value, part):
    bait, path = tmp_path / "bait", tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(Hostile(bait) if value is Hostile else value))
    with pytest.raises(NetgeomError, match=part):
        read_losses(path)
    assert not bait.exists()


def test_stored_arrays_of_both_precisions_and_orders(tmp_path):
    values = np.random.default_rng(0).standard_normal((3, 4))
    for array in (values, values.astype("f4"), np.asfortranarray(values), values.astype(">f8")):
        for protocol in (3, 4):  # what Python wrote in 2020
            (tmp_path / "data.pkl").write_bytes(pickle.dumps(array, protocol=protocol))
            np.testing.assert_array_equal(read_losses(tmp_path / "data.pkl"), array)


@pytest.mark.parametrize(
    "text", ["a: 1\n  b: 2\n", "- 1\n", "a:\n  - 1\n  b: 2\n", "a:\n  x\n  y\n", "a: [[1], [2]]\n", "a: [1\n"]
)
def test_other_yaml_is_refused(tmp_path, text):
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(NetgeomError, match="not plain YAML"):
        read_settings(tmp_path / "config.yml")


def test_refusals(tmp_path):
    with pytest.raises(NetgeomError, match=r"no experiment of GENNI.*models/<run>"):
        read_genni(tmp_path)
    write(tmp_path)
    with pytest.raises(NetgeomError, match=r"no such step.*1, 26.*Got: 7"):
        read_genni(tmp_path, step=7)
    with pytest.raises(NetgeomError, match=r"No run .* is chosen.*1604\.5"):
        read_genni(tmp_path, run="another")
    with pytest.raises(NetgeomError, match="n_samples"):
        read_genni(tmp_path, n_samples=0)
    config = tmp_path / "runs" / "1604.5" / "config.yml"
    text = config.read_text()
    for change, part in {
        ("SimpleNet", "KeskarC3"): "not known.*SimpleNet or LinearNet or LeNet",
        ("- 2\n", "- 3\n"): "another net than config.yml says.*6 parameters.*with 4",
        ("model_seed: 10\n", ""): "does not say which net.*model_seed",
    }.items():
        config.write_text(text.replace(*change))
        with pytest.raises(NetgeomError, match=part):
            read_genni(tmp_path)
    config.write_text(text)
    meta = next(tmp_path.rglob("meta.yml"))
    described = meta.read_text()
    meta.write_text(described.replace("num_inter_models: 5", "num_inter_models: 6"))
    with pytest.raises(NetgeomError, match=r"no grid of.*\(6, 6\).*\(5, 5\)"):
        read_genni(tmp_path)
    meta.write_text(described.replace("idx: 0", "idx: 9"))
    with pytest.raises(NetgeomError, match=r"cannot be made again.*grids=False"):
        read_genni(tmp_path)
    element = tmp_path / "models" / "1604.5" / "step_26" / "model_1.pt"
    torch.save(nn.ReLU(), element)
    with pytest.raises(NetgeomError, match="cannot be read as an element"):
        read_genni(tmp_path)
    element.unlink()
    with pytest.raises(NetgeomError, match=r"lacks elements.*\[0, 2\]"):
        read_genni(tmp_path, grids=False)

"""Golden region cases as torch models, slices and expected numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from netgeom_widgets.kernels.regions import Slice

FOLDER = Path(__file__).parents[1] / "golden" / "regions"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@dataclass
class Case:
    """One golden case: `expected` is its JSON, `arrays` its npz."""

    name: str
    expected: dict
    arrays: dict[str, np.ndarray]

    @property
    def model(self) -> nn.Sequential:
        return nn.Sequential(*(_module(layer, self.arrays) for layer in self.expected["layers"])).double().eval()

    @property
    def domain(self) -> Slice:
        shape = tuple(self.expected["input_shape"])
        origin, basis = self.arrays["origin"], self.arrays["basis"]
        u, v = basis[:, 0].reshape(shape), basis[:, 1].reshape(shape)
        return Slice(origin.reshape(shape), u, v, self.arrays["domain"])


def load(name: str) -> Case:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return Case(name, json.loads((FOLDER / f"{name}.json").read_text()), arrays)


def _module(layer: dict, arrays: dict[str, np.ndarray]) -> nn.Module:
    kind = layer["type"]
    if kind in ("linear", "conv2d"):
        weight, has_bias = torch.as_tensor(arrays[layer["W"]]), layer["b"] is not None
        if kind == "linear":
            module = nn.Linear(weight.shape[1], weight.shape[0], bias=has_bias)
        else:
            sizes = (weight.shape[1], weight.shape[0], tuple(weight.shape[2:]))
            module = nn.Conv2d(*sizes, stride=layer["stride"], padding=layer["padding"], bias=has_bias)
        module.weight = nn.Parameter(weight)
        if has_bias:
            module.bias = nn.Parameter(torch.as_tensor(arrays[layer["b"]]))
        return module
    if kind == "batchnorm2d":
        names = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
        module = nn.BatchNorm2d(len(arrays[layer["gamma"]]), eps=layer["eps"]).double()
        state = {ours: torch.as_tensor(arrays[layer[theirs]]) for ours, theirs in names.items()}
        module.load_state_dict(state | {"num_batches_tracked": torch.tensor(0)})
        return module
    if kind == "avgpool2d":
        return nn.AvgPool2d(layer["kernel_size"], layer["stride"])
    if kind == "leaky_relu":
        return nn.LeakyReLU(layer["negative_slope"])
    return {"relu": nn.ReLU, "flatten": nn.Flatten}[kind]()

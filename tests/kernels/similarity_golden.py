"""Golden similarity cases as torch models, inputs and expected numbers.

A case is a list of operations on named arrays. `Case.model` builds it from real modules (Linear, Conv2d, BatchNorm2d,
LayerNorm, Embedding), which the fast path of the kernel knows; `Case.functional` calls torch.nn.functional on raw
parameters. Both have the parameters in the order of the case; `Case.names` maps its names to those of the modules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

FOLDER = Path(__file__).parents[1] / "golden" / "similarity"
# Trained by the reference's own program, so not ours to copy: read where it lies, beside the repository.
TOY = Path(__file__).parents[3] / "shared" / "golden" / "similarity" / "toy_circle_f2"
NAMES = sorted(path.name for path in FOLDER.iterdir())


@dataclass
class Case:
    """One golden case; `facts` is its JSON."""

    name: str
    facts: dict
    weights: dict[str, np.ndarray]
    inputs: np.ndarray
    targets: np.ndarray
    expected: dict[str, np.ndarray]

    @property
    def n_outputs(self) -> int:
        return int(self.facts["d"])

    @property
    def order(self) -> list[str]:
        """Parameters that take part, by the names of the case."""
        return list(self.facts["trainable_order"])

    @property
    def model(self) -> nn.Module:
        return OfModules(self.facts["layers"], self.weights, self.order)

    @property
    def functional(self) -> nn.Module:
        return Functional(self.facts["layers"], self.weights, self.order)

    @property
    def second_model(self) -> nn.Module:
        """The other checkpoint, where the case has one."""
        return OfModules(self.facts["layers"], {n: self.expected[f"W2_{n}"] for n in self.weights}, self.order)


def load(name: str, folder: Path | None = None) -> Case:
    folder = folder or FOLDER / name
    weights, inputs, expected = (_arrays(folder / f"{part}.npz") for part in ("weights", "inputs", "expected"))
    return Case(name, json.loads((folder / "case.json").read_text()), weights, inputs["X"], inputs["y"], expected)


def jacobian(name: str) -> np.ndarray:
    """The stored J of a case, (n, d, p), parameters in its order."""
    return _arrays(FOLDER / name / "jacobian.npz")["J"]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


class _Interpreter(nn.Module):
    """Runs the operations one after another; those without parameters are the same for both kinds of model."""

    def __init__(self, layers: list[dict]) -> None:
        super().__init__()
        self.layers = layers

    def parametric(self, layer: dict, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        saved: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            kind = layer["op"]
            if kind == "save":
                saved[layer["name"]] = x
            elif kind == "add":
                x = x + saved[layer["name"]]
            elif kind in ("mean", "sum"):
                x = getattr(x, kind)(layer["dim"])
            elif kind == "flatten":
                x = x.flatten(1)
            elif kind == "softmax":
                x = x.softmax(-1)
            elif kind in ("relu", "tanh", "gelu"):
                x = getattr(F, kind)(x) if kind != "tanh" else torch.tanh(x)
            else:
                x = self.parametric(layer, x)
        return x


def _attention(x: torch.Tensor, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    scores = F.linear(x, q) @ F.linear(x, k).transpose(-1, -2) / x.shape[-1] ** 0.5
    return scores.softmax(-1) @ F.linear(x, v)


class Functional(_Interpreter):
    """Raw parameters, by the names of the case."""

    def __init__(self, layers: list[dict], weights: dict[str, np.ndarray], order: list[str]) -> None:
        super().__init__(layers)
        self.constants = {n: torch.as_tensor(w) for n, w in weights.items() if n not in order}
        for name in order:
            self.register_parameter(_attribute(name), nn.Parameter(torch.as_tensor(weights[name]).clone()))

    def _of(self, name: str | None) -> torch.Tensor | None:
        if name is None:
            return None
        return self.constants[name] if name in self.constants else getattr(self, _attribute(name))

    def parametric(self, layer: dict, x: torch.Tensor) -> torch.Tensor:
        kind, w, b = layer["op"], self._of(layer.get("w")), self._of(layer.get("b"))
        if kind == "embedding":
            return F.embedding(x, w)
        if kind == "linear":
            return F.linear(x, w, b)
        if kind == "layernorm":
            return F.layer_norm(x, w.shape, w, b, layer["eps"])
        if kind == "bn2d":
            return F.batch_norm(x, self._of(layer["mean"]), self._of(layer["var"]), w, b, eps=layer["eps"])
        if kind == "attn":
            return _attention(x, *(self._of(layer[key]) for key in "qkv"))
        if layer.get("circular"):
            x = F.pad(x, (layer["circular"],) * 4, mode="circular")
        return F.conv2d(x, w, b, **_geometry(layer))


class OfModules(_Interpreter):
    """Real modules, one for each weight (a weight used twice is one module called twice), in the case's order."""

    def __init__(self, layers: list[dict], weights: dict[str, np.ndarray], order: list[str]) -> None:
        super().__init__(layers)
        self.names: dict[str, str] = {}  # of the case -> dotted
        for layer in layers:
            if layer["op"] == "attn":
                for key in "qkv":
                    self.names[layer[key]] = f"attention_{key}"
                    self.register_parameter(f"attention_{key}", nn.Parameter(torch.as_tensor(weights[layer[key]])))
            elif "w" in layer and not hasattr(self, f"of_{_attribute(layer['w'])}"):
                path = f"of_{_attribute(layer['w'])}"
                self.add_module(path, _module(layer, weights))
                self.names |= {layer["w"]: f"{path}.weight"} | ({layer["b"]: f"{path}.bias"} if "b" in layer else {})
        for name, dotted in self.names.items():
            self.get_parameter(dotted).requires_grad_(name in order)

    def parametric(self, layer: dict, x: torch.Tensor) -> torch.Tensor:
        if layer["op"] == "attn":
            return _attention(x, self.attention_q, self.attention_k, self.attention_v)
        return getattr(self, f"of_{_attribute(layer['w'])}")(x)


def _attribute(name: str) -> str:
    return f"p{name}" if name[0].isdigit() else name


def _geometry(layer: dict) -> dict:
    return {key: layer[key] for key in ("stride", "padding", "dilation", "groups") if key in layer}


def _module(layer: dict, weights: dict[str, np.ndarray]) -> nn.Module:
    kind, w, bias = layer["op"], torch.as_tensor(weights[layer["w"]]), "b" in layer
    if kind == "embedding":
        module: nn.Module = nn.Embedding(*w.shape)
    elif kind == "linear":
        module = nn.Linear(w.shape[1], w.shape[0], bias=bias)
    elif kind == "layernorm":
        module = nn.LayerNorm(w.shape, eps=layer["eps"])
    elif kind == "bn2d":
        module = nn.BatchNorm2d(len(w), eps=layer["eps"]).eval()
        module.running_mean, module.running_var = (torch.as_tensor(weights[layer[key]]) for key in ("mean", "var"))
    else:
        channels = w.shape[1] * layer.get("groups", 1)
        extra = {"padding": layer["circular"], "padding_mode": "circular"} if layer.get("circular") else {}
        module = nn.Conv2d(channels, w.shape[0], tuple(w.shape[2:]), bias=bias, **_geometry(layer), **extra)
    module.double().weight = nn.Parameter(w.clone())
    if bias:
        module.bias = nn.Parameter(torch.as_tensor(weights[layer["b"]]).clone())
    return module

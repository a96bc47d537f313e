"""What the region kernel can interpret exactly: affine operations and continuous piecewise-linear activations.

For every affine operation there is a second reading on magnitudes, |W| |x| + |b|, which bounds its rounding error.
"""

from __future__ import annotations

import builtins
import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from netgeom_widgets.kernels.regions.calls import argument
from netgeom_widgets.kernels.regions.windows import pair

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = (
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
)  # fmt: skip
_SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
AFFINE_MODULES = (nn.Linear, *_CONVOLUTIONS, *_NORMS, *_POOLS, *_SHAPES)

# Functions linear in their first argument, whose other tensor arguments are weights.
_WEIGHTED = {
    F.linear, F.conv1d, F.conv2d, F.conv3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d,
    torch.conv1d, torch.conv2d, torch.conv3d,
}  # fmt: skip
# Functions that only move, select, average or sum numbers.
_STRUCTURAL = {
    torch.flatten, torch.unflatten, torch.reshape, torch.permute, torch.movedim, torch.transpose, torch.swapaxes,
    torch.squeeze, torch.unsqueeze, torch.cat, torch.concat, torch.concatenate, torch.stack, torch.mean, torch.sum,
    torch.chunk, torch.split, torch.clone, torch.narrow, operator.getitem, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d,
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, pair,
}  # fmt: skip
_STRUCTURAL_METHODS = {
    "flatten", "unflatten", "reshape", "view", "permute", "movedim", "transpose", "swapaxes", "t", "squeeze",
    "unsqueeze", "mean", "sum", "chunk", "split", "clone", "contiguous", "detach", "narrow", "expand",
}  # fmt: skip
# Casts and moves: the copy computes in float64 on the CPU, so these leave the numbers as they are.
_UNCHANGED_METHODS = {"float", "double", "half", "bfloat16", "to", "type", "type_as", "cpu", "cuda"}
_SUMS = {operator.add, operator.iadd, torch.add, operator.sub, operator.isub, torch.sub, torch.subtract}
_SUM_METHODS = {"add", "add_", "sub", "sub_", "subtract"}
_SCALINGS = {
    operator.mul,
    operator.imul,
    torch.mul,
    torch.multiply,
    operator.truediv,
    operator.itruediv,
    torch.div,
    torch.divide,
}
_SCALING_METHODS = {"mul", "mul_", "div", "div_", "multiply", "divide"}
_DIVISIONS = {operator.truediv, operator.itruediv, torch.div, torch.divide, "div", "div_", "divide"}
_PRODUCTS = {operator.matmul, torch.matmul, torch.mm, "matmul", "mm"}
_NEGATIONS = {operator.neg, torch.neg, "neg"}
_DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout}
SHAPE_METHODS = {"size", "dim", "ndimension", "numel", "nelement"}
SHAPE_ATTRIBUTES = {"shape", "ndim"}
SHAPE_ARITHMETIC = {
    operator.getitem, operator.add, operator.sub, operator.mul, operator.floordiv, operator.truediv, operator.mod,
    operator.neg, builtins.int,
}  # fmt: skip

ACTIVATION_NAMES = (
    "ReLU, LeakyReLU, PReLU, RReLU (eval), abs, ReLU6, Hardtanh, clamp, Hardsigmoid, Softshrink, Threshold (where "
    "continuous), MaxPool, AdaptiveMaxPool, maximum, minimum, max and min over an axis, modules of register_activation"
)
SUPPORTED = (
    "Linear, Conv1d/2d/3d, ConvTranspose, BatchNorm (eval), AvgPool, AdaptiveAvgPool, Flatten, reshape, permute, mean, "
    f"Dropout (eval), Identity, Sequential, +, -, scaling, concatenation, {ACTIVATION_NAMES}"
)


def module_problem(module: nn.Module) -> str | None:
    """Why a leaf module is refused, or None."""
    if not isinstance(module, AFFINE_MODULES):
        return "is not piecewise linear, or not supported yet"
    if isinstance(module, _NORMS) and module.running_mean is None:
        return "normalises by its batch: without running statistics a sample's output depends on the others"
    if getattr(module, "padding_mode", "zeros") not in ("zeros", "reflect", "replicate", "circular"):
        return "has an unknown padding mode"
    return None


def magnitude_of_module(module: nn.Module) -> nn.Module:
    """The module that maps bounds |x| to |W| |x| + |b|."""
    twin = copy.deepcopy(module)
    _compute_weights(twin)
    for _, parameter in twin.named_parameters():
        parameter.data.abs_()
    if isinstance(twin, _NORMS) and twin.running_mean is not None:
        twin.running_mean = -twin.running_mean.abs()  # |x| + |mean|
    return twin


def _compute_weights(module: nn.Module) -> None:
    """Weights that are computed (parametrized, normalised, pruned) become plain: magnitudes are those of the result."""
    if parametrize.is_parametrized(module):
        # Not remove_parametrizations: it changes the class, which the module shares with the one it was copied from.
        names = list(module.parametrizations)  # type: ignore[arg-type]  # a ModuleDict
        computed = {name: getattr(module, name).detach().clone() for name in names}
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module.parametrizations
        for name, value in computed.items():
            module.register_parameter(name, nn.Parameter(value, requires_grad=False))
    for key, hook in list(module._forward_pre_hooks.items()):
        hook.remove(module)  # type: ignore[attr-defined]  # a private copy keeps no hooks but those of torch.nn.utils
        del module._forward_pre_hooks[key]


def affine_call(
    target: Any, batched: list[bool], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[..., Any] | str:
    """How a call acts on magnitudes, or why it is refused.

    ``batched`` says which positional arguments carry the batch. The returned function takes the call's own arguments,
    with magnitudes for batched tensors and absolute values for weights.
    """
    rest = any(batched[1:])
    if target in _STRUCTURAL or target in _STRUCTURAL_METHODS:
        return _method(target)
    if target in _UNCHANGED_METHODS:
        return lambda x, *_, **__: x
    if target in _SUMS or target in _SUM_METHODS:
        return lambda a, b, *, alpha=1: torch.as_tensor(a).abs() + abs(alpha) * torch.as_tensor(b).abs()
    if target in _NEGATIONS:
        return lambda x: x
    if target in _SCALINGS or target in _SCALING_METHODS:
        if all(batched[:2]):
            return "multiplies or divides two activations: the result is not piecewise linear"
        if rest and target in _DIVISIONS:
            return "divides by an activation: the result is not piecewise linear"
        return _on_absolutes(target)
    if target in _PRODUCTS:
        return "multiplies two activations: the result is not piecewise linear" if all(batched[:2]) else _method(target)
    if target in _WEIGHTED:
        return "has weights that depend on the input" if rest else _method(target)
    if target is F.batch_norm:
        if argument(args, kwargs, 5, "training", False):
            return "normalises by its batch (training=True)"
        return _batch_norm_magnitude
    if target in _DROPOUTS:
        if argument(args, kwargs, 2, "training", True):
            return "drops units at random (training=True, its default): pass training=self.training"
        return lambda x, *_, **__: x
    return "is not piecewise linear, or not supported yet"


def _method(target: Any) -> Callable[..., Any]:
    if isinstance(target, str):
        return lambda x, *args, **kwargs: getattr(x, target)(*args, **kwargs)
    return target


def _on_absolutes(target: Any) -> Callable[..., Any]:
    call = _method(target)
    return lambda a, b, **kwargs: call(torch.as_tensor(a).abs(), torch.as_tensor(b).abs(), **kwargs)


def _batch_norm_magnitude(
    x: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *_: Any,
    eps: float = 1e-5,
    **__: Any,
) -> Tensor:
    return F.batch_norm(x, -mean, var, weight, bias, False, 0.0, eps)


def unchanged_method(target: Any) -> bool:
    """Whether a method only casts or moves, which the float64 copy ignores."""
    return target in _UNCHANGED_METHODS

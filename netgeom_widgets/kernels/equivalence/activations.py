"""Elementwise activations with their derivatives, and what each lets parameters do without changing the function."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

aten = torch.ops.aten
Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An elementwise function.

    Attributes
    ----------
    name : str
    function, derivative : callable
        Of pre-activations; neither changes them. At a kink the derivative is the one that torch takes.
    homogeneous : bool
        f(s z) = s f(z) for every s > 0: units can be rescaled.
    point_symmetry : float or None
        c with f(-z) = c - f(z): units can change sign where the next layer has biases; 0 where f is odd.
    overwriting : callable or None
        The function in the memory of its argument; comes with `backward`.
    backward : callable or None
        A cotangent times the derivative in one pass, by the function's value: ten times faster for ReLU.
    """

    name: str
    function: Elementwise
    derivative: Elementwise
    homogeneous: bool = False
    point_symmetry: float | None = None
    overwriting: Elementwise | None = None
    backward: Callable[[Tensor, Tensor], Tensor] | None = None

    def consume(self, z: Tensor) -> Tensor:
        """The function of z, which may be overwritten: in a core's cache this saves a third of the time."""
        return (self.overwriting or self.function)(z)

    def pull(self, cotangent: Tensor, z: Tensor, value: Tensor) -> Tensor:
        """Cotangent times the derivative at z, where the function has this value; z may have been consumed."""
        return cotangent * self.derivative(z) if self.backward is None else self.backward(cotangent, value)

    @property
    def odd(self) -> bool:
        """f(-z) = -f(z): units can change sign."""
        return self.point_symmetry == 0.0

    @property
    def even(self) -> bool:
        """f(-z) = f(z): incoming weights can change sign alone."""
        return self.name == "abs"

    @property
    def linear(self) -> bool:
        """Whether it is the identity."""
        return self.name == "identity"


def _softplus_derivative(z: Tensor, beta: float, threshold: float) -> Tensor:
    return torch.where(z * beta > threshold, torch.ones_like(z), torch.sigmoid(beta * z))


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _gelu_derivative(z: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _tanh_gelu_derivative(z: Tensor) -> Tensor:
    scale = math.sqrt(2 / math.pi)
    t = torch.tanh(scale * (z + 0.044715 * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * scale * (1 + 3 * 0.044715 * z * z)


def leaky_relu(slope: float) -> Activation:
    """Z above 0, slope * z below."""
    return Activation(
        f"leaky_relu({slope:g})",
        functools.partial(F.leaky_relu, negative_slope=slope),
        lambda z: torch.where(z > 0, torch.ones_like(z), slope),  # where(., 1.0, slope) is float32
        homogeneous=True,
    )


def elu(alpha: float) -> Activation:
    """Z above 0, alpha (e^z - 1) below."""
    return Activation(
        f"elu({alpha:g})",
        functools.partial(F.elu, alpha=alpha),
        lambda z: torch.where(z > 0, torch.ones_like(z), alpha * torch.exp(torch.clamp(z, max=0))),
    )


def softplus(beta: float = 1.0, threshold: float = 20.0) -> Activation:
    """log(1 + e^(beta z)) / beta, and z where beta z exceeds the threshold, as torch does."""
    return Activation(
        f"softplus({beta:g})",
        functools.partial(F.softplus, beta=beta, threshold=threshold),
        functools.partial(_softplus_derivative, beta=beta, threshold=threshold),
    )


def gelu(approximate: str = "none") -> Activation:
    """Z times the normal distribution function of z, or its approximation by tanh."""
    exact = approximate == "none"
    return Activation(
        "gelu" if exact else "gelu(tanh)",
        functools.partial(F.gelu, approximate=approximate),
        _gelu_derivative if exact else _tanh_gelu_derivative,
    )


IDENTITY = Activation("identity", lambda z: z, torch.ones_like, homogeneous=True, point_symmetry=0.0)
RELU = Activation(
    "relu",
    torch.relu,
    lambda z: aten.threshold_backward(torch.ones_like(z), z, 0),
    homogeneous=True,
    overwriting=torch.relu_,
    backward=lambda cotangent, value: aten.threshold_backward(cotangent, value, 0),
)
TANH = Activation(
    "tanh",
    torch.tanh,
    lambda z: torch.tanh(z).square_().neg_().add_(1),
    point_symmetry=0.0,
    overwriting=torch.tanh_,
    backward=aten.tanh_backward,
)
SIGMOID = Activation(
    "sigmoid",
    torch.sigmoid,
    lambda z: (s := torch.sigmoid(z)) * (1 - s),
    point_symmetry=1.0,
    overwriting=torch.sigmoid_,
    backward=aten.sigmoid_backward,
)
SILU = Activation("silu", F.silu, _silu_derivative)
SINE = Activation("sin", torch.sin, torch.cos, point_symmetry=0.0)
SOFTSIGN = Activation("softsign", F.softsign, lambda z: (1 + z.abs()).square().reciprocal(), point_symmetry=0.0)
ABSOLUTE = Activation("abs", torch.abs, torch.sign, homogeneous=True)

_BY_FUNCTION: dict[object, Activation] = {
    **dict.fromkeys((torch.relu, F.relu, "relu", torch.relu_, "relu_"), RELU),
    **dict.fromkeys((torch.tanh, F.tanh, "tanh", torch.tanh_, "tanh_"), TANH),
    **dict.fromkeys((torch.sigmoid, F.sigmoid, torch.special.expit, "sigmoid", "sigmoid_"), SIGMOID),
    **dict.fromkeys((torch.sin, "sin", "sin_"), SINE),
    **dict.fromkeys((torch.abs, abs, "abs", "abs_"), ABSOLUTE),
    **dict.fromkeys((F.silu,), SILU),
    **dict.fromkeys((F.softsign,), SOFTSIGN),
}
_BY_MODULE: dict[type[nn.Module], Activation] = {
    nn.ReLU: RELU,
    nn.Tanh: TANH,
    nn.Sigmoid: SIGMOID,
    nn.SiLU: SILU,
    nn.Softsign: SOFTSIGN,
    nn.Identity: IDENTITY,
}


def of_module(module: nn.Module) -> Activation | None:
    """The activation that a module of torch.nn is; None for others, subclasses too."""
    if type(module) is nn.LeakyReLU:
        return leaky_relu(float(module.negative_slope))
    if type(module) is nn.ELU:
        return elu(float(module.alpha))
    if type(module) is nn.Softplus:
        return softplus(float(module.beta), float(module.threshold))
    if type(module) is nn.GELU:
        return gelu(module.approximate)
    return _BY_MODULE.get(type(module))


def of_call(target: object, args: tuple[object, ...], kwargs: dict[str, object]) -> Activation | None:
    """The activation that a function or method is, called with these arguments beside the tensor."""
    keywords = {key: value for key, value in kwargs.items() if key != "inplace"}
    if target in _BY_FUNCTION and not keywords and (not args or target is F.relu):
        return _BY_FUNCTION[target]
    parametrised: dict[object, Callable[..., Activation]] = {
        F.leaky_relu: lambda negative_slope=0.01, inplace=False: leaky_relu(float(negative_slope)),
        F.elu: lambda alpha=1.0, inplace=False: elu(float(alpha)),
        F.softplus: lambda beta=1.0, threshold=20.0: softplus(float(beta), float(threshold)),
        F.gelu: lambda approximate="none": gelu(approximate),
    }
    try:
        return parametrised[target](*args, **keywords) if target in parametrised else None
    except TypeError:  # other arguments than these functions take, or values known only when they are called
        return None

"""Methods of the search, and which options each takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_choice, as_count

METHODS = ("levenberg-marquardt", "adam", "sgd")
Options = dict[str, Any]

# SGD: as GENNI's experiment with a two-unit network. Adam: of rates 0.01 to 0.1, with and without decay, the one that
# found most members of classes of tanh and ReLU networks with 4 to 33 parameters.
_DEFAULTS: dict[str, Options] = {
    "levenberg-marquardt": {"max_iterations": 2000, "warm_up": 0},
    "adam": {"max_iterations": 5000, "lr": 0.1, "lr_decay": False, "batch_size": None, "betas": (0.9, 0.999)},
    "sgd": {"max_iterations": 1000, "lr": 0.015, "lr_decay": False, "batch_size": 256, "momentum": 0.0},
}


def as_options(method: str, given: Options, n_samples: int) -> Options:
    """The options of a method, checked; those given as None take its defaults.

    Raises
    ------
    NetgeomError
        An unknown method, an option that it does not have, a value out of range.
    """
    defaults = _DEFAULTS[as_choice(method, METHODS, "method")]
    chosen = {name: value for name, value in given.items() if value is not None}
    if foreign := [name for name in chosen if name not in defaults]:
        raise NetgeomError(
            f"{foreign[0]} is no option of method {method!r}",
            expected=", ".join(defaults),
            got=foreign[0],
        )
    options = defaults | chosen
    as_count(options["max_iterations"], 1, 10**9, "max_iterations")
    if "warm_up" in options:
        as_count(options["warm_up"], 0, options["max_iterations"] - 1, "warm_up")
    if "lr" in options:
        options["lr"] = _as_number(options["lr"], "lr", 0, math.inf)
        if not isinstance(options["lr_decay"], bool | np.bool_):
            raise NetgeomError("lr_decay is not understood", expected="True or False", got=f"{options['lr_decay']!r}")
        size = n_samples if options["batch_size"] is None else options["batch_size"]
        options["batch_size"] = as_count(size, 1, 10**9, "batch_size")
    if "momentum" in options:
        options["momentum"] = _as_number(options["momentum"], "momentum", 0, 1, includes_low=True)
    if "betas" in options:
        betas = options["betas"]
        if not isinstance(betas, tuple | list) or len(betas) != 2:
            raise NetgeomError("betas are not understood", expected="two numbers from 0 to below 1", got=f"{betas!r}")
        options["betas"] = tuple(_as_number(beta, "beta", 0, 1, includes_low=True) for beta in betas)
    return options


def _as_number(value: Any, what: str, low: float, high: float, *, includes_low: bool = False) -> float:
    """A real number between two bounds, the upper one not included."""
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not known or not (low <= value if includes_low else low < value) or not value < high:
        raise NetgeomError(
            f"{what} is out of range",
            expected=f"a number {'from' if includes_low else 'above'} {low:g} to below {high:g}",
            got=f"{value!r}",
        )
    return float(value)

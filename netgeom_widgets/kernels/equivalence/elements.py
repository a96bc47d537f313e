"""Elements of an equivalence class: what a search found from each start, and what it is worth."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, Int64, Shaped
from numpy import ndarray

from netgeom_widgets.kernels._arrays import load_npz, save_npz

STATUSES = ("converged", "local_minimum", "dead", "diverged", "unfinished")
_FORMAT = "netgeom_widgets elements 1"


@dataclass(frozen=True, eq=False, repr=False)
class Element:
    """What one start has come to; handed over as soon as it is settled.

    Attributes
    ----------
    index : int
        Of the start.
    parameters, start : (P,) float64
    loss, relative_loss : float
        J and R, by a plain forward pass of the module.
    status : str
        See `Elements`.
    iterations : int
    gradient_norm : float
        Of the gradient of J.
    dead_units : int
        Hidden units whose output and derivative are 0 on all samples; -1 where the model is no multilayer perceptron.
    history : (checkpoints,) float64
        R, NaN after the end.
    """

    index: int
    parameters: Float64[ndarray, " P"]
    start: Float64[ndarray, " P"]
    loss: float
    relative_loss: float
    status: str
    iterations: int
    gradient_norm: float
    dead_units: int
    history: Float64[ndarray, " checkpoints"]

    def __repr__(self) -> str:
        return f"<Element {self.index}: {self.status}, R = {self.relative_loss:.3g} after {self.iterations} iterations>"


@dataclass(frozen=True, eq=False, repr=False)
class Elements:
    """Where n starts ended; see `find_elements`. Only those whose status is "converged" belong to the class.

    Attributes
    ----------
    parameters : (n, P) float64
        In the order of the starts.
    loss, relative_loss : (n,) float64
        J, and R = J / variance, by a plain forward pass of the module after the search.
    status : (n,) str
        "converged": R is at most the tolerance. "local_minimum": R above it, and the gradient is small (a relative
        change e of the parameters changes J by less than 1e-6 e), or no step, however short, lowers J (a kink).
        "dead": the gradient is 0 because every unit of a layer is. "diverged": J or the parameters grew without bound.
        "unfinished": none of these; out of iterations, or (Levenberg-Marquardt) J fell by less than 1 % in 100 of them.
    history : (n, checkpoints) float64
        R after `history_iterations` iterations, NaN after a start's end.
    history_iterations : (checkpoints,) int64
    iterations : (n,) int64
    gradient_norm : (n,) float64
        Of the gradient of J.
    dead_units : (n,) int32
        Hidden units whose output and derivative are 0 on all samples; -1 where the model is no multilayer perceptron.
    start : (n, P) float64
    zero_loss, constant_loss : float
        J of the zero function and of the best constant one; R of the latter is 1.
    variance : float
    n_samples : int
        Membership is a statement on these samples.
    settings : dict
        Method and its options, tolerance, seed, model digest, versions.
    """

    parameters: Float64[ndarray, "n P"]
    loss: Float64[ndarray, " n"]
    relative_loss: Float64[ndarray, " n"]
    status: Shaped[ndarray, " n"]
    history: Float64[ndarray, "n checkpoints"]
    history_iterations: Int64[ndarray, " checkpoints"]
    iterations: Int64[ndarray, " n"]
    gradient_norm: Float64[ndarray, " n"]
    dead_units: Int32[ndarray, " n"]
    start: Float64[ndarray, "n P"]
    zero_loss: float
    constant_loss: float
    variance: float
    n_samples: int
    settings: dict[str, Any]

    @property
    def is_member(self) -> ndarray:
        """Which belong to the class, (n,) bool."""
        return self.status == "converged"

    @property
    def converged(self) -> Float64[ndarray, "m P"]:
        """Parameters of the members."""
        return self.parameters[self.is_member]

    def counts(self) -> dict[str, int]:
        """How many there are of each status that occurs."""
        return {status: n for status in STATUSES if (n := int((self.status == status).sum()))}

    def table(self) -> dict[str, ndarray]:
        """Columns, one row an element: without parameters and history."""
        columns = {"element": np.arange(len(self.status))}
        names = ("status", "loss", "relative_loss", "iterations", "gradient_norm", "dead_units")
        return columns | {name: getattr(self, name) for name in names}

    def __len__(self) -> int:
        return len(self.status)

    def __repr__(self) -> str:
        found = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in self.counts().items())
        return (
            f"<Elements: {len(self)} of {self.parameters.shape[1]:,} parameters on {self.n_samples:,} samples, {found}>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one npz file; an older file of that name is replaced in one step."""
        about = {
            name: getattr(self, name) for name in ("zero_loss", "constant_loss", "variance", "n_samples", "settings")
        }
        save_npz(path, _FORMAT, {name: getattr(self, name) for name in _ARRAYS}, about, compress=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Elements:
        """Read what `save` wrote; nothing in the file is executed.

        Raises
        ------
        NetgeomError
            The file holds something else, or arrays that do not fit each other.
        """
        return load_npz(
            path,
            _FORMAT,
            lambda arrays, about: _checked(cls(**arrays, **about)),
            what="elements",
            writer="Elements.save",
        )


_ARRAYS = tuple(field.name for field in fields(Elements))[:10]


def _checked(found: Elements) -> Elements:
    """The same, unless arrays contradict each other."""
    n, p = found.parameters.shape
    sizes = {name: getattr(found, name).shape for name in _ARRAYS}
    expected = dict.fromkeys(_ARRAYS, (n,)) | {"parameters": (n, p), "start": (n, p)}
    expected |= {"history": (n, len(found.history_iterations)), "history_iterations": found.history_iterations.shape}
    if sizes != expected or found.history_iterations.ndim != 1 or not n:
        raise ValueError(f"shapes {sizes}")
    if not set(found.status.tolist()) <= set(STATUSES):
        raise ValueError(f"status {set(found.status.tolist()) - set(STATUSES)}")
    if bool((found.relative_loss[found.is_member] > found.settings["tolerance"]).any()):
        raise ValueError("an element is called converged whose loss is above the tolerance")
    return found

"""The result of a similarity computation, with what produced it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Bool, Float, Int64
from numpy import ndarray

import netgeom_widgets


@dataclass(frozen=True, eq=False, repr=False)
class Similarity:
    """Similarities of all pairs of inputs; see `similarity_matrix`.

    Attributes
    ----------
    values : (n, m)
        In the dtype of the computation.
    zero_gradient, zero_gradient_others : (n,), (m,) bool
        Inputs whose gradient vanishes: they are similar to nothing, themselves included, by convention.
    rank : (n,) int64
        Of K(x, x) with relative cut 1e-10. Below d the trace kernel is rank / d on the diagonal.
    parts : dict of str to (n, m)
        Contribution of each parameter to `values`, with by_parameter=True.
    outputs, outputs_others : (n, C), (m, C)
        Of the network, from the same pass.
    method : dict of str to str
        How each parameter's gradients were taken: "layers", "jacobian" or "loop".
    notes : tuple of str
        Which parameters fell back from the faster way, and why.
    settings : dict
        Kernel, output, parameters, dtype, seed, rank cut.
    model_digest : str
    versions : dict of str to str
    """

    values: Float[ndarray, "n m"]
    zero_gradient: Bool[ndarray, " n"]
    zero_gradient_others: Bool[ndarray, " m"]
    rank: Int64[ndarray, " n"]
    outputs: Float[ndarray, "n C"]
    outputs_others: Float[ndarray, "m C"]
    parts: dict[str, Float[ndarray, "n m"]] = field(default_factory=dict)
    method: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    model_digest: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def kernel(self) -> str:
        """Name of the kernel."""
        return str(self.settings.get("kernel", ""))

    def __repr__(self) -> str:
        n, m = self.values.shape
        return f"<Similarity {self.kernel} of {n} x {m} inputs, {self.values.dtype}>"


def versions() -> dict[str, str]:
    """Of the libraries that a result depends on."""
    import torch

    return {
        "netgeom_widgets": netgeom_widgets.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }

"""What each similarity is called, how it is defined in words, and which colours it gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.plots import limits as limits_of
from netgeom_widgets.figures.plots import number
from netgeom_widgets.figures.similarity_levels import Levels

#: Rows and columns that the end of a colour scale is taken from.
_SAMPLE = 400
_MINUS_ONE = "\N{MINUS SIGN}1"


@dataclass(frozen=True)
class Words:
    """Words of one kernel.

    Attributes
    ----------
    short : str
        For the colour bar.
    definition : str
        A sentence for the caption.
    bounded : bool
        Whether values lie within -1..1.
    signed : bool
        Whether they can be negative.
    """

    short: str
    definition: str
    bounded: bool = True
    signed: bool = True


_K = "K(x, x′) = J(x) J(x′)ᵀ and K_C is K whitened on both sides."
_G = "g: gradient of the output by the parameters."
WORDS = {
    "trace": Words(f"k, normalised trace (1 alike, {_MINUS_ONE} opposite)", f"k = tr(K_C)/d, where {_K}"),
    "frobenius": Words("k, Frobenius norm (1 alike, 0 unrelated)", f"k = ‖K_C‖_F/√d, where {_K}", signed=False),
    "nuclear": Words(
        "k, nuclear norm (1 alike, 0 unrelated)",
        f"k = ‖K_C‖_*/d: the largest tr(R K_C)/d under rotations and reflections R of the outputs, where {_K}",
        signed=False,
    ),
    "rotation": Words(
        "k, up to a rotation (1 alike, 0 unrelated)",
        f"k: the largest tr(R K_C)/2 under rotations R of the two outputs, where {_K}",
        signed=False,
    ),
    "flat": Words(
        f"k, cosine of whole Jacobians (1 alike, {_MINUS_ONE} opposite)", "k: cosine of both Jacobians as vectors."
    ),
    "cosine": Words(f"k, cosine of gradients (1 alike, {_MINUS_ONE} opposite)", f"k = g·g′/(|g||g′|), {_G}"),
    "inner": Words("k, inner product of gradients", f"k = g·g′, {_G}", bounded=False),
    "relative": Words(
        "k, inner product over |g|² of the row",
        "k = g·g′/|g|²: moving the output of the row by a small step moves that of the column by k such steps.",
        bounded=False,
    ),
    "difference": Words("difference of two similarities", "Second minus first, pair by pair.", bounded=False),
}  # fmt: skip
"""Words by kernel, as `netgeom_widgets.kernels.similarity.similarity_matrix` names them; and of a difference."""


def words_of(kernel: str) -> Words:
    """Words of a kernel; an error for an unknown one."""
    if kernel not in WORDS:
        raise NetgeomError("There is no such similarity.", expected=", ".join(WORDS), got=repr(kernel))
    return WORDS[kernel]


@dataclass(frozen=True)
class Colours:
    """A linear colour scale.

    Attributes
    ----------
    palette : tuple of str
    low, high : float
    note : str
        What the scale leaves out, for a caption.
    """

    palette: tuple[str, ...]
    low: float
    high: float
    note: str = ""


def colours_for(kernel: str, levels: Levels, limits: tuple[float, float] | None = None) -> Colours:
    """A colour scale for a matrix.

    Diverging about 0 where a value is below it, sequential from 0 where none is. Normalised similarities end at 1. The
    others have no natural end: the scale covers 98 % of the values (of a sample of them, if there are many), and the
    note says where it ends.

    Parameters
    ----------
    kernel : str
    levels : Levels
    limits : (float, float), optional
        Ends of the scale instead.
    """
    least, words = levels.least, words_of(kernel)
    signed = words.signed and (kernel == "difference" or least is None or least < -1e-6)
    palette = palettes.diverging() if signed else palettes.VIRIDIS
    if limits is None and words.bounded:
        return Colours(palette, -1.0 if signed else 0.0, 1.0)
    some = levels.sample(_SAMPLE)
    some = some[np.isfinite(some)]
    if limits is None:
        share = 1.0 if kernel == "difference" else 0.98
        high = (float(np.quantile(np.abs(some), share)) if some.size else 0.0) or limits_of(np.abs(some))[1]
        low = -high if signed else 0.0
    else:
        low, high = (float(end) for end in limits)
        if not low < high:
            raise NetgeomError("The colour limits are no interval.", expected="low < high", got=f"{low}, {high}")
    outside = 100 * float(np.mean((some < low) | (some > high))) if some.size else 0.0
    about = "about " if some.size < math.prod(levels.shape) else ""
    words_beyond = f"Beyond {number(low)} to {number(high)} the colour stays: {about}{outside:.3g} % of the pairs."
    return Colours(palette, low, high, words_beyond if outside else "")

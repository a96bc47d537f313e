"""The image of one parameter vector under its symmetries that is nearest to another vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels.equivalence.invariances import Chain, chain_at, read_mlp, require_same_function
from netgeom_widgets.kernels.equivalence.linear_layers import align_layer

_SWEEPS = 2000  # a bound only: sweeps end when the distance no longer falls
_GAIN = 1e-9  # relative: a sweep that gains less is the last
_CLOSE = 1e-12  # relative: distances that are rounding
_SMALLEST = 1e-8  # scales are kept between this and its inverse where the nearest image lies at 0 or infinity


@dataclass(frozen=True, eq=False)
class Alignment:
    """An image of b near a; see `alignment`.

    Attributes
    ----------
    parameters : (P,) float64
    permutations : tuple of (h,) int64, one for each hidden layer
        Unit i of the image is unit permutations[layer][i] of b, times factors[layer][i].
    factors : tuple of (h,) float64
        Positive scales or signs; layers without activation have a matrix instead, which is not given: 1 here.
    distance : float
        Euclidean, between a and the image.
    """

    parameters: Float64[ndarray, " P"]
    permutations: tuple[Int64[ndarray, " _"], ...]
    factors: tuple[Float64[ndarray, " _"], ...]
    distance: float


def align(model: Any, a: Any, b: Any) -> Float64[ndarray, " P"]:
    """The image of b nearest to a: `alignment(...).parameters`, whose documentation holds here.

    Parameters
    ----------
    model, a, b
        As `alignment` takes them.

    Returns
    -------
    (P,) float64

    Raises
    ------
    NetgeomError
        As `alignment`.
    """
    return alignment(model, a, b).parameters


def alignment(model: Any, a: Any, b: Any, *, n_starts: int = 4, seed: int | np.random.Generator = 0) -> Alignment:
    """The image of b under the symmetries of its network that is nearest to a.

    Units are matched by linear assignment with the best scale or sign for each pair. With one hidden layer that is
    exact. With several, layers are matched in turn, the others held fixed, until the distance no longer falls (weight
    matching, Ainsworth, Hayase and Srinivasa 2022, arXiv 2209.04836), from several starts: a local minimum.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear layers and elementwise activations; not changed.
    a, b : (P,)
        Flat vectors, in the order of model.parameters().
    n_starts : int
        With several hidden layers: matching from the input on, b as it is, and then random permutations.
    seed : int or numpy Generator

    Returns
    -------
    Alignment
        The function of the image equals that of b on Gaussian inputs to 1e-9 relative: asserted.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model.
    NetgeomError
        Parameters that do not fit.

    Notes
    -----
    For a pair of ReLU units the scale s > 0 minimises |w_a - s w_b|^2 + |v_a - v_b / s|^2, by the roots of a quartic;
    where the minimum is not attained (no outgoing weights), s stays above 1e-8. For sigmoids the change of the next
    bias is left out of the pairs' costs; layers without activation are matched by a local search: both are local too.
    O(h^3) for each layer of h units and each sweep.
    """
    mlp = read_mlp(model)
    target, moved = chain_at(mlp, a, "parameters a"), chain_at(mlp, b, "parameters b")
    n_starts = as_count(n_starts, 1, 10_000, "n_starts")
    image = nearest_image(target, moved, n_starts, np.random.default_rng(seed))
    require_same_function(mlp, moved.theta[None], image.chain.theta[None])
    return Alignment(image.chain.theta, tuple(image.permutations), tuple(image.factors), image.distance(target))


class Image:
    """A chain that is changed by symmetries only, and what was done to it."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain.copy()
        self.permutations = [np.arange(layer.n_out) for layer in chain.mlp.hidden]
        self.factors = [np.ones(layer.n_out) for layer in chain.mlp.hidden]

    def copy(self) -> Image:
        """One that changes by itself."""
        other = Image(self.chain)
        other.permutations, other.factors = list(self.permutations), list(self.factors)
        return other

    def rearrange(self, layer: int, permutation: Int64[ndarray, " h"], factors: Float64[ndarray, " h"]) -> None:
        """As `Chain.rearrange`."""
        self.chain.rearrange(layer, permutation, factors)
        self.permutations[layer] = self.permutations[layer][permutation]
        self.factors[layer] = factors * self.factors[layer][permutation]

    def distance(self, target: Chain) -> float:
        """Euclidean, in parameter space."""
        return float(np.linalg.norm(self.chain.theta - target.theta))


def nearest_image(
    target: Chain, chain: Chain, n_starts: int, rng: np.random.Generator, tolerance: float = _CLOSE
) -> Image:
    """The nearest of the images reached from the starts, or the first within `tolerance` of the target's norm."""
    close = tolerance * float(np.linalg.norm(target.theta))
    best = _matched_from_the_input(target, chain)
    if best.distance(target) > close:
        best = _swept(target, best)
    for start in range(1, n_starts if chain.n_hidden > 1 else 1):
        if best.distance(target) <= close:
            break
        image = Image(chain)
        for layer, permutation in enumerate(image.permutations):
            if start > 1:
                image.rearrange(layer, rng.permutation(permutation), np.ones(len(permutation)))
        image = _swept(target, image)
        best = min(best, image, key=lambda found: found.distance(target))
    return best


def _matched_from_the_input(target: Chain, chain: Chain) -> Image:
    """Each layer by its incoming weights, with those below in place: exact for images of the target itself."""
    image = Image(chain)
    for layer in range(chain.n_hidden):
        _match(target, image, layer, incoming_only=chain.n_hidden > 1)
    return image


def _swept(target: Chain, image: Image) -> Image:
    """Layers matched in turn until the distance no longer falls."""
    before = image.distance(target)
    for _ in range(_SWEEPS):
        trial = image.copy()
        for layer in range(trial.chain.n_hidden):
            _match(target, trial, layer)
        after = trial.distance(target)
        if not after < (1 - _GAIN) * before:
            break
        image, before = trial, after
    return image


def _match(target: Chain, image: Image, layer: int, *, incoming_only: bool = False) -> None:
    """Replace one layer by its image nearest to the target's, the others held fixed."""
    chain = image.chain
    if chain.activation(layer).linear:
        align_layer(target, chain, layer, incoming_only=incoming_only)
        return
    rows = [found for c in (target, chain) for found in (c.incoming(layer), c.outgoing(layer))]
    if incoming_only and chain.activation(layer).homogeneous:
        rows = [row / np.maximum(np.linalg.norm(row, axis=1, keepdims=True), np.finfo(float).tiny) for row in rows]
    wanted, wanted_behind, given, given_behind = rows
    if incoming_only:
        wanted_behind, given_behind = np.zeros_like(wanted_behind), np.zeros_like(given_behind)
    cost, factors = pair_costs(chain, layer, (wanted, wanted_behind), (given, given_behind))
    order, matched = linear_sum_assignment(cost)
    chosen = factors[order, matched]
    if incoming_only and chain.activation(layer).homogeneous:
        lengths = [np.linalg.norm(c.incoming(layer), axis=1) for c in (target, chain)]
        both = (lengths[0] > 0) & (lengths[1][matched] > 0)
        chosen = np.sign(chosen) * np.where(both, lengths[0] / np.where(both, lengths[1][matched], 1.0), 1.0)
    image.rearrange(layer, matched, chosen)


def pair_costs(
    chain: Chain, layer: int, wanted: tuple[ndarray, ndarray], given: tuple[ndarray, ndarray]
) -> tuple[Float64[ndarray, "h h"], Float64[ndarray, "h h"]]:
    """Squared distance of each unit wanted (row) from each given (column), and the factor on the latter behind it.

    Units are pairs of incoming and outgoing weights, a row each.
    """
    (p, v), (q, u) = wanted, given
    squares = [(rows**2).sum(axis=1) for rows in (p, v, q, u)]
    incoming, outgoing = p @ q.T, v @ u.T
    fixed = (squares[0] + squares[1])[:, None]
    if chain.activation(layer).homogeneous:
        signs = np.where((incoming < 0) & chain.flips(layer), -1.0, 1.0)
        incoming, shape = signs * incoming, incoming.shape
        before, behind = np.broadcast_to(squares[2], shape), np.broadcast_to(squares[3], shape)
        factors = _best_scales(before, incoming, behind, outgoing)
        cost = before * factors**2 - 2 * incoming * factors + behind / factors**2 - 2 * outgoing / factors
        return fixed + cost, signs * factors
    together = incoming + outgoing
    factors = np.where(together < 0, -1.0, 1.0) if chain.flips(layer) else np.ones_like(together)
    return fixed + squares[2] + squares[3] - 2 * factors * together, factors


def _best_scales(
    before: Float64[ndarray, "h h"],
    incoming: Float64[ndarray, "h h"],
    behind: Float64[ndarray, "h h"],
    outgoing: Float64[ndarray, "h h"],
) -> Float64[ndarray, "h h"]:
    """Minimise before s^2 - 2 incoming s + behind / s^2 - 2 outgoing / s over s > 0, entry by entry.

    With s = t (behind / before)^(1/4) the derivative vanishes where t^4 - beta t^3 + gamma t - 1 = 0. Without outgoing
    or incoming weights one term is left.
    """
    both = (before > 0) & (behind > 0)
    unit = (np.where(both, behind, 1.0) / np.where(both, before, 1.0)) ** 0.25
    size = np.sqrt(np.where(both, before * behind, 1.0))
    beta, gamma = incoming * unit / size, outgoing / unit / size
    companion = np.zeros((*before.shape, 4, 4))
    companion[..., 0, 0], companion[..., 0, 2], companion[..., 0, 3] = beta, -gamma, 1.0
    companion[..., [1, 2, 3], [0, 1, 2]] = 1.0
    roots = np.linalg.eigvals(companion).real  # any positive number is a candidate, so real parts do no harm
    t = np.maximum(roots, _SMALLEST)
    values = t**2 - 2 * beta[..., None] * t + 1 / t**2 - 2 * gamma[..., None] / t
    t = np.take_along_axis(t, values.argmin(axis=-1)[..., None], axis=-1)[..., 0]
    slope, curvature = t**4 - beta * t**3 + gamma * t - 1, 4 * t**3 - 3 * beta * t**2 + gamma
    step = np.where(curvature > 0, slope / np.where(curvature > 0, curvature, 1.0), 0.0)
    t = np.where(np.abs(step) < 0.1 * t, t - step, t)  # eigenvalues of a companion matrix lose a few digits
    only_before = np.where(before > 0, incoming / np.where(before > 0, before, 1.0), 1.0)
    only_behind = np.where(outgoing > 0, behind / np.where(outgoing > 0, outgoing, 1.0), 1 / _SMALLEST)
    found = np.where(both, t * unit, np.where(behind > 0, only_behind, only_before))
    return np.clip(found, _SMALLEST, 1 / _SMALLEST)

"""Exact images of a parameter vector under the symmetries of its network."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.kernels._inputs import as_array, as_count
from netgeom_widgets.kernels.equivalence.invariances import Chain, as_chain, require_same_function

Arrangement = tuple[ndarray, ndarray]  # a permutation of a layer's units, and their signs


def symmetry_orbit(
    model: Any, parameters: Any, unit: int | tuple[int, int], values: Any, *, layer: int = 0
) -> Float64[ndarray, "m P"]:
    """Positive rescalings of one hidden unit: incoming weights and bias times s, outgoing weights divided by s.

    Parameters
    ----------
    model : torch.nn.Module
        A chain of linear layers and elementwise activations; not changed.
    parameters : (P,)
        Flat vector, in the order of model.parameters().
    unit : int or (layer, unit)
    values : (m,)
        The scales s > 0, in any order.
    layer : int
        Hidden layer, 0 the first, where `unit` names none.

    Returns
    -------
    (m, P) float64
        The same function for each, asserted to 1e-9 relative on Gaussian inputs.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model.
    NetgeomError
        No such unit, scales that are not positive, an activation that is not positively homogeneous.

    Notes
    -----
    O(m P).
    """
    chain = as_chain(model, parameters)
    layer, unit = _as_unit(chain, layer, unit)
    scales = np.atleast_1d(as_array(values, "values").astype(np.float64))
    if scales.ndim != 1 or not scales.size or not (np.isfinite(scales) & (scales > 0)).all():
        raise NetgeomError("The scales are out of range", expected="finite numbers above 0", got=f"{values!r}")
    found = []
    for scale in scales.tolist():
        image = chain.copy()
        factors = np.ones(chain.mlp.layers[layer].n_out)
        factors[unit] = scale
        image.rearrange(layer, np.arange(len(factors)), factors)
        found.append(image.theta)
    return _checked(chain, found)


def discrete_images(
    model: Any,
    parameters: Any,
    *,
    n: int | None = None,
    limit: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> Float64[ndarray, "m P"]:
    """Images under permutations of hidden units, and changes of their signs where the activation allows them.

    Parameters
    ----------
    model, parameters
        As for `symmetry_orbit`.
    n : int, optional
        So many drawn at random, each image equally likely, repeats possible; None: all, the vector itself first.
    limit : int
        Most images that are made.
    seed : int or numpy Generator
        For random ones.

    Returns
    -------
    (m, P) float64
        All: the product over hidden layers of h!, times 2^h where f(-z) = f(z) or c - f(z). The same function for each,
        asserted to 1e-9 relative on Gaussian inputs. Images of a vector with equal units repeat.

    Raises
    ------
    UnsupportedModuleError
        Another kind of model.
    TooLargeError
        More images than `limit`.
    NetgeomError
        Parameters that do not fit.

    Notes
    -----
    O(m P). Images under scaling are curves, not points: see `symmetry_orbit`.
    """
    chain = as_chain(model, parameters)
    sizes = [layer.n_out for layer in chain.mlp.hidden]
    flips = [chain.flips(layer) for layer in range(chain.n_hidden)]
    total = math.prod(math.factorial(h) * (2**h if flip else 1) for h, flip in zip(sizes, flips, strict=True))
    limit = as_count(limit, 1, 1 << 31, "limit")
    wanted = total if n is None else as_count(n, 1, 1 << 31, "n")
    if wanted > limit:
        raise TooLargeError(
            "There are too many images",
            expected=f"at most {limit:,}",
            got=f"{wanted:,}" if wanted < 10**12 else f"about 10^{int(math.log10(wanted))}",
            try_this="n=..., to draw some at random, or a larger limit",
        )
    layers = list(zip(sizes, flips, strict=True))
    rng = np.random.default_rng(seed)
    arrangements: Iterable[tuple[Arrangement, ...]]
    if n is None:
        arrangements = itertools.product(*(_all_arrangements(h, flip) for h, flip in layers))
    else:
        arrangements = (tuple(_random_arrangement(h, flip, rng) for h, flip in layers) for _ in range(n))
    found = []
    for arrangement in arrangements:
        image = chain.copy()
        for layer, (permutation, signs) in enumerate(arrangement):
            image.rearrange(layer, permutation, signs)
        found.append(image.theta)
    return _checked(chain, found)


def _all_arrangements(size: int, flip: bool) -> Iterator[Arrangement]:
    for permutation in itertools.permutations(range(size)):
        for signs in itertools.product((1.0, -1.0), repeat=size if flip else 0):
            yield np.array(permutation), np.array(signs) if flip else np.ones(size)


def _random_arrangement(size: int, flip: bool, rng: np.random.Generator) -> Arrangement:
    signs = rng.choice([1.0, -1.0], size) if flip else np.ones(size)
    return rng.permutation(size), signs


def _as_unit(chain: Chain, layer: int, unit: int | tuple[int, int]) -> tuple[int, int]:
    if not isinstance(unit, int | np.integer):
        layer, unit = unit
    if not chain.n_hidden:
        raise NetgeomError("The model has no hidden units", expected="at least two linear layers")
    layer = as_count(layer, 0, chain.n_hidden - 1, "The hidden layer")
    unit = as_count(unit, 0, chain.mlp.layers[layer].n_out - 1, "The unit")
    activation = chain.activation(layer)
    if not activation.homogeneous:
        raise NetgeomError(
            f"Units of hidden layer {layer} cannot be rescaled",
            expected="an activation with f(s z) = s f(z) for s > 0, such as ReLU",
            got=activation.name,
            try_this="discrete_images, for permutations and signs" if chain.flips(layer) else "",
        )
    return layer, unit


def _checked(chain: Chain, images: list[ndarray]) -> Float64[ndarray, "m P"]:
    found = np.stack(images)
    require_same_function(chain.mlp, chain.theta[None], found)
    return found

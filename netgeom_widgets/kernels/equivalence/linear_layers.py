"""Hidden layers without activation: any invertible matrix may stand between them and the next layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.kernels.equivalence.invariances import Chain

_RANK = 1e-10  # relative: singular values up to here count as 0
_STEPS = 2000
_CLOSE = 1e-12  # relative: distances that are rounding
_CONDITION = 1e10  # of a matrix that is still taken for invertible


def reduce_layer(chain: Chain, layer: int) -> None:
    """One point of each orbit of the general linear group (with shifts of the bias), in place.

    Incoming weights A become orthonormal rows that depend on their row space alone, and continuously: the Gram-Schmidt
    basis of fixed vectors projected on it. Rows beyond the rank of A become 0, and outgoing weights behind them the
    same kind of basis of what they add to the image of the product.
    """
    bias, behind = chain.bias(layer), chain.weight(layer + 1)
    if bias is not None and (bias_behind := chain.bias(layer + 1)) is not None:
        bias_behind += behind @ bias
        bias[:] = 0.0
    incoming = chain.incoming(layer)
    product = behind @ incoming
    left, rank = _range(incoming)
    rows = _fixed_basis(_range(incoming.T)[0][:, :rank])
    rest = behind @ left[:, rank:]
    image, image_rank = _range(product)
    rest = rest - image[:, :image_rank] @ (image[:, :image_rank].T @ rest)
    extra, extra_rank = _range(rest, float(np.linalg.norm(behind)))
    reduced = np.zeros_like(incoming)
    reduced[:rank] = rows.T
    n_in = chain.mlp.layers[layer].n_in
    chain.weight(layer)[:] = reduced[:, :n_in]
    if bias is not None:
        bias[:] = reduced[:, n_in]
    behind[:] = 0.0
    behind[:, :rank] = product @ rows
    behind[:, rank : rank + extra_rank] = _fixed_basis(extra[:, :extra_rank])


def _range(matrix: Float64[ndarray, "m n"], scale: float | None = None) -> tuple[Float64[ndarray, "m m"], int]:
    """Orthonormal columns whose first ones span the range of a matrix, and its rank."""
    vectors, singular, _ = np.linalg.svd(matrix, full_matrices=True)
    largest = float(singular.max(initial=0.0)) if scale is None else scale
    return vectors, int((singular > _RANK * max(largest, np.finfo(float).tiny)).sum())


def _fixed_basis(span: Float64[ndarray, "m r"]) -> Float64[ndarray, "m r"]:
    """Orthonormal columns that depend only on the space that given orthonormal ones span."""
    fixed = np.random.default_rng(0).standard_normal(span.shape)
    q, r = np.linalg.qr(span @ (span.T @ fixed))
    return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0))


def align_layer(target: Chain, image: Chain, layer: int, *, incoming_only: bool = False) -> None:
    """Change a layer of `image` within its orbit so that it comes near `target`, in place; a local minimum.

    The best of closed-form starts, improved by a quasi-Newton method on |A - g B|^2 + |V - U g^-1|^2; or g by least
    squares on the incoming weights A, B alone.
    """
    shifts = image.bias(layer) is not None and image.bias(layer + 1) is not None
    wanted, given = (c.weight(layer) if shifts else c.incoming(layer) for c in (target, image))
    wanted_behind, given_behind = target.weight(layer + 1), image.weight(layer + 1).copy()
    matrix = wanted @ np.linalg.pinv(given)
    if not incoming_only or np.linalg.cond(matrix) > _CONDITION:
        matrix = _nearest_matrix(wanted, given, wanted_behind, given_behind)
    image.weight(layer)[:] = matrix @ image.weight(layer)
    image.weight(layer + 1)[:] = given_behind @ np.linalg.inv(matrix)
    if (bias := image.bias(layer)) is not None:
        bias[:] = matrix @ bias
        if shifts:
            _shift(target, image, layer)


def _shift(target: Chain, image: Chain, layer: int) -> None:
    """The shift of a bias against the next one that brings both nearest to the target's."""
    bias, behind, weight = image.bias(layer), image.bias(layer + 1), image.weight(layer + 1)
    wanted, wanted_behind = target.bias(layer), target.bias(layer + 1)
    if bias is None or behind is None or wanted is None or wanted_behind is None:
        return
    system = np.vstack([np.eye(len(bias)), -weight])
    shift = np.linalg.lstsq(system, np.concatenate([wanted - bias, wanted_behind - behind]), rcond=None)[0]
    bias += shift
    behind -= weight @ shift


def _nearest_matrix(
    a: Float64[ndarray, "h n"], b: Float64[ndarray, "h n"], v: Float64[ndarray, "o h"], u: Float64[ndarray, "o h"]
) -> Float64[ndarray, "h h"]:
    from scipy.optimize import minimize

    def distance(entries: ndarray) -> tuple[float, ndarray]:
        matrix = entries.reshape(len(a), len(a))
        inverse = np.linalg.inv(matrix)
        left, right = a - matrix @ b, v - u @ inverse
        slope = -left @ b.T + (u @ inverse).T @ right @ inverse.T
        return float((left**2).sum() + (right**2).sum()), 2 * slope.ravel()

    starts = [np.eye(len(a)), a @ np.linalg.pinv(b)]
    backwards = np.linalg.pinv(u) @ v
    if np.linalg.cond(backwards) < _CONDITION:
        starts.append(np.linalg.inv(backwards))
    turned, _, back = np.linalg.svd(a @ b.T + v.T @ u)
    starts.append(turned @ back)
    starts.append(_completed(a, b, v, u))
    usable = [start for start in starts if np.linalg.cond(start) < _CONDITION]
    best = min(usable, key=lambda start: distance(start.ravel())[0])
    if distance(best.ravel())[0] <= _CLOSE**2 * float((a**2).sum() + (v**2).sum()):
        return best
    with np.errstate(all="ignore"):
        options = {"ftol": 0.0, "gtol": 1e-14, "maxiter": _STEPS, "maxfun": 2 * _STEPS}
        found = minimize(distance, best.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(best.shape)
    better = np.linalg.cond(found) < _CONDITION and distance(found.ravel())[0] < distance(best.ravel())[0]
    return found if better else best


def _completed(a: ndarray, b: ndarray, v: ndarray, u: ndarray) -> Float64[ndarray, "h h"]:
    """The g that takes B to A, and what no incoming weights reach to where outgoing ones want it: v g = u."""
    (left, _), (left_given, rank) = _range(a), _range(b)
    unreached = left_given[:, rank:]
    return np.asarray(a @ np.linalg.pinv(b) + left @ np.linalg.pinv(v @ left) @ (u @ unreached) @ unreached.T)

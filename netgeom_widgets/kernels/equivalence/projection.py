"""Many coordinates in two: principal axes, or t-SNE, of points such as an epsilon set of a grid in four dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.kernels._inputs import as_choice
from netgeom_widgets.kernels._memory import require_memory
from netgeom_widgets.kernels.equivalence.bases import with_signs
from netgeom_widgets.kernels.equivalence.planes import as_rows

PROJECTIONS = ("pca", "tsne")
MOST_EMBEDDED = 2_000
"""Points that t-SNE takes at most: it cannot be stopped while it runs."""


@dataclass(frozen=True, eq=False)
class Projection:
    """Points in two coordinates; see `project_points`.

    Attributes
    ----------
    coordinates : (n, 2) float64
    shares : (float, float) or None
        Parts of the variance along the two principal axes; None for t-SNE, whose axes and distances mean nothing.
    method : str
    settings : dict
    """

    coordinates: Float64[ndarray, "n 2"]
    shares: tuple[float, float] | None
    method: str
    settings: dict[str, Any]


def project_points(points: Any, method: str = "pca", *, perplexity: float = 30.0, seed: int = 0) -> Projection:
    """Points of any dimension in two coordinates.

    "pca" is the orthogonal projection to the two principal axes: what is far apart in it is far apart. "tsne" is
    scikit-learn's t-SNE (van der Maaten and Hinton 2008), which keeps neighbours only. GENNI (arXiv 2011.07407) shows
    epsilon sets by UMAP, which is no dependency here; t-SNE stands in for it and gives other pictures.

    Parameters
    ----------
    points : (n, P)
        Elements to be marked among them go in as further rows: t-SNE has no place for points added later.
    method : "pca" or "tsne"
    perplexity : float
        Of t-SNE; lowered to (n - 1) / 3 for fewer points.
    seed : int
        Of t-SNE.

    Returns
    -------
    Projection
        Axes of "pca" have a positive largest entry; where the points span less, the coordinate is 0.

    Raises
    ------
    NetgeomError
        No points, values that are not finite, an unknown method, fewer than 4 points or a single coordinate for t-SNE.
    TooLargeError
        More than 2,000 points for t-SNE.

    Notes
    -----
    O(n P min(n, P)) for "pca"; about 8 s for 2,000 points with "tsne".
    """
    array = as_rows(points, "points")
    chosen = as_choice(method, PROJECTIONS, "method")
    n, p = array.shape
    require_memory(8 * 3 * array.size, "The projection", "fewer points")
    if chosen == "pca":
        coordinates, shares = _principal(array)
        return Projection(coordinates, shares, chosen, {"n_points": n})
    if n > MOST_EMBEDDED:
        raise TooLargeError(
            "There are too many points for t-SNE", expected=f"at most {MOST_EMBEDDED}", got=f"{n}",
            try_this="a smaller epsilon, or every k-th point",
        )  # fmt: skip
    if n < 4 or p < 2:
        raise NetgeomError("t-SNE needs more", expected="at least 4 points of 2 coordinates", got=f"({n}, {p})")
    import sklearn
    from sklearn.manifold import TSNE

    used = min(float(perplexity), (n - 1) / 3)
    embedding = TSNE(n_components=2, init="pca", perplexity=used, random_state=seed, n_jobs=1)
    coordinates = embedding.fit_transform(array).astype(np.float64)
    settings = {"n_points": n, "perplexity": used, "seed": seed, "versions": {"scikit-learn": sklearn.__version__}}
    return Projection(coordinates, None, chosen, settings)


def _principal(array: Float64[ndarray, "n P"]) -> tuple[Float64[ndarray, "n 2"], tuple[float, float]]:
    """Coordinates along two principal axes, and their parts of the variance."""
    centred = array - array.mean(0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    total = float((lengths**2).sum())
    found = np.zeros((len(array), 2))
    shares = [0.0, 0.0]
    for at, axis in enumerate(with_signs(axes[:2])):
        if lengths[at] > 1e-12 * lengths[0]:
            found[:, at] = centred @ axis
            shares[at] = float(lengths[at] ** 2) / total
    return found, (shares[0], shares[1])

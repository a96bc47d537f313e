"""kernels.equivalence.projection: principal axes against the covariance matrix, and what t-SNE promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError, TooLargeError
from netgeom_widgets.kernels.equivalence import project_points


@given(st.integers(2, 30), st.integers(1, 6), st.integers(0, 1000))
def test_principal_axes_are_those_of_the_covariance(n, p, seed):
    points = np.random.default_rng(seed).normal(size=(n, p)) * np.arange(1, p + 1) + 5
    found = project_points(points)
    variances = np.sort(np.linalg.eigvalsh(np.cov(points.T, bias=True).reshape(p, p)))[::-1][:2]
    assert np.allclose(found.coordinates.var(axis=0)[: len(variances)], variances, atol=1e-8)
    assert np.allclose(found.shares[: len(variances)], variances / points.var(axis=0).sum(), atol=1e-9)
    assert np.abs(found.coordinates.mean(axis=0)).max() < 1e-9 and np.allclose(found.coordinates[:, p:], 0)
    again = project_points(points @ np.linalg.qr(np.random.default_rng(1).normal(size=(p, p)))[0])
    assert np.allclose(np.abs(again.coordinates), np.abs(found.coordinates), atol=1e-7)


def test_equal_points_have_no_axes():
    found = project_points(np.ones((5, 3)))
    assert not found.coordinates.any() and found.shares == (0, 0)


def test_tsne_keeps_clusters_and_gives_the_same_again():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(20, 4)), rng.normal(size=(20, 4)) + 30])
    one, other = (project_points(points, "tsne", seed=3) for _ in range(2))
    assert (one.coordinates == other.coordinates).all() and one.shares is None
    assert one.settings["perplexity"] == 13 and one.coordinates.shape == (40, 2)
    far = np.linalg.norm(one.coordinates[:, None] - one.coordinates[None], axis=2) + 1e9 * np.eye(40)
    assert ((far.argmin(axis=1) < 20) == (np.arange(40) < 20)).all()


@pytest.mark.parametrize(
    ("points", "method", "words"),
    [
        (np.zeros((0, 3)), "pca", "no rows"),
        (np.full((4, 2), np.nan), "pca", "not finite"),
        (np.zeros((4, 2)), "umap", "not known"),
        (np.zeros((3, 2)), "tsne", "needs more"),
        (np.zeros((9, 1)), "tsne", "needs more"),
    ],
)
def test_what_cannot_be_projected_is_refused(points, method, words):
    with pytest.raises(NetgeomError, match=words):
        project_points(points, method)
    with pytest.raises(TooLargeError, match="too many points"):
        project_points(np.zeros((2001, 2)), "tsne")

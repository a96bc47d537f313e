"""The README's way from netsimilarity to here is run as it stands; what its table names exists and agrees."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import netgeom_widgets as ng
from netgeom_widgets import figures
from netgeom_widgets.kernels import similarity
from tests.networks import mlp

README = Path(__file__).parents[1] / "README.md"
SECTION = README.read_text().split("## Coming from netsimilarity")[1].split("\n## ")[0]
USE = README.read_text().split("<!-- test: similarity -->")[1].split("```python\n")[1].split("```")[0]

X = ng.datasets.gaussian(12, 4)


@pytest.fixture
def net():
    return mlp(4, 6, 2).double()


@pytest.fixture
def widgets(monkeypatch):
    """Those that a piece of the README makes; closed afterwards."""
    made, widget = [], ng.SimilarityMatrix
    monkeypatch.setattr(ng, "SimilarityMatrix", lambda *a, **k: made.append(widget(*a, **k)) or made[-1])
    yield made
    for one in made:
        one.close()


def jacobians(net, X):
    """(n, d, p), sample by sample."""
    rows = []
    for x in torch.from_numpy(X):
        by_output = [
            torch.autograd.grad(y, list(net.parameters()), retain_graph=True) for y in torch.unbind(net(x[None])[0])
        ]
        rows.append(torch.stack([torch.cat([part.reshape(-1) for part in parts]) for parts in by_output]))
    return torch.stack(rows).numpy()


def test_the_whole_way(tmp_path, net, widgets):
    y = np.stack([np.sin(X[:, 0]), X[:, 1]], 1)
    J = jacobians(net, X)
    files = [tmp_path / f"grads.{i:02d}.npy" for i in range(len(X))]
    for file, gradient in zip(files, J, strict=True):
        np.save(file, gradient.T)  # as theirs: (p, d)
    names = {"ng": ng, "np": np, "net": net, "X": X, "y": y, "gradient_files": files}
    exec(SECTION.split("```python\n")[1].split("```")[0], names)  # noqa: S102 - the README's own code
    k = names["k"]
    roots = [vectors / np.sqrt(values) @ vectors.T for values, vectors in (np.linalg.eigh(g @ g.T) for g in J)]
    expected = [[np.trace(roots[i] @ J[i] @ J[j].T @ roots[j]) / 2 for j in range(12)] for i in range(12)]
    np.testing.assert_allclose(k, expected, atol=1e-9)
    np.testing.assert_allclose(names["stored"], k, atol=1e-9)
    np.testing.assert_allclose(names["soft"], k.sum(1), atol=1e-9)
    np.testing.assert_array_equal(names["hard"], (k > 0.9).sum(1))
    np.testing.assert_allclose(names["less_soft"], (np.maximum(k, 0) ** 2).sum(1), atol=1e-9)
    assert names["ids"].shape == names["similarities"].shape == (12, 10)
    K = np.einsum("icp,jep->ijce", J, J)
    A = np.linalg.solve(K.sum(1)[:, None], K)
    np.testing.assert_allclose(names["denoised"].estimate, np.einsum("ijce,je->ic", A, y), atol=1e-9)
    (matrix,) = widgets
    matrix.wait(60)
    np.testing.assert_allclose(matrix.result.values, k, atol=1e-9)


def test_the_usage(tmp_path, monkeypatch, net, widgets):
    monkeypatch.chdir(tmp_path)
    names = {"ng": ng, "net": net, "X": X, "y": np.arange(12) % 3}
    exec(USE, names)  # noqa: S102 - the README's own code
    widgets[0].wait(60)
    np.testing.assert_allclose(widgets[0].result.values, names["found"].values, atol=1e-9)
    everything = names["tiles"].block(slice(0, 12), slice(0, 12))
    np.testing.assert_allclose(everything, names["found"].values, atol=1e-6)
    stored = ng.SimilarityMatrix(None, names["tiles"])
    stored.wait(60)


def test_what_the_table_says_of_theirs(net):
    """Rows of the table that claim an equality: cosine and trace, flat and the flattened count, the term's sign."""
    one = mlp(4, 6, 1).double()
    np.testing.assert_allclose(
        similarity.similarity_matrix(one, X, kernel="cosine").values,
        similarity.similarity_matrix(one, X).values,
        atol=1e-9,
    )
    flat = jacobians(net, X).reshape(12, -1)
    unit = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    counted = similarity.neighbour_counts(similarity.similarity_matrix(net, X, kernel="flat").values)
    np.testing.assert_allclose(counted, unit @ unit.sum(0), atol=1e-9)
    inner = similarity.similarity_matrix(one, X, kernel="inner").values
    gradients = jacobians(one, X)[:, 0]
    np.testing.assert_allclose(similarity.neighbour_counts(inner), gradients @ gradients.sum(0), rtol=1e-9)
    a, b = torch.from_numpy(X[:6]), torch.from_numpy(X[6:])
    pairs = [float(unit[i] @ unit[i + 6]) for i in range(6)]
    assert float(similarity.similarity_loss(net, a, b).detach()) == pytest.approx(1 - np.mean(pairs))


def test_what_the_table_names_is_there():
    for module, name in re.findall(r"`figures\.(\w+)\.(\w+)\(", SECTION):
        __import__(f"netgeom_widgets.figures.{module}")
        assert hasattr(getattr(figures, module), name), name
    ours = "".join(line.split("|")[2] for line in SECTION.splitlines() if line.startswith("| "))
    calls = set(re.findall(r"`(?:similarity\.)?([a-z_]+)\(", ours))
    assert len(calls) >= 8
    for name in calls - {"abs"}:
        assert hasattr(similarity, name), name
    for name in re.findall(r"ng\.([A-Za-z_]\w*)", SECTION):
        assert hasattr(ng, name), name
    for link in re.findall(r"\]\((notebooks/.*?)\)", SECTION):
        assert (README.parent / link).exists()

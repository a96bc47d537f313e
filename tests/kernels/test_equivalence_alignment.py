"""Canonical forms, alignment, clusters and orbits: one function, one representative."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netgeom_widgets.errors import NetgeomError, TooLargeError, UnsupportedModuleError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels.equivalence import (
    align,
    alignment,
    canonicalize,
    cluster_elements,
    discrete_images,
    element_clusters,
    find_elements,
    symmetry_generators,
    symmetry_orbit,
)
from netgeom_widgets.kernels.equivalence.network import FlatNetwork
from tests.kernels.equivalence_models import golden, mlp, parameters_of, with_parameters

RNG = np.random.default_rng


def outputs(model: nn.Module, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return with_parameters(model, theta)(torch.from_numpy(x)).numpy()


def random_image(model: nn.Module, theta: np.ndarray, activation: str, seed: int) -> np.ndarray:
    """A permuted image, with signs where the activation is odd, every unit scaled where it is a ReLU."""
    image = discrete_images(model, theta, n=1, seed=seed)[0]
    if activation == "relu":
        widths = [layer.out_features for layer in model if isinstance(layer, nn.Linear)][:-1]
        for layer, width in enumerate(widths):
            for unit, scale in enumerate(np.exp(RNG(seed).uniform(-2, 2, width))):
                image = symmetry_orbit(model, image, (layer, unit), scale)[0]
    return image


@pytest.mark.parametrize(("name", "activation"), [("orbit_tanh_0", "tanh"), ("orbit_relu_1", "relu")])
def test_golden_orbits_have_one_canonical_form(name: str, activation: str) -> None:
    case = golden(name)
    model = mlp(case["sizes"], activation)
    forms = np.stack([canonicalize(model, row) for row in case["orbit"]])
    assert np.ptp(forms, axis=0).max() < 1e-9
    assert np.abs(outputs(model, forms[0], case["x"]) - case["y"]).max() < 1e-11
    assert set(cluster_elements(model, case["orbit"])) == {0}
    for row in case["orbit"]:
        assert np.abs(align(model, case["theta"], row) - case["theta"]).max() < 1e-12
    if activation == "tanh":  # all 2^3 3! images, in whatever order
        found = discrete_images(model, case["theta"])
        assert np.array_equal(found[np.lexsort(found.T)], case["orbit"][np.lexsort(case["orbit"].T)])


def test_golden_alignment_recovers_permutation_and_scales() -> None:
    case = golden("align_relu_0")
    found = alignment(mlp(case["sizes"], "relu"), case["B"], case["A"])
    assert np.array_equal(found.permutations[0], case["perm"])
    assert np.abs(found.factors[0] / case["scale"][case["perm"]] - 1).max() < 1e-3
    assert found.distance == pytest.approx(np.linalg.norm(found.parameters - case["B"])) and found.distance < 1e-3


@pytest.mark.parametrize(("name", "sizes"), [("deeplinear_0", (5, 3, 4)), ("deeplinear_1", (4, 6, 3))])
def test_golden_linear_nets_have_one_canonical_form(name: str, sizes: tuple[int, ...]) -> None:
    case, model = golden(name), mlp(sizes, "id", False)
    forms = np.stack([canonicalize(model, row) for row in case["elements"]])
    assert np.ptp(forms, axis=0).max() < 1e-9
    found = element_clusters(model, case["elements"], reference=case["theta"])
    assert set(found.labels) == {0} and found.trivial.all() and found.sizes.tolist() == [8]
    assert found.distances.max() < 1e-6 and found.raw_distances.max() > 1


@given(
    st.sampled_from(["relu", "tanh"]),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 99),
)
def test_images_come_together(activation: str, widths: list[int], bias: bool, seed: int) -> None:
    sizes = (3, *widths, 2)
    model = mlp(sizes, activation, bias, seed=seed)
    theta = parameters_of(model)
    image = random_image(model, theta, activation, seed)
    x = RNG(seed).standard_normal((20, 3))
    scale = np.abs(outputs(model, theta, x)).max() or 1.0
    form, other = canonicalize(model, theta), canonicalize(model, image)
    assert np.abs(form - other).max() < 1e-9 * max(1.0, np.abs(form).max())
    assert np.abs(canonicalize(model, form) - form).max() < 1e-12 * max(1.0, np.abs(form).max())
    near = align(model, theta, image)
    assert np.linalg.norm(near - theta) < 1e-9 * np.linalg.norm(theta)
    for found in (image, form, near):
        assert np.abs(outputs(model, found, x) - outputs(model, theta, x)).max() < 1e-9 * scale


@given(st.sampled_from(["relu", "tanh"]), st.integers(1, 4), st.integers(0, 99))
def test_alignment_of_one_hidden_layer_is_the_nearest_image(activation: str, width: int, seed: int) -> None:
    """Against every permutation, with the best sign by trial, the best scale on a fine grid."""
    model = mlp((2, width, 2), activation, seed=seed)
    a, b = RNG(seed).standard_normal((2, 5 * width + 2))
    found = alignment(model, a, b)

    def units(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        w1, b1, w2 = np.split(theta, [2 * width, 3 * width, 5 * width])[:3]
        return np.column_stack([w1.reshape(width, 2), b1]), w2.reshape(2, width).T

    (p, v), (q, u) = units(a), units(b)
    scales = (np.array([-1.0, 1.0]) if activation == "tanh" else np.exp(np.linspace(-8, 8, 4001)))[:, None, None, None]
    cost = (((p[:, None] - scales * q) ** 2).sum(-1) + ((v[:, None] - u / scales) ** 2).sum(-1)).min(0)
    best = min(cost[range(width), list(order)].sum() for order in itertools.permutations(range(width)))
    expected = math.sqrt(best + ((a[5 * width :] - b[5 * width :]) ** 2).sum())
    assert found.distance == pytest.approx(expected, rel=1e-4 if activation == "relu" else 1e-12)
    assert found.distance <= expected * (1 + 1e-12)
    assert found.distance <= alignment(model, a, discrete_images(model, b, n=1, seed=seed)[0]).distance * (1 + 1e-9)


def test_several_layers_align_noisy_images_and_sweeps_never_lose() -> None:
    for activation in ("relu", "tanh"):
        model = mlp((3, 6, 5, 2), activation)
        theta = parameters_of(model)
        image = random_image(model, theta, activation, 3)
        noisy = image * (1 + 1e-4 * RNG(0).standard_normal(len(image)))
        assert alignment(model, theta, noisy).distance < 1e-3 * np.linalg.norm(theta)
        other = parameters_of(mlp((3, 6, 5, 2), activation, seed=1))
        few, many = (alignment(model, theta, other, n_starts=n).distance for n in (1, 8))
        assert many <= few <= np.linalg.norm(theta - other)


class Absolute(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.abs(x)


def test_units_of_even_activations_change_sign_alone() -> None:
    x = RNG(0).standard_normal((30, 3))
    folded = nn.Sequential(*mlp((3, 3, 2, 2), "tanh"))
    folded[1] = folded[3] = Absolute()
    theta = parameters_of(folded)
    images = [symmetry_orbit(folded, image, (0, 1), [3.0])[0] for image in discrete_images(folded, theta, n=6)]
    assert np.ptp([outputs(folded, image, x) for image in images], axis=0).max() < 1e-12
    assert np.ptp([canonicalize(folded, image) for image in images], axis=0).max() < 1e-12
    assert max(alignment(folded, theta, image).distance for image in images) < 1e-12
    theta[3:6], theta[10] = -2 * theta[:3], -2 * theta[9]  # a copy of the other sign
    copies = symmetry_generators(folded, theta)
    assert copies.kinds.count("duplicate unit") == 2
    tangent = (
        FlatNetwork(folded, x).jacobian(torch.from_numpy(theta)[None])[1][0].flatten(1).T.numpy()
    ) @ copies.rows.T
    assert np.abs(tangent).max() < 1e-12


def test_other_activations_and_degenerate_units() -> None:
    x = RNG(0).standard_normal((30, 3))
    sigmoid = nn.Sequential(*mlp((3, 4, 4, 2), "tanh"))
    sigmoid[1] = sigmoid[3] = nn.Sigmoid()
    theta = parameters_of(sigmoid)
    images = discrete_images(sigmoid, theta, n=6)
    assert np.ptp([outputs(sigmoid, image, x) for image in images], axis=0).max() < 1e-12
    assert np.ptp([canonicalize(sigmoid, image) for image in images], axis=0).max() < 1e-12
    assert alignment(sigmoid, theta, images[3]).distance < 1e-12

    smooth = nn.Sequential(*mlp((3, 4, 1), "tanh"))
    smooth[1] = nn.GELU()
    images = discrete_images(smooth, parameters_of(smooth))
    assert len(images) == 24 and np.ptp([canonicalize(smooth, image) for image in images], axis=0).max() == 0

    relu = mlp((3, 4, 2), "relu")
    with torch.no_grad():
        relu[0].weight[0], relu[0].bias[0] = 0, 0  # no incoming weights
        relu[2].weight[:, 1] = 0  # no outgoing ones
        relu[0].weight[3], relu[0].bias[3] = 2 * relu[0].weight[2], 2 * relu[0].bias[2]  # a scaled copy
    theta = parameters_of(relu)
    images = np.stack([random_image(relu, theta, "relu", seed) for seed in range(4)])
    assert np.ptp([canonicalize(relu, image) for image in images], axis=0).max() < 1e-12
    assert set(cluster_elements(relu, images)) == {0}
    affine = mlp((3, 3, 4, 2), "id", True)
    assert (
        np.abs(
            outputs(affine, canonicalize(affine, parameters_of(affine)), x)
            - affine(torch.from_numpy(x)).detach().numpy()
        ).max()
        < 1e-12
    )


def test_elements_of_a_search_are_copies_of_the_teacher() -> None:
    teacher = mlp((2, 2, 1), "tanh", seed=5)
    theta, x = parameters_of(teacher), RNG(0).standard_normal((60, 2))
    elements = find_elements(teacher, x, None, 12, max_iterations=300, seed=0)
    found = element_clusters(teacher, elements, reference=theta)
    members = elements.status == "converged"
    assert members.any() and not members.all()
    assert (found.labels[~members] == -1).all() and np.isnan(found.distances[~members]).all()
    assert set(found.labels[members]) == {0} and found.sizes.tolist() == [members.sum()]
    assert found.trivial[members].all() and not found.trivial[~members].any()
    assert np.nanmax(found.reference_distances) < 1e-6 and np.nanmax(found.raw_distances) > 0.1
    none = element_clusters(teacher, dataclasses.replace(elements, status=np.full(12, "unfinished")), reference=theta)
    assert set(none.labels) == {-1} and len(none) == 0 == len(none.sizes) and not none.trivial.any()
    cancel = Cancel()
    cancel.set()
    with pytest.raises(Cancelled):
        cluster_elements(teacher, elements, cancel=cancel)
    other = RNG(1).standard_normal((2, len(theta)))
    found = element_clusters(teacher, np.vstack([theta, other, theta, discrete_images(teacher, other[1], n=1)]))
    assert found.labels.tolist() == [0, 1, 2, 0, 2] and found.representatives.tolist() == [0, 1, 2]
    assert not found.trivial.any() and found.sizes.tolist() == [2, 1, 2] and len(found) == 3


def test_orbits_of_scales() -> None:
    model = mlp((2, 3, 1), "relu")
    theta = parameters_of(model)
    orbit = symmetry_orbit(model, theta, 1, [0.5, 1.0, 4.0])
    assert orbit.shape == (3, 13) and np.array_equal(orbit[1], theta)
    assert (
        np.array_equal(orbit[2, 2:4], 4 * theta[2:4]) and orbit[2, 7] == 4 * theta[7] and orbit[2, 10] == theta[10] / 4
    )
    assert np.array_equal(symmetry_orbit(model, theta, (0, 1), [0.5, 1.0, 4.0]), orbit)
    for unit, values, layer in [(3, [1.0], 0), (0, [0.0], 0), (0, [np.inf], 0), (0, [], 0), (0, [1.0], 1)]:
        with pytest.raises(NetgeomError):
            symmetry_orbit(model, theta, unit, values, layer=layer)
    with pytest.raises(NetgeomError, match="cannot be rescaled"):
        symmetry_orbit(mlp((2, 3, 1), "tanh"), theta, 0, [2.0])
    with pytest.raises(TooLargeError, match="too many images"):
        discrete_images(mlp((2, 30, 1), "tanh"), parameters_of(mlp((2, 30, 1), "tanh")))
    assert len(discrete_images(model, theta)) == 6 and np.array_equal(discrete_images(model, theta)[0], theta)


class Tied(nn.Module):
    """One weight used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_what_cannot_be_read_is_refused() -> None:
    theta = parameters_of(Tied())
    conv = nn.Sequential(nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 1)).double()
    for call in (
        lambda: canonicalize(Tied(), theta),
        lambda: align(Tied(), theta, theta),
        lambda: cluster_elements(Tied(), theta[None]),
        lambda: symmetry_orbit(Tied(), theta, 0, [1.0]),
    ):
        with pytest.raises(UnsupportedModuleError, match="cannot be read"):
            call()
    with pytest.raises(UnsupportedModuleError, match=r"of 0 cannot be read.*Conv1d"):
        canonicalize(conv, parameters_of(conv))
    assert "no chain" in symmetry_generators(conv, parameters_of(conv)).notes[0]
    model = mlp((2, 3, 1))
    for wrong in (np.zeros(12), np.full(13, np.nan), np.zeros((2, 13))):
        with pytest.raises(NetgeomError):
            canonicalize(model, wrong)
    with pytest.raises(NetgeomError, match="tolerance"):
        cluster_elements(model, np.zeros((2, 13)), tolerance=0.0)

"""The transitions kernel against cases with known answers, and against two runs of ReprDynamics itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netgeom_widgets.kernels import transitions as tr

FOLDER = Path(__file__).parents[1] / "golden" / "transitions"
# Runs of another program are not ours to copy: they are read where they lie, beside the repository.
REFERENCE = Path(__file__).parents[3] / "shared" / "golden" / "transitions"

METRICS = ("euclidean", "cosine", "cityblock")


def neighbour_cases():
    for path in sorted(FOLDER.glob("*.json")):
        stored = json.loads(path.read_text())
        for name, case in stored.items() if isinstance(stored, dict) else ():
            if isinstance(case, dict) and "k" in case:
                for metric in METRICS:
                    if metric in case:
                        snapshots = np.array(stored["snapshots"], dtype=float)
                        yield pytest.param(
                            snapshots, case["k"], metric, case[metric], id=f"{path.stem}-{name}-{metric}"
                        )


@pytest.mark.parametrize(("snapshots", "k", "metric", "expected"), list(neighbour_cases()))
def test_neighbours_and_what_follows_from_them(snapshots, k, metric, expected):
    found = tr.nearest_neighbours(snapshots, k, metric=metric)
    np.testing.assert_array_equal(found.ids, expected["neighbours"])
    np.testing.assert_allclose(found.distances, expected["distances"], atol=1e-12)
    overlap = tr.overlap(found)
    np.testing.assert_allclose(overlap, expected["overlap_consecutive_per_sample"], atol=1e-15)
    np.testing.assert_allclose(overlap.mean(1), expected["overlap_consecutive_mean"], atol=1e-12)
    np.testing.assert_allclose(tr.preservation(found), expected["preservation_TxT_mean_overlap"], atol=1e-12)
    np.testing.assert_allclose(tr.jaccard(found), expected["jaccard_TxT_mean"], atol=1e-12)
    np.testing.assert_allclose(tr.transition_distance(found), expected["per_sample_D_l2"], atol=1e-12)
    cityblock = tr.transition_distance(found, norm="cityblock")
    np.testing.assert_allclose(cityblock, expected["per_sample_D_cityblock"], atol=1e-12)
    reference = expected["reference"]
    np.testing.assert_allclose(tr.reprdynamics_distance_of_neighbours(found), reference["D"], atol=1e-12)
    if metric == "euclidean":
        distance = tr.reprdynamics_distance(snapshots, reference["num_neighbours_incl_self"])
        np.testing.assert_allclose(distance, reference["D"], atol=1e-12)


def test_all_neighbour_cases_are_there():
    assert len(list(neighbour_cases())) == 6


def test_large_offset_in_float32():
    """Offset 100 and spread 0.01: distances by the matrix product alone find 6 of 1000 neighbours."""
    with np.load(FOLDER / "large_offset_float32.npz", allow_pickle=False) as stored:
        found = tr.nearest_neighbours(stored["X"][None], 10)
        np.testing.assert_array_equal(found.ids[0], stored["neighbours_excl_self"])
        np.testing.assert_allclose(found.distances[0], stored["distances"], rtol=1e-12)


@pytest.mark.parametrize("name", ["class_transitions_hand", "class_transitions_random"])
def test_classes(name):
    case = json.loads((FOLDER / f"{name}.json").read_text())
    predictions, labels = np.array(case["predictions"]), np.array(case["labels"])
    counts = tr.class_transitions(predictions, case["classes"])
    np.testing.assert_array_equal(counts, case["transition_counts"])
    np.testing.assert_allclose(tr.class_transition_distance(counts), case["nntf_distance"], atol=1e-15)
    np.testing.assert_array_equal(tr.classification_distance(predictions), case["disagreement_counts_TxT"])
    np.testing.assert_array_equal(tr.forgetting_events(predictions, labels), case["forgetting_events"])
    np.testing.assert_array_equal(tr.learning_events(predictions, labels), case["learning_events"])
    first = tr.first_correct(predictions, labels)
    np.testing.assert_array_equal(first, case["first_correct_snapshot_or_-1"])
    unforgettable = (tr.forgetting_events(predictions, labels) == 0) & (first >= 0)
    np.testing.assert_array_equal(unforgettable, case["unforgettable"])


def test_geometry():
    case = json.loads((FOLDER / "cka_procrustes.json").read_text())
    snapshots = np.array(case["snapshots"])
    np.testing.assert_allclose(tr.linear_cka(snapshots), case["linear_cka"], atol=1e-10)
    np.testing.assert_allclose(tr.procrustes_distance(snapshots), case["procrustes"], atol=1e-10)
    frames = tr.aligned_projection(snapshots[[0, 2]])  # the second is the first rotated, scaled and shifted
    turned, plain = frames[1] / np.linalg.norm(frames[1]), frames[0] / np.linalg.norm(frames[0])
    np.testing.assert_allclose(turned, plain, atol=1e-10)


@pytest.fixture(params=["reference_sample_T20_N16_D10", "reference_digits_epochs0-7"])
def run(request):
    path = REFERENCE / f"{request.param}.npz"
    if not path.exists():
        pytest.skip("the runs of ReprDynamics are not beside the repository")
    with np.load(path, allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def test_reprdynamics_itself(run):
    k = int(run["num_neighbours"])
    with_self = run["neighbours_incl_self"]
    found = tr.nearest_neighbours(run["snapshots"], with_self.shape[2] - 1)
    np.testing.assert_array_equal(found.ids, with_self[:, :, 1:])
    if "distances" in run:
        np.testing.assert_allclose(found.distances, run["distances"][:, :, 1:], rtol=1e-9)
    similarity = (1 + (k - 1) * tr.overlap(found, k=k - 1).mean(1)) / k
    np.testing.assert_allclose(similarity, run["s"], atol=1e-12)
    np.testing.assert_allclose(tr.reprdynamics_distance(run["snapshots"], k), run["D"], atol=1e-9)
    np.testing.assert_allclose(tr.reprdynamics_distance_of_neighbours(found, k), run["D"], atol=1e-9)
    if "softmax_entropy" in run:
        np.testing.assert_allclose(tr.entropy(run["snapshots"]), run["softmax_entropy"], atol=1e-12)

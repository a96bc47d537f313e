"""The matrices that the transition heat map offers, and which snapshots a cell of each stands for."""

from __future__ import annotations

from dataclasses import dataclass

Cell = tuple[int, int]


@dataclass(frozen=True)
class MatrixKind:
    """One choice of matrix.

    Attributes
    ----------
    name : str
        As the user chooses it.
    unit : str
        Unit of its values; empty where they have none.
    of_transitions : bool
        Whether rows and columns are transitions, else snapshots.
    needs : {"neighbours", "snapshots", "predictions"}
        What it is computed from.
    is_similarity : bool
        Whether large values mean alike.
    """

    name: str
    unit: str
    of_transitions: bool
    needs: str
    is_similarity: bool = False


PER_SAMPLE, REPRDYNAMICS = "per-sample transition distance", "ReprDynamics' formula"
CLASS_TRANSITIONS, RAW_CLASSIFICATION = "class-transition distance", "raw-classification distance"
PRESERVATION, JACCARD, CKA, PROCRUSTES = "neighbour preservation", "Jaccard", "CKA", "Procrustes"

KINDS = {
    kind.name: kind
    for kind in (
        MatrixKind(PER_SAMPLE, "", True, "neighbours"),
        MatrixKind(REPRDYNAMICS, "", True, "neighbours"),
        MatrixKind(CLASS_TRANSITIONS, "0 to 1", True, "predictions"),
        MatrixKind(RAW_CLASSIFICATION, "samples", False, "predictions"),
        MatrixKind(PRESERVATION, "share kept", False, "neighbours", True),
        MatrixKind(JACCARD, "0 to 1", False, "neighbours", True),
        MatrixKind(CKA, "0 to 1", False, "snapshots", True),
        MatrixKind(PROCRUSTES, "0 to 2", False, "snapshots"),
    )
}


def snapshots_of(cell: Cell, *, of_transitions: bool) -> tuple[int, int]:
    """The two snapshots that a cell compares, the earlier one first.

    A transition a lies between the snapshots a and a + 1, so two transitions span the time from the beginning of the
    earlier to the end of the later one.
    """
    first, last = min(cell), max(cell)
    return first, last + of_transitions


def cell_of(snapshots: tuple[int, int], *, of_transitions: bool) -> Cell | None:
    """The cell that compares two snapshots, the inverse of :func:`snapshots_of`; None where there is none."""
    before, after = snapshots
    last = after - of_transitions
    return (before, last) if last >= before else None

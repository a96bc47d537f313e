"""The numbers of the transition heat map as arrays and as a table, a row per sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from netgeom_widgets.kernels import transitions
from netgeom_widgets.widgets.transition_picture import Picture
from netgeom_widgets.widgets.transition_source import Source


def arrays_of(picture: Picture, source: Source) -> dict[str, Any]:
    """Everything that was computed, by name; neighbours are ids of samples, -1 in no place.

    ``overlap`` is (T-1, N) of ``ids``, the samples that take part; ``matrix_ids`` are those that the matrix is of.
    """
    search, count = picture.search, len(picture.steps)
    ids = source.ids[search.positions]
    arrays: dict[str, Any] = {
        "matrix": picture.matrix,
        "matrix_ids": source.ids[picture.taken],
        "steps": picture.steps,
        "ids": ids,
        "neighbours": ids[search.found.ids],
        "distances": search.found.distances,
        "overlap": transitions.overlap(search.found, k=search.k),
        "churn": picture.churn,
        **{f"metric_{name}": values for name, values in picture.metrics.items()},
    }
    if source.labels is not None:
        arrays["labels"] = source.labels[search.positions]
    if not source.no_classes:
        arrays["predictions"] = source.predictions(count)[:, search.positions]
        arrays["class_transitions"] = transitions.class_transitions(arrays["predictions"], source.n_classes)
    return arrays


def table_of(picture: Picture, source: Source) -> dict[str, Any]:
    """A row per sample: id, label, mean overlap, forgetting, learning events, step first classified right (or -1)."""
    search, count = picture.search, len(picture.steps)
    overlap = transitions.overlap(search.found, k=search.k)
    mean = overlap.mean(axis=0) if len(overlap) else np.full(len(search.positions), np.nan)
    table: dict[str, Any] = {"id": source.ids[search.positions], "mean_overlap": mean}
    if source.labels is not None:
        labels = source.labels[search.positions]
        table["label"] = labels
        if not source.no_classes:
            predictions = source.predictions(count)[:, search.positions]
            first = transitions.first_correct(predictions, labels)
            table |= {
                "forgetting_events": transitions.forgetting_events(predictions, labels),
                "learning_events": transitions.learning_events(predictions, labels),
                "first_correct_step": np.where(first >= 0, picture.steps[first], -1),
            }
    return table

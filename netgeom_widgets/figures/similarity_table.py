"""Selected inputs as a table that is sorted by a click on a column's head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from netgeom_widgets.figures.tables import PickTable, make_columns

_COLUMNS = (  # field, title, kind, width
    ("input", "input", "whole", 64),
    ("label", "label", "text", 80),
    ("predicted", "predicted", "whole", 76),
    ("text", "text", "text", 160),
    ("k", "k to the row", "decimal", 92),
    ("hard", "hard count", "whole", 88),
    ("soft", "soft count", "decimal", 88),
    ("less_soft", "less-soft count", "decimal", 110),
)


class InputTable:
    """A row per input; ``root`` is a Bokeh table.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 260) -> None:
        self._table = PickTable(make_columns(_COLUMNS), height)
        self.root = self._table.root

    def draw(self, columns: Mapping[str, Any]) -> None:
        """Show inputs, none picked.

        Parameters
        ----------
        columns : mapping of name to (m,) array
            ``input``, the ids; any of label, predicted, text, k (to the picked row), hard, soft, less_soft. Columns
            that are missing are not shown.
        """
        n = len(columns["input"])
        self._table.fill({field: list(columns[field]) if field in columns else [""] * n for field, *_ in _COLUMNS})
        for column in self.root.columns:
            column.visible = column.field in columns

    def mark(self, sample: int | None) -> None:
        """Select the row of an input and bring it into view, or none."""
        ids = list(self._table.data["input"])
        self._table.pick(ids.index(sample) if sample in ids else None)

    def on_sample(self, act: Callable[[int], None]) -> None:
        """Call with the id of the input whose row the user picks."""
        self._table.on_pick(lambda row: act(int(self._table.data["input"][row])))


def table_columns(ids: np.ndarray, named: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of some inputs, taken from arrays over all inputs; None is left out."""
    found: dict[str, list[Any]] = {"input": np.asarray(ids).tolist()}
    for name, values in named.items():
        if values is not None:
            found[name] = [values[i] for i in found["input"]] if isinstance(values, list) else values[ids].tolist()
    return found

"""Selected inputs as a table that is sorted by a click on a column's head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netgeom_widgets.figures.tables import NumberedTable

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


class InputTable(NumberedTable):
    """A row per input, by columns such as `table_columns` makes.

    "input" holds the ids; any of label, predicted, text, k (to the picked row), hard, soft, less_soft may be there.

    Parameters
    ----------
    height : int
        In pixels.
    """

    def __init__(self, height: int = 260) -> None:
        super().__init__(_COLUMNS, height)


def table_columns(ids: np.ndarray, named: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The columns of some inputs, taken from arrays over all inputs; None is left out."""
    found: dict[str, list[Any]] = {"input": np.asarray(ids).tolist()}
    for name, values in named.items():
        if values is not None:
            found[name] = [values[i] for i in found["input"]] if isinstance(values, list) else values[ids].tolist()
    return found

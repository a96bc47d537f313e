"""Rows are matched by the run they belong to, never by their order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from netgeom_widgets.errors import NetgeomError

Ids = tuple[Hashable, ...]


def match_by_run(
    starts: Float64[ndarray, "n dims"], ends: Float64[ndarray, "m dims"], run_ids: Any
) -> tuple[Float64[ndarray, "n dims"], Ids]:
    """The ends in the order of the starts, matched by id.

    Parameters
    ----------
    starts, ends : (n, dims)
    run_ids : (ids of the starts, ids of the ends)
        Each id once in either: strings, numbers, or pairs (run, step) where a run has several rows.

    Returns
    -------
    ends : (n, dims)
    ids : tuple
        Those of the starts.

    Raises
    ------
    NetgeomError
        Ids that are missing on one side or come twice, with their number.
    """
    try:
        first, last = (tuple(map(_plain, ids)) for ids in run_ids)
    except (TypeError, ValueError) as error:
        raise NetgeomError(
            "run_ids is not understood",
            expected="(ids of the starts, ids of the ends)",
            got=f"{type(run_ids).__name__}: {error}",
        ) from error
    for what, ids, rows in (("starts", first, starts), ("ends", last, ends)):
        if len(ids) != len(rows):
            raise NetgeomError(f"The {what} and their ids differ in number", expected=f"{len(rows)}", got=f"{len(ids)}")
        refuse_repeated(ids)
    alone, without = [i for i in first if i not in set(last)], [i for i in last if i not in set(first)]
    if alone or without:
        raise NetgeomError(
            "Starts and ends are not of the same runs",
            expected="every id once on both sides",
            got=f"{len(alone)} starts without end{_some(alone)}, {len(without)} ends without start{_some(without)}",
        )
    row_of = {i: row for row, i in enumerate(last)}
    return ends[[row_of[i] for i in first]], first


def run_of(identifier: Hashable) -> Hashable:
    """The run of an id: its first part where it is (run, step), else the id itself."""
    return identifier[0] if isinstance(identifier, tuple) and identifier else identifier


def _plain(identifier: Any) -> Hashable:
    """An id that compares equal whatever array it came from."""
    if isinstance(identifier, tuple | list):
        return tuple(map(_plain, identifier))
    return identifier.item() if isinstance(identifier, np.generic) else identifier


def _some(ids: Sequence[Any]) -> str:
    return f" ({', '.join(map(repr, ids[:3]))}{', ...' if len(ids) > 3 else ''})" if ids else ""


def refuse_repeated(ids: Sequence[Hashable]) -> None:
    """Refuse ids of which one comes twice."""
    seen: set[Hashable] = set()
    repeated = [i for i in ids if i in seen or seen.add(i)]  # type: ignore[func-returns-value]
    if repeated:
        raise NetgeomError(
            "A run id comes more than once",
            expected="each id once; (run, step) where a run has several rows",
            got=f"{len(repeated)} of {len(ids)} repeated{_some(repeated)}",
        )

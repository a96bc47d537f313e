"""Parameter vectors that were found elsewhere, judged by the rules of a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from netgeom_widgets.kernels.equivalence.elements import Elements
from netgeom_widgets.kernels.equivalence.optimisation import Ended
from netgeom_widgets.kernels.equivalence.planes import as_rows
from netgeom_widgets.kernels.equivalence.search import Search


def assess_elements(
    model: nn.Module, inputs: Any, targets: Any, parameters: Any, *, tolerance: float = 1e-20
) -> Elements:
    """Judge parameter vectors: which belong to the class on these samples, and what is wrong with the others.

    Parameters
    ----------
    model : torch.nn.Module
    inputs : array (N, ...)
    targets : array (N, C) or None
        None: the model's own outputs.
    parameters : array (n, P)
    tolerance : float
        As in `find_elements`.

    Returns
    -------
    Elements
        As from a search of no iterations, whose method is "given": an "unfinished" one is not in the class, and no
        minimum either.

    Raises
    ------
    NetgeomError
        As `find_elements`.

    Notes
    -----
    One forward pass of the module and one gradient each.
    """
    rows = as_rows(parameters, "parameters")
    search = Search(model, inputs, targets, len(rows), "levenberg-marquardt", tolerance, 1, rows, 0)
    history = np.full((len(rows), len(search.checkpoints)), np.nan)
    ended = [Ended(i, row, 0, "iterations") for i, row in enumerate(search.start)]
    found = {element.index: element for element in search.judged(ended, history)}
    history[:, 0] = [element.relative_loss for element in found.values()]
    elements = search.gathered(found)
    settings = {name: value for name, value in elements.settings.items() if name != "seed"}
    return replace(elements, settings=settings | {"method": "given", "max_iterations": 0})

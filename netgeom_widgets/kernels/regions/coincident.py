"""Units whose hinges coincide, because their pre-activations are proportional: one of them is enough to cut."""

from __future__ import annotations

import torch
from torch import Tensor

from netgeom_widgets.kernels.regions.cells import Recipe, ranges

# Projections of proportional columns agree to rounding; what differs by less than this is compared in full.
_SAME_PROJECTION = 1e-9
# A column whose projection is this small beside its values has lost too many digits in it to be compared.
_SOUND = 1e-3


def leaders(values: Tensor, thresholds: Tensor) -> Tensor:
    """(n,) for every column the first one that it is proportional to, within its threshold; itself where there is none.

    Columns are sorted by a projection that does not depend on their scale, and neighbours are compared in full, so a
    column may be missed, which costs time, but never taken for another. O(V n + n log n).
    """
    n = values.shape[1]
    steps = torch.arange(1, len(values) + 1, dtype=values.dtype)
    scale = torch.sin(steps) @ values  # fixed directions without structure of their own
    sound = scale.abs() > _SOUND * values.abs().amax(0)
    projection = torch.where(sound, (torch.sin(2.3 * steps + 0.5) @ values) / scale, torch.inf)
    order = torch.argsort(projection, stable=True)
    projection = projection[order]
    begins = torch.ones(n, dtype=torch.bool)
    begins[1:] = ~(projection[1:] - projection[:-1] <= _SAME_PROJECTION * (1 + projection[1:].abs()))
    first = order[begins][begins.cumsum(0) - 1]
    close = torch.nonzero((first != order) & sound[order]).view(-1)
    candidate, leader = order[close], first[close]
    ratio = scale[candidate] / scale[leader]
    difference = (values[:, candidate] - values[:, leader] * ratio).abs_().amax(0)
    same = difference <= thresholds[candidate]
    found = torch.arange(n)
    found[candidate[same]] = leader[same]
    return found


def follow(recipe: Recipe, leader: Tensor, units: Tensor) -> Recipe:
    """The recipe in which every unit also vanishes where its leader does."""
    followers = torch.nonzero(leader != torch.arange(len(leader))).view(-1)
    if not len(followers):
        return recipe
    followers = followers[torch.argsort(leader[followers], stable=True)]
    count = torch.bincount(leader[followers], minlength=len(leader))
    start = count.cumsum(0) - count
    steps: list[tuple[Tensor, ...]] = []
    for step in recipe.steps:
        steps.append(step)
        if len(step) == 2:
            vertices, vanishing = step
            column = torch.searchsorted(units, vanishing.contiguous())
            also = followers[ranges(start[column], count[column])]
            if len(also):
                steps.append((torch.repeat_interleave(vertices, count[column]), units[also]))
    return Recipe(steps, recipe.in_turn)

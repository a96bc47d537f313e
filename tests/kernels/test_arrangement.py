"""The cell complex under one op: order along edges and chords, concurrency, limits and cancellation inside a cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.execution import Cancel, Cancelled
from netgeom_widgets.kernels.regions import Slice, arrangement, crossings, partition
from netgeom_widgets.kernels.regions.cuts import along_groups
from tests.kernels.checks import assert_complex

BOX = Slice.box(-2, 2, -2, 2)


def one_layer(width: int = 20) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))


def test_positions_next_to_one_stay_in_their_group() -> None:
    """At group 2^20 the sum of group and position cannot tell 1 - 1e-11 from the next group's 1e-11."""
    group = torch.tensor([2**20, 2**20, 2**20 + 1, 2**20 + 1])
    position = torch.tensor([0.5, 1 - 1e-11, 1e-11, 0.25], dtype=torch.float64)
    for shuffled in ([0, 1, 2, 3], [3, 2, 1, 0], [2, 1, 3, 0]):
        order = along_groups(group[shuffled], position[shuffled])
        assert torch.tensor(shuffled)[order].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("strip", [True, False])
def test_concurrency_does_not_depend_on_the_size_of_the_cell(strip: bool) -> None:
    """Three hinges meet within the tolerance, seen on chords across the square or across a narrow strip of it."""
    first, second = nn.Linear(2, 4).double(), nn.Linear(4, 3).double()
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]]))
        first.bias.copy_(torch.tensor([-5e-4, 5e-4, 10.0, 10.0] if strip else [9.0, 9.0, 10.0, 10.0]))
        second.weight.copy_(torch.tensor([[0, 0, 0, 1.0], [0, 0, -0.5, 1], [0, 0, 0.5, 1]]))
        second.bias.copy_(torch.tensor([-10.0, -5.0, -15.0 - 5e-11], dtype=torch.float64))
    model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(3, 1).double())
    found = partition(model, BOX)
    assert found.region_counts == ((3, 4 + 6 + 4) if strip else (1, 6))
    assert_complex(found)


def test_pairs_of_chords_in_blocks_give_the_same_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = partition(one_layer(), BOX)
    monkeypatch.setattr(crossings, "_PAIRS_AT_ONCE", 7)
    blocks = partition(one_layer(), BOX)
    for name in ("vertices", "edges", "ring_offsets", "ring_vertices", "edge_regions"):
        assert np.array_equal(getattr(whole, name), getattr(blocks, name))


@pytest.mark.parametrize("pairs", [7, 1 << 22])
def test_the_refusal_names_the_exact_count(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    count = partition(one_layer(), BOX).n_regions
    monkeypatch.setattr(crossings, "_PAIRS_AT_ONCE", pairs)
    with pytest.raises(TooLargeError, match=f"{count} regions would arise"):
        partition(one_layer(), BOX, max_regions=30)
    assert partition(one_layer(), BOX, max_regions=count).n_regions == count


def test_cancel_is_heard_inside_a_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    cancel, pairs_of = Cancel(), crossings._chord_pairs

    def then_cancel(*arguments: object) -> object:
        for pair in pairs_of(*arguments):
            yield pair
            cancel.set()

    monkeypatch.setattr(crossings, "_PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(crossings, "_chord_pairs", then_cancel)
    blocks: list[int] = []
    monkeypatch.setattr(arrangement, "assemble", lambda *_: blocks.append(1))
    with pytest.raises(Cancelled):
        partition(one_layer(), BOX, cancel=cancel)
    assert not blocks

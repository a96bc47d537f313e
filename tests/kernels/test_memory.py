"""Sizes are checked before memory is taken, and the refusal says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from netgeom_widgets.errors import TooLargeError
from netgeom_widgets.kernels import _memory
from netgeom_widgets.kernels.regions import Slice, partition

BOX = Slice.box(-2, 2, -2, 2)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "available_bytes", lambda: 1 << 30)
    _memory.require_memory(1 << 29, "The array", "fewer points")
    with pytest.raises(TooLargeError, match=r"The array would take 4.0 GiB.*at most 0.8 GiB.*fewer points"):
        _memory.require_memory(4 << 30, "The array", "fewer points")


def test_the_system_says_how_much_there_is() -> None:
    assert 1 << 20 < _memory.available_bytes() < 1 << 50


@pytest.mark.parametrize(("limit", "expected"), [("3000", 1000), ("500", 0), ("max", None)])
def test_a_containers_limit_counts(tmp_path: Path, limit: str, expected: int | None) -> None:
    (tmp_path / "memory.max").write_text(limit + "\n")
    (tmp_path / "memory.current").write_text("2000\n")
    assert _memory._free_by_container(tmp_path) == expected
    assert _memory._free_by_container(tmp_path / "absent") is None


def test_a_wide_operation_is_refused_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest values come after the last activation: 30 units become 3000 outputs at every vertex."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Linear(30, 3000))
    vertices = len(partition(model, BOX).vertices)
    widest = vertices * 3000 * 8
    monkeypatch.setattr(_memory, "_ASK_FROM", 0)
    monkeypatch.setattr(_memory, "available_bytes", lambda: widest)
    with pytest.raises(TooLargeError, match=r"at activation layer 1 .*values of 2 at 352 vertices.*smaller domain"):
        partition(model, BOX)
    monkeypatch.setattr(_memory, "available_bytes", lambda: 2 * widest)
    assert len(partition(model, BOX).vertices) == vertices


def test_views_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 30), nn.ReLU(), nn.Unflatten(1, (5, 6)), nn.Flatten(), nn.Linear(30, 1))
    expected = partition(model, BOX)
    monkeypatch.setattr(_memory, "_ASK_FROM", 0)
    monkeypatch.setattr(_memory, "available_bytes", lambda: int(2 * len(expected.vertices) * 30 * 8 / 0.8) + 8)
    assert partition(model, BOX).region_counts == expected.region_counts

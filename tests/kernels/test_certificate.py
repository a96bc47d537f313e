"""What the certificate says of itself, refuses, and makes of outputs that are nothing but rounding."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.regions import Partition, Slice, certificate, partition

BOX = Slice.box(-2, 2, -2, 2)


def small(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)).double()


def cancelling() -> nn.Sequential:
    """Four units minus the same four summed in another order: zero but for rounding."""
    model = small()
    with torch.no_grad():
        model[0].weight[4:] = 3 * model[0].weight[:4]
        model[0].bias[4:] = 3 * model[0].bias[:4]
        model[2].weight[:, 4:] = -model[2].weight[:, :4] / 3
        model[2].bias.zero_()
    return model


def test_an_output_that_is_zero_but_for_rounding_holds() -> None:
    found = partition(cancelling(), BOX)
    assert 0 < np.abs(found.outputs).max() < 1e-14
    assert found.certify(grid=20).holds


@pytest.mark.parametrize("attribute", ["slopes", "offsets"])
def test_wrong_maps_are_found(attribute: str) -> None:
    found = partition(small(), BOX)
    maps = {"slopes": found.slopes, "offsets": found.offsets}
    maps[attribute] = maps[attribute] + 1e-6
    object.__setattr__(found, "_maps", (maps["slopes"], maps["offsets"]))
    assert not found.certify(grid=20).holds


def test_a_wrong_domain_is_found() -> None:
    found = partition(small(), BOX)
    assert found.certify(grid=20).holds
    smaller = Partition(
        **{f.name: getattr(found, f.name) for f in dataclasses.fields(found)} | {"domain": Slice.box(-2, 2, -2, 1.99)}
    )
    assert not smaller.certify(grid=20).holds


def test_it_says_how_it_was_made() -> None:
    made = partition(small(), BOX).certify(grid=10, samples=50, seed=3, executor=None)
    assert made.settings == {"grid": 10, "samples": 50, "seed": 3}
    assert "holds" in str(made)


@pytest.mark.parametrize("bad", [{"grid": -1}, {"samples": -1}])
def test_bad_numbers_of_points(bad: dict[str, int]) -> None:
    with pytest.raises(NetgeomError, match=next(iter(bad))):
        partition(small(), BOX).certify(**bad)


def test_no_points_at_all() -> None:
    made = partition(small(), BOX).certify(grid=0, samples=0)
    assert made.grid_checked == 0 and made.value_error == 0 and made.slope_error == 0 and made.holds


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = partition(small(), BOX)
    whole = found.certify(grid=20)
    monkeypatch.setattr(certificate, "_NUMBERS_AT_ONCE", 64)
    blocks = found.certify(grid=20)
    assert blocks.holds and (blocks.grid_checked, blocks.shrunk_checked) == (whole.grid_checked, whole.shrunk_checked)


def test_cancel_is_heard_among_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    found, cancel = partition(small(), BOX), Cancel()

    def listen(progress: Progress) -> None:
        if progress.text.startswith("values"):
            cancel.set()

    with pytest.raises(Cancelled):
        found.certify(grid=10, progress=Progress(listen), cancel=cancel)

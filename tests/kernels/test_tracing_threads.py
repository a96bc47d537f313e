"""Reading a model disturbs no network that runs in another thread meanwhile: training, or another widget's worker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch

from netgeom_widgets.kernels.regions import Slice, partition
from tests.networks import mlp

BOX = Slice.box(-1, 1, -1, 1)


class Watched(torch.nn.Module):
    """While its forward runs, another thread calls another network."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(OTHER, torch.ones(1, 2)).result().shape == (1, 3)
        return torch.relu(self.linear(x))


OTHER = mlp(2, 4, 3)


def test_another_network_runs_while_a_model_is_read() -> None:
    assert partition(Watched(), BOX).region_counts[0] in (1, 2)


def test_models_read_at_the_same_time_leave_torch_as_it_was() -> None:
    call = torch.nn.Module.__call__
    nets = [mlp(2, 8, 8, 1, seed=seed) for seed in range(8)]
    expected = [partition(net, BOX).n_regions for net in nets]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda net: partition(net, BOX).n_regions, nets * 3)) == expected * 3
    assert torch.nn.Module.__call__ is call

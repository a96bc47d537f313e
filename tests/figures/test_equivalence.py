"""figures.equivalence: one call, from what the kernels give to a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence import equivalence_plot
from netgeom_widgets.kernels.equivalence import difference_basis, find_elements, relative_loss_slice, symmetry_orbit
from tests.figures.drawn import HOSTILE, caption, texts, whole


class Hyperbola(torch.nn.Module):
    """F = a relu(w x): the class is a w = c, w > 0."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(1, 1, bias=False), torch.nn.ReLU(), torch.nn.Linear(1, 1, bias=False)
        )

    def forward(self, x):
        return self.net(x)


@pytest.fixture(scope="module")
def found():
    torch.manual_seed(0)
    net, x = Hyperbola().double(), torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    y = torch.relu(x)
    return net, x, y, find_elements(net, x, y, 6)


def test_what_kernels_give_becomes_a_picture(found):
    net, x, y, elements = found
    member = elements.converged[0]
    basis = difference_basis(member, member + np.eye(2))
    axis = np.linspace(-1.5, 1.5, 21)
    drawn = relative_loss_slice(net, x, y, member, basis, [axis, axis])
    orbit = symmetry_orbit(net, member, 0, np.geomspace(0.5, 2, 30))
    assert np.abs(orbit[:, 0] * orbit[:, 1] - 1).max() < 1e-8
    root = equivalence_plot(
        drawn, elements=elements, curves={"orbit: unit 0": orbit, HOSTILE: orbit}, epsilon=1e-2, names=["w", HOSTILE]
    )
    slice_plot, history = root.children[0].children[0], root.children[1].children[0]
    assert {"converged", "exact orbit", "class, traced", "c1: w (basis units)"} <= texts(root) and whole(root)
    assert "elements lie in this plane" not in caption(slice_plot)  # all of R^2 is in it
    assert history.title.text == "Loss of every start"
    alone = equivalence_plot(drawn, elements=np.stack([member, [np.nan, 1.0]]), title=HOSTILE, note=HOSTILE)
    assert "element" in texts(alone) and whole(alone)
    line = relative_loss_slice(net, x, y, member, basis[:1], [axis])
    assert whole(equivalence_plot(line, epsilon=1e-3, names=["w"]))
    with pytest.raises(NetgeomError, match="no place for elements"):
        equivalence_plot(line, elements=elements)

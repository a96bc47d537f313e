"""The README's way from GENNI to here is run as it stands; what its table names exists and agrees."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import netgeom_widgets as ng
from netgeom_widgets import figures
from netgeom_widgets.kernels import equivalence

README = Path(__file__).parents[1] / "README.md"
SECTION = README.read_text().split("## Coming from GENNI")[1].split("\n## ")[0]
USE = README.read_text().split("<!-- test: equivalence -->")[1].split("```python\n")[1].split("```")[0]


def two_units() -> nn.Module:
    return nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))


@pytest.fixture
def widgets(monkeypatch):
    """Those that a piece of the README makes; closed afterwards."""
    made, widget = [], ng.EquivalenceSliceViewer
    monkeypatch.setattr(ng, "EquivalenceSliceViewer", lambda *a, **k: made.append(widget(*a, **k)) or made[-1])
    yield made
    for one in made:
        one.close()


def test_the_whole_way(widgets):
    """Small, and against its own steps: SGD one network after the other, QR, a grid in the order of its product."""
    torch.manual_seed(10)
    teacher, X = two_units(), torch.randn(600, 1)
    code = SECTION.split("```python\n")[1].split("```")[0]
    for theirs, small in (
        ("1000}", "9}"),
        ("X, None, 10", "X, None, 4"),
        ("2, 35)", "2, 5)"),
        ("None, 64)", "None, 8)"),
    ):
        assert theirs in code
        code = code.replace(theirs, small)
    names = {"ng": ng, "np": np, "teacher": teacher, "X": X}
    exec(code, names)  # noqa: S102 - the README's own code
    elements, found, basis = names["elements"], names["found"], names["basis"]
    net, x = two_units().double(), X.double()
    y = teacher.double()(x).detach()
    for start, end in zip(elements.start, elements.parameters, strict=True):
        nn.utils.vector_to_parameters(torch.from_numpy(start), net.parameters())
        optimizer = torch.optim.SGD(net.parameters(), 0.015)
        for step in range(9):
            batch = slice(256 * (step % 3), 256 * (step % 3 + 1))
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x[batch]), y[batch]).backward()
            optimizer.step()
        np.testing.assert_allclose(nn.utils.parameters_to_vector(net.parameters()).detach(), end, atol=1e-12)
    theta = elements.parameters
    columns = np.linalg.qr((theta[1:3] - theta[0]).T)[0]
    np.testing.assert_allclose(np.abs(basis @ columns), np.eye(2), atol=1e-9)  # its signs are as they come
    for i, c1 in enumerate(np.linspace(-2, 2, 5)):
        for j, c2 in enumerate(np.linspace(-2, 2, 5)):
            point = torch.from_numpy(theta[0] + c1 * basis[0] + c2 * basis[1])
            nn.utils.vector_to_parameters(point, net.parameters())
            loss = (net(x[:500]) - y[:500]).square().mean().item()
            np.testing.assert_allclose(found.loss[i, j], loss, rtol=1e-9)
    assert len(names["subset"]) == (found.loss <= 0.05).sum()
    np.testing.assert_allclose(names["where"][1:3], (theta[1:3] - theta[0]) @ basis.T, atol=1e-9)
    assert names["distance"][:3].max() < 1e-9 < names["distance"][3]
    (viewer,) = widgets
    viewer.wait(60)
    assert viewer.elements is not None and len(names["members"]) > 0


def test_the_usage(widgets):
    names = {"ng": ng, "np": np, "torch": torch, "net": two_units(), "X": torch.randn(50, 1)}
    exec(USE, names)  # noqa: S102 - the README's own code
    widgets[0].wait(60)
    assert names["space"].dimension >= 2 and names["plane"].loss.shape == (51, 51)
    assert len(names["labels"]) == 20 and (names["labels"] >= 0).sum() == len(names["elements"].converged)


def test_what_the_table_names_is_there():
    ours = "".join(line.split("|")[2] for line in SECTION.splitlines() if line.startswith("| "))
    pictures = re.findall(r"`figures\.(\w+)\.(\w+)\(", SECTION)
    assert len(pictures) == 5
    for module, name in pictures:
        __import__(f"netgeom_widgets.figures.{module}")
        assert hasattr(getattr(figures, module), name), name
    calls = set(re.findall(r"`([a-z_]+)[(`]", ours)) - {"axes", "n", "targets", "found"}
    assert len(calls) >= 15
    for name in calls:
        assert hasattr(equivalence, name), name
    for name in re.findall(r"\bng\.([A-Za-z_]\w*)", SECTION):
        assert hasattr(ng, name), name
    for name in re.findall(r"\bviewer\.(\w+)", SECTION):
        assert hasattr(ng.EquivalenceSliceViewer, name), name
    options = set(re.findall(r"`(\w+)=", ours)) - {"axes", "log"}
    known = set(inspect.signature(equivalence.find_elements).parameters)
    assert len(options) > 5 and options <= known, options - known
    found = equivalence.find_elements(two_units(), torch.randn(40, 1), None, 2, max_iterations=1)
    for name in re.findall(r"`\.(\w+)(?:\(\))?`", ours.replace("`.npy`", "")) + re.findall(r"elements\.(\w+)", SECTION):
        assert hasattr(found, name), name
    for link in re.findall(r"\]\((notebooks/.*?)\)", SECTION):
        assert (README.parent / link).exists(), link

"""kernels/equivalence/assessment.py, and searches that go on from where an earlier one was stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress
from netgeom_widgets.kernels.equivalence import Elements, assess_elements, find_elements, relative_loss
from netgeom_widgets.kernels.equivalence.search import Search
from tests.kernels.equivalence_models import mlp, parameters_of

_X = torch.randn(40, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
_TANH = mlp((2, 3, 1), "tanh", seed=3)


def test_what_is_given_is_judged_as_a_search_judges_it(tmp_path):
    found = find_elements(_TANH, _X, None, 8, max_iterations=60, seed=1)
    given = np.concatenate([found.parameters, parameters_of(_TANH)[None], np.zeros((1, found.parameters.shape[1]))])
    judged = assess_elements(_TANH, _X, None, given)
    expected = relative_loss(_TANH, _X, None, given).loss
    assert np.allclose(judged.loss**0.5, expected**0.5, rtol=1e-12, atol=1e-14)
    assert judged.status[8] == "converged" and judged.status[9] != "converged"
    assert np.array_equal(judged.is_member[:8], found.is_member) and judged.settings["method"] == "given"
    judged.save(tmp_path / "given.npz")
    assert np.array_equal(Elements.load(tmp_path / "given.npz").status, judged.status)
    with pytest.raises(NetgeomError, match="not finite"):
        assess_elements(_TANH, _X, None, np.full((1, given.shape[1]), np.nan))


def test_a_search_goes_on_where_it_was_stopped():
    whole = Search(_TANH, _X, None, 10, "levenberg-marquardt", 1e-20, 40, None, 5)
    settled, cancel = {}, Cancel()

    def take(element):
        settled[element.index] = element
        if len(settled) == 4:
            cancel.set()

    with pytest.raises(Cancelled):
        whole.run(take, Progress(), cancel)
    part, before, again = whole.gathered(settled), sorted(settled), []

    def take_more(element):
        settled[element.index] = element
        again.append(element.index)

    found = whole.run(take_more, Progress(), Cancel(), settled=dict(settled))
    assert sorted([*before, *again]) == list(range(10)) and len(before) >= 4
    assert np.array_equal(part.parameters, found.parameters[before])
    direct = find_elements(_TANH, _X, None, 10, max_iterations=40, seed=5)
    assert found.status.tolist() == direct.status.tolist() and np.allclose(found.parameters, direct.parameters)
    assert len(whole.run(None, Progress(), Cancel(), settled=settled)) == 10

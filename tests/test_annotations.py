"""The annotations of the kernels are checked in tests; without this a broken import hook would go unnoticed."""

from __future__ import annotations

import jaxtyping
import numpy as np
import pytest

from netgeom_widgets.kernels import regions, similarity


def test_a_wrong_shape_is_found() -> None:
    from netgeom_widgets.kernels.regions.measures import successors

    assert successors(np.array([0, 3])).tolist() == [1, 2, 0]
    with pytest.raises(jaxtyping.TypeCheckError, match="offsets"):
        successors(np.zeros((2, 2), dtype=np.int64))


def test_public_names_of_the_kernels_are_documented() -> None:
    for kernel in (regions, similarity):
        assert all(getattr(kernel, name).__doc__ for name in kernel.__all__)

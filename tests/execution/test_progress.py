"""Tests of netgeom_widgets/execution/progress.py."""

from __future__ import annotations

import re

import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Cancelled, Progress, as_cancel, as_progress


def test_progress_keeps_what_is_left_out_and_tells_its_listener():
    seen = []
    progress = Progress(lambda p: seen.append((p.done, p.total, p.text)))
    progress.update(total=10, text="layer 1")
    progress.update(5)
    progress.update(text="layer 2")
    assert seen == [(0, 10, "layer 1"), (5, 10, "layer 1"), (5, 10, "layer 2")]


@pytest.mark.parametrize(("done", "total", "fraction"), [(0, 0, 0), (5, 0, 0), (5, 10, 0.5), (12, 10, 1), (-1, 10, 0)])
def test_fraction_stays_between_0_and_1(done, total, fraction):
    progress = Progress()
    progress.update(done, total)
    assert progress.fraction == fraction


def test_cancel_raises_at_the_checkpoint_only_when_set():
    cancel = Cancel()
    cancel.checkpoint()
    cancel.set()
    assert cancel.is_set()
    with pytest.raises(Cancelled):
        cancel.checkpoint()


def test_as_progress_and_as_cancel_accept_what_the_keywords_take(capsys):
    progress, cancel = Progress(), Cancel()
    assert as_progress(progress) is progress
    assert as_cancel(cancel) is cancel
    as_progress(None).update(1, 2)
    as_progress(False).update(1, 2)
    assert not as_cancel(None).is_set()
    assert capsys.readouterr().err == ""


def test_true_is_a_tqdm_bar(capsys):
    progress = as_progress(True)
    progress.update(0, 2, "cutting")
    progress.update(2)
    assert "cutting" in capsys.readouterr().err


def test_nonsense_is_refused():
    with pytest.raises(
        NetgeomError, match=re.escape("progress is not understood. Expected: None, True or a Progress. Got: int.")
    ):
        as_progress(1)
    with pytest.raises(
        NetgeomError, match=re.escape("cancel is not understood. Expected: None or a Cancel. Got: bool.")
    ):
        as_cancel(True)

"""figures of what stands beside a slice: lines, histories, the function at a point, the spectrum, the table."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures.equivalence_elements import ElementTable
from netgeom_widgets.figures.equivalence_function import FunctionPicture
from netgeom_widgets.figures.equivalence_history import HistoryPicture
from netgeom_widgets.figures.equivalence_lines import LossLinePicture
from netgeom_widgets.figures.equivalence_spectrum import SpectrumPicture
from netgeom_widgets.kernels.equivalence.generators import KINDS
from tests.figures.drawn import HOSTILE, caption, tap, texts, validated, whole
from tests.figures.slices import hyperbola, loss_slice

# ---- slices along lines


def test_lines_show_a_slice_each():
    c, part, taps = np.linspace(-2, 2, 41), LossLinePicture(), []
    part.on_point(taps.append)
    slices = {"null": loss_slice((c**2 - 0.25) ** 2, (c,)), HOSTILE: loss_slice(np.abs(c), (c,))}
    slices["null"].relative_loss[0] = np.nan
    part.show(slices, epsilon=0.01, note=HOSTILE)
    assert np.allclose(part._lines[1].data_source.data["y"], np.maximum(np.log10(np.maximum(np.abs(c), 1e-16)), -16))
    inside = int((slices["null"].relative_loss <= 0.01).sum() + (np.abs(c) <= 0.01).sum())
    assert f"{inside} of 82 points have R ≤ 0.01." in caption(part.root)
    assert "Gaps: no finite value (1 points)." in caption(part.root) and whole(part.root)
    assert part._span.visible and part._span.location == -2 and "null" in texts(part.root)
    tap(part.root, 0.5, -3.0)
    part.mark_point(0.5)
    assert taps == [0.5] and part._point.location == 0.5
    part.set_epsilon(None)
    part.show(slices["null"], partial=True)
    assert len(part._lines[0].data_source.data["x"]) == 40 and "Gaps" not in caption(part.root)
    part.show(slices["null"])
    assert not part._span.visible and not len(part._lines[1].data_source.data["x"]) and whole(part.root)
    for wrong in ({}, hyperbola(), dict.fromkeys(map(str, range(13)), slices["null"])):
        with pytest.raises(NetgeomError, match="no slices along single"):
            part.show(wrong)
    with pytest.raises(NetgeomError, match="bound of a loss"):
        part.set_epsilon(-1)


# ---- histories


def test_histories_end_where_the_starts_did_and_say_what_became_of_them():
    history = np.array([[1.0, 1e-2, 1e-20], [1.0, 0.5, np.nan], [np.nan, np.nan, np.nan], [1, np.inf, np.nan]])
    status = np.array(["converged", "local_minimum", "unfinished", "diverged"])
    found = SimpleNamespace(
        history=history, history_iterations=np.array([0, 10, 20]), status=status, zero_loss=0.45, variance=0.5,
        relative_loss=np.array([1e-22, 0.5, np.nan, np.inf]), settings={"tolerance": 1e-20},
    )  # fmt: skip
    part, taps = HistoryPicture(), []
    part.on_element(taps.append)
    part.show(found, note=HOSTILE)
    lines = part._lines.data
    assert [len(x) for x in lines["xs"]] == [3, 2, 0, 1] and np.allclose(lines["ys"][0], [0, -2, -20])
    assert part._ends.data["id"] == [0, 1, 3] and lines["dash"][:2] == ["solid", "dashed"]
    assert [span.location for span in part._spans] == pytest.approx([-20, np.log10(0.9), 0])
    assert {"converged: 1", "local minimum: 1", "zero: R = 0.9", "constant: R = 1"} <= texts(part.root)
    assert "1 without a finite value." in caption(part.root) and whole(part.root)
    tap(part.root, 10, float(np.log10(0.5)))
    part.pick(1)
    assert taps == [1] and part._bold.data["id"] == [1]
    part.draw(history[1:], [0, 10, 20], status[1:], found.relative_loss[1:], ids=[1, 2, 3])
    assert part._bold.data["id"] == [1] and not part._spans[0].visible  # stays picked
    many = np.random.default_rng(0).random((300, 50))
    part.draw(many, np.arange(50), ["odd"] * 300, many[:, -1])
    assert part._drawn.glyph.line_width < 1 and "element: 300" in texts(part.root) and whole(part.root)
    with pytest.raises(NetgeomError, match="do not belong together"):
        part.draw(many, np.arange(49), ["dead"] * 300, many[:, -1])


# ---- the function at a point


def test_one_input_gives_a_curve_over_the_targets():
    x = np.array([1.0, -1.0, 0.5])
    part, taps = FunctionPicture(x[:, None], np.maximum(x, 0)), []
    part.on_sample(taps.append)
    part.show(2 * x[:, None], relative_loss=1e-20, loss=0.25, note=HOSTILE)
    assert part.is_curve and part._curves.data["xs"][0].tolist() == [-1, 0.5, 1]
    assert part._curves.data["ys"][0].tolist() == [-2, 1, 2]
    assert caption(part.root).startswith("Here R = 1e−20, J = 0.25.") and whole(part.root)
    part.show(2 * x, curve=(np.linspace(-1, 1, 9), np.zeros(9)))
    assert len(part._curves.data["xs"][0]) == 9
    tap(part.root, 1.0, 1.0)
    part.mark_samples([2, 7])
    assert taps == [0] and part._rings.data == {"x": [0.5], "y": [0.5]}
    part.clear("No point.")
    assert not part._curves.data["xs"] and caption(part.root) == "No point." and whole(part.root)
    with pytest.raises(NetgeomError, match="not those of these samples"):
        part.show(np.zeros((3, 2)))


def test_several_inputs_give_output_against_target():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(400, 12))
    part = FunctionPicture(rng.normal(size=(400, 2, 2)), targets)
    outputs = targets + 1
    outputs[0, 0] = np.nan
    part.show(outputs, relative_loss=1.0)
    data = part._marks.data
    assert (
        not part.is_curve
        and len(data["x"]) == 10 * 200
        and np.allclose(data["y"] - data["x"], 1, equal_nan=True) is False
    )
    moved = (data["y"] - data["x"])[1:]
    assert np.allclose(moved, 1) and data["id"][:3].tolist() == [0, 2, 4]
    assert "Shown: 200 of 400 samples. Shown: outputs 0 to 9 of 12. 1 outputs are not finite." in caption(part.root)
    assert "output 9" in texts(part.root) and whole(part.root)
    part.clear("")
    assert np.isnan(part._marks.data["y"]).all()


# ---- the spectrum


def null_space(**changes):
    values = np.array([10.0, 1.0, 1e-3, 1e-14, 0.0])
    found = {
        "singular_values": values, "rank": 3, "dimension": 4, "threshold": 1e-8, "gap": 1e11, "estimated": False,
        "explained": {"scaling": 3, "unexplained": 1}, "bounds": (4, 4), "n_parameters": 7, "n_samples": 5,
        "half_dimension": 4, "notes": (HOSTILE,),
    }  # fmt: skip
    return SimpleNamespace(**(found | changes))


def test_a_spectrum_shows_its_gap_and_what_explains_the_rest():
    part = SpectrumPicture()
    part.show(null_space(), note=HOSTILE)
    data = part._values.data
    assert np.allclose(data["y"], [1, 0, -3, -14, -15]) and data["kind"] == ["moves outputs"] * 3 + ["null"] * 2
    assert (part._null.left, part._null.right) == (3.5, 7.5) and part._threshold.location == -8
    assert part._gap.data["low"] == [-14] and part._gap.data["text"] == ["gap 1e+11"]
    assert part._explained._parts.data["right"].tolist() == [3, 4]
    said = caption(part.plot)
    assert said.startswith("4 of 7 directions are null on these 5 samples, gap 1e+11. 2 are null because")
    assert "Half the samples give the same number." in said and "scaling: 3" in texts(part.root)
    part.show(null_space(half_dimension=5))
    assert "On half the samples 5 are: the number depends on the samples!" in caption(part.plot)
    none = null_space(
        singular_values=np.array([3.0, 2.0]), rank=2, dimension=0, gap=np.inf, explained={}, n_parameters=2,
        half_dimension=0, bounds=(0, 0),
    )  # fmt: skip
    part.show(none)
    assert not part._null.visible and "no value near the threshold" in caption(part.plot) and validated(part.root)
    part.show(null_space(dimension=None, rank=None, gap=np.nan, explained={}, estimated=True, bounds=(3, 6)))
    assert "Estimated (matrix-free): between 3 and 6 of 7" in caption(part.plot) and validated(part.root)
    part.show(null_space(singular_values=np.zeros(3), rank=0, dimension=7, gap=np.inf, threshold=0.0))
    assert whole(part.root)
    part.show(null_space(dimension=7, explained=dict.fromkeys((*KINDS, "unexplained"), 1)))
    assert len(set(part._explained._parts.data["fill"])) == len(KINDS) + 1, "a kind of generator without a colour"
    part.clear("No element.")
    assert caption(part.plot) == "No element." and not len(part._values.data["x"])


# ---- the table


def test_elements_are_rows_that_can_be_picked():
    part, picked = ElementTable(), []
    part.on_pick(picked.append)
    columns = {
        "status": ["converged", "dead", "converged"],
        "relative_loss": [1e-22, 1.0, 1e-23],
        "dead_units": [0, -1, 2],
    }
    part.show(columns, ids=[4, 5, 6], distance=[0, 1, 2], clusters=[0, -1, 0])
    data = part._table.data
    assert data["kind"] == ["new", "no member", "copy of 4"] and data["dead_units"] == ["0", "not known", "2"]
    shown = {column.field for column in part.root.columns if column.visible}
    assert shown == {"element", "status", "relative_loss", "distance", "kind", "dead_units"} and validated(part.root)
    part.root.source.selected.indices = [2]
    assert picked == [6]
    part.pick(5)
    assert part.root.source.selected.indices == [1] and picked == [6]
    part.pick(99)
    assert part.root.source.selected.indices == []
    with pytest.raises(NetgeomError, match="do not belong together"):
        part.show(columns, distance=[1.0])

"""figures/transitions.py and its parts: what is drawn follows from the arrays, and what did not change is not sent."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bokeh.core.serialization import Serializer
from bokeh.core.validation import check_integrity
from bokeh.document import Document
from bokeh.document.events import DocumentPatchedEvent
from bokeh.models import HoverTool
from hypothesis import given
from hypothesis import strategies as st

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.html import to_html
from netgeom_widgets.figures.plots import literal
from netgeom_widgets.figures.sample_labels import SampleLabels
from netgeom_widgets.figures.sprites import SpriteSheet
from netgeom_widgets.figures.static import render, to_figure
from netgeom_widgets.figures.static.ticks import tick_positions
from netgeom_widgets.figures.transition_curves import CurvesPart, RecurrencePart, is_share
from netgeom_widgets.figures.transition_matrix import MatrixPart
from netgeom_widgets.figures.transition_neighbours import NeighboursPart
from netgeom_widgets.figures.transition_plot import StepAxis, step_names, transition_names
from netgeom_widgets.figures.transition_samples import ProjectionPart, SamplesPart
from netgeom_widgets.figures.transitions import PANELS, TransitionFigure, heat_map
from tests.figures.drawn import HOSTILE, tap, texts, validated

STEPS = np.array([0, 1, 2, 4, 8])


def distances(m: int, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(m, 3))
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def sheet(n: int = 60) -> SpriteSheet:
    return SpriteSheet.of(np.random.default_rng(1).random((n, 8, 8)), ids=range(100, 100 + n))


def filled(sprites: SpriteSheet | None = None, n: int = 60, words: str = "") -> TransitionFigure:
    """Every part drawn; `words` in each place where a user's text may come."""
    rng = np.random.default_rng(0)
    figure = TransitionFigure(sprites=sprites, texts={100: words})
    ids, labels = np.arange(100, 100 + n), [f"{words}{i % 3}" for i in range(n)]
    figure.matrix.draw(
        distances(4), STEPS, name=f"transition distance{words}", unit=words, of_transitions=True, note=words
    )
    figure.matrix.pin((0, 2))
    figure.curves.draw(STEPS, rng.random(4), {f"accuracy{words}": rng.random(5), f"loss{words}": 3 * rng.random(5)})
    figure.samples.draw(
        ids, rng.random(n), rng.random(n), scalar=f"entropy{words}", unit=words, labels=labels, steps=(1, 4), note=words
    )
    figure.classes.draw(rng.integers(0, 9, (3, 3)), steps=(1, 4), names=[f"{words}{i}" for i in range(3)], note=words)
    figure.projection.draw(
        rng.normal(size=(n, 2)), step=4, limits=(-3, 3, -3, 3), ids=ids, labels=labels, sample=101, note=words
    )
    figure.recurrence.draw(
        np.arange(4) / 4, rng.random(4), entropy=rng.random(4), determinism=rng.random(4), width=0.25, name=f"D{words}"
    )
    figure.neighbours.draw(
        100,
        [(101, 0.5, "kept"), (102, 0.7, "lost")],
        [(101, 0.9, "kept"), (103, 1.0, "gained")],
        steps=(1, 4),
        distance=f"distance{words}",
        labels={100: words, 101: words},
    )
    return figure


class Wire:
    """Bytes a document sends to a browser."""

    def __init__(self, root) -> None:
        self.document = Document()
        self.document.add_root(root)
        self.document.models.flush_synced()
        self.document.on_change_dispatch_to(self)
        self.bytes = 0

    def _document_patched(self, event: DocumentPatchedEvent) -> None:
        serializer = Serializer(references=self.document.models.synced_references)
        encoded = serializer.encode([event])
        self.document.models.flush_synced(lambda model: not serializer.has_ref(model))
        buffers = serializer.buffers
        self.bytes += len(json.dumps(encoded, default=str)) + sum(len(buffer.to_bytes()) for buffer in buffers)

    def sent(self, act) -> int:
        before = self.bytes
        act()
        return self.bytes - before


# ---- words


def test_steps_and_transitions_have_names():
    assert step_names(STEPS) == ["0", "1", "2", "4", "8"] and transition_names(STEPS) == ["0→1", "1→2", "2→4", "4→8"]
    assert transition_names([0, 5000, 10_000]) == ["0→5k", "5k→10k"] and step_names([0, 10_001]) == ["0", "10001"]
    assert transition_names([7]) == [] and step_names([]) == []


def test_the_axis_of_snapshots_puts_cells_over_the_points_of_the_curves():
    axis = StepAxis()
    axis.set(STEPS, True)
    assert (axis.range.start, axis.range.end, axis.cells) == (0, 4, 4)
    axis.set(STEPS, False)
    assert (axis.range.start, axis.range.end, axis.cells) == (-0.5, 4.5, 5)
    axis.set(np.array([3]), True)
    assert (axis.range.start, axis.range.end, axis.names) == (-0.5, 0.5, [])


# ---- matrix


def test_the_matrix_is_drawn_from_the_top_with_its_transitions_named():
    part, values = MatrixPart(StepAxis()), distances(4)
    part.draw(values, STEPS, name="transition distance", unit="l2", of_transitions=True)
    data = part._image.data
    assert (data["image"][0] == values.astype(np.float32)).all() and (data["dw"], data["dh"]) == ([4], [4])
    assert part.root.y_range.start > part.root.y_range.end and part.root.x_range.start < part.root.x_range.end
    for axis in (part.root.xaxis[0], part.root.yaxis[0]):
        assert axis.ticker.ticks == [0.5, 1.5, 2.5, 3.5] and axis.major_label_overrides[2.5] == "2→4"
    assert {"Transition distance", "transition distance, l2 (dark: alike)", "2→4"} <= texts(part.root)


def test_dark_means_alike_for_distances_and_similarities():
    part = MatrixPart(StepAxis())
    part.draw(distances(4), STEPS, name="d", of_transitions=True)
    dark = part._mapper.palette[0]
    part.draw(1 / (1 + distances(5)), STEPS, name="CKA", of_transitions=False, similarity=True)
    assert part._mapper.palette[-1] == dark
    assert part._hover.tooltips == [("snapshots", "$y{row} and $x{column}"), ("CKA", "@image{%.4g}")]


@pytest.mark.parametrize(
    ("values", "steps", "said"),
    [
        (np.zeros((0, 0)), [0], "no transition yet"),
        (np.zeros((1, 1)), [0, 1], "only one transition, and nothing to compare it with yet."),
        (np.zeros((2, 2)), [0, 1, 2], "All values are equal: 0"),
        (np.full((2, 2), np.nan), [0, 1, 2], "No cell has a value"),
        (np.array([[0, np.nan], [1, 0]]), [0, 1, 2], "Grey: no value"),
        (np.array([[0, np.inf], [1, 0]]), [0, 1, 2], "Grey: no value"),
        (np.full((2, 2), 1e300), [0, 1, 2], "equal"),
    ],
)
def test_odd_matrices_are_drawn_and_explained(values, steps, said):
    part = MatrixPart(StepAxis())
    part.draw(values, np.array(steps), name="d", of_transitions=True)
    assert said in part._caption.text.replace("\n", " ") and part._mapper.low < part._mapper.high
    validated(part.root)
    assert render(part.root)


def test_a_matrix_of_other_steps_is_refused():
    with pytest.raises(NetgeomError, match=r"shape \(4, 4\) for 5 snapshots"):
        MatrixPart(StepAxis()).draw(distances(5), STEPS, name="d", of_transitions=True)


def test_the_pinned_cell_is_outlined_with_its_mirror_and_said():
    part, values = MatrixPart(StepAxis()), distances(4)
    part.draw(values, STEPS, name="d", of_transitions=True)
    part.pin((0, 2))
    pin, mirror = (source.data for source in part._pins)
    assert (pin["x"], pin["y"]) == ([2.5], [0.5]) and (mirror["x"], mirror["y"]) == ([0.5], [2.5])
    assert f"Pinned: 0→1 and 2→4: {values[0, 2]:.4g}." in part._caption.text
    part.pin((1, 1))
    assert part._pins[1].data["x"] == []
    part.pin((9, 9))
    assert part._pins[0].data["x"] == [] and part._caption.text == ""
    part.pin(None)
    assert part.cell is None


def test_a_tap_tells_row_and_column():
    part, found = MatrixPart(StepAxis()), []
    part.on_cell(lambda a, b: found.append((a, b)))
    part.draw(distances(4), STEPS, name="d", of_transitions=True)
    tap(part.root, x=2.7, y=0.2)
    part.draw(distances(5), STEPS, name="d", of_transitions=False)
    tap(part.root, x=2.7, y=-0.2)
    tap(part.root, x=9, y=0)
    tap(part.root, x=-0.6, y=0)
    assert found == [(0, 2), (0, 3)]


# ---- curves


def test_churn_lies_between_snapshots_and_metrics_on_them():
    part = CurvesPart(StepAxis())
    part.draw(STEPS, np.arange(4) / 4, {"accuracy": np.arange(5) / 5, "loss": np.arange(5.0)}, step_index=2)
    sources = {key: pair[0].data_source.data for key, pair in part._lines._lines.items()}
    assert sources[0, False]["x"].tolist() == [0.5, 1.5, 2.5, 3.5] and sources[0, False]["at"][2] == "2→4"
    assert sources[1, False]["x"].tolist() == [0, 1, 2, 3, 4] and sources[2, True]["name"][0] == "loss"
    assert (
        part._now.span.visible
        and part._now.span.location == 2
        and part.root.xaxis[0].axis_label == "step (dashed line: 2)"
    )
    assert {"churn", "accuracy", "loss ▸", "▸ loss", "churn / accuracy"} <= texts(part.root)
    part.draw(STEPS, None, {"loss": np.arange(5.0)})
    visible = {key for key, (line, _) in part._lines._lines.items() if line.visible}
    assert visible == {(0, True)} and not part._now.span.visible
    part.draw(STEPS, None, {})
    assert not part._lines._legend.visible and not part._lines._right_axis.visible
    validated(part.root)


def test_accuracy_and_its_kind_are_shares():
    assert is_share("val_acc", np.array([0, 0.5, np.nan])) and is_share("F1", np.array([]))
    assert not is_share("accuracy", np.array([10.0, 93.0])) and not is_share("loss", np.array([0.5]))
    assert not is_share("score_loss", np.array([0.5]))


def test_more_metrics_than_looks_are_named():
    part = CurvesPart(StepAxis())
    part.draw(STEPS, None, {f"m{i}": np.arange(5.0) for i in range(8)})
    assert part._caption.text == "Not drawn: m6, m7."


def test_curves_of_another_length_are_refused():
    part = CurvesPart(StepAxis())
    for churn, metrics in ((np.zeros(5), {}), (None, {"loss": np.zeros(4)})):
        with pytest.raises(NetgeomError, match="does not fit the axis"):
            part.draw(STEPS, churn, metrics)


def test_many_snapshots_do_not_get_a_line_each():
    part, n = CurvesPart(StepAxis()), 120
    for snapshots in (5, n, 5, n):
        part.draw(10 * np.arange(snapshots), np.zeros(snapshots - 1), {})
    axis = part.root.xaxis[0]
    ticks, _ = tick_positions(axis.ticker, *axis.bounds)
    assert ticks == list(range(0, n, 10)) and {"0", "500", "1100"} <= texts(part.root)
    assert part.root.xgrid[0].bounds == axis.bounds == (0, n - 1)
    near, _ = tick_positions(axis.ticker, 50, 57)
    assert near == list(range(50, 58)), "zoomed in, no snapshot is passed over"
    for last in range(12, 1200):
        assert 5 <= len(tick_positions(axis.ticker, 0, last)[0]) <= 14


def test_a_tap_on_the_curves_tells_the_nearest_snapshot():
    part, found = CurvesPart(StepAxis()), []
    part.on_step(found.append)
    part.draw(STEPS, np.zeros(4), {})
    for x in (-3, 1.4, 1.6, 99):
        tap(part.root, x, 0.5)
    assert found == [0, 1, 2, 4]


def test_matrix_and_curves_line_up():
    root = heat_map(distances(4), STEPS, churn=np.zeros(4), metrics={"loss": 1000 * np.ones(5)})
    wide = {(round(box.x0, 3), round(box.x1, 3)) for box in (axes.get_position() for axes in to_figure(root).axes)}
    assert len([ends for ends in wide if ends[1] - ends[0] > 0.3]) == 1


def test_recurrence_measures_lie_in_the_middle_of_their_bands():
    part = RecurrencePart()
    part.draw(np.array([0, 0.5]), np.array([0.2, np.nan]), entropy=np.array([1.0, 2.0]), width=0.5, name="distance")
    left, right = (pair[0].data_source.data for pair in part._lines._lines.values())
    assert left["x"].tolist() == [0.25, 0.75] and left["at"] == ["0.00 to 0.50", "0.50 to 1.00"]
    assert right["name"] == ["entropy (nats)"] * 2
    part.explain("Too few transitions.")
    assert part._caption.text == "Too few transitions." and "laminarity" not in texts(part.root)


# ---- samples and projection


def drawn_samples(n: int = 60, sprites: bool = False, **options) -> SamplesPart:
    rng = np.random.default_rng(0)
    part = TransitionFigure(sprites=sheet(n) if sprites else None).samples
    columns = {"before": rng.random(n), "after": rng.random(n), "scalar": "entropy", "steps": (1, 4)} | options
    part.draw(np.arange(100, 100 + n), **columns)
    return part


def test_samples_lie_at_their_scalars_and_the_axes_say_when():
    part = drawn_samples(3, before=np.array([0.0, 1.0, 2.0]), after=np.array([1.0, 1.0, 0.0]), unit="nats")
    data = part._marks.source.data
    assert dict(zip(data["id"], zip(data["x"], data["y"], strict=True), strict=True))[102] == (2, 0)
    assert {"entropy (nats) at step 1", "entropy (nats) at step 4"} <= texts(part.root)
    assert part._caption.text.startswith("Above the line it rose (1), below it fell (1).")
    assert (part.root.x_range.start, part.root.x_range.end) == (part.root.y_range.start, part.root.y_range.end)


def test_unlike_scalars_get_axes_of_their_own():
    part = drawn_samples(3, before=np.array([2.0, 2.1, 2.2]), after=np.array([0.0, 1.0, 2.0]))
    assert part.root.x_range.start > 1.9 and "different intervals" in part._caption.text.replace("\n", " ")


def test_samples_without_a_value_are_counted():
    part = drawn_samples(3, before=np.array([np.nan, 1.0, 2.0]))
    assert "Without a value: 1." in part._caption.text.replace("\n", " ")


def test_labels_have_colours_shapes_and_up_to_twelve_a_legend():
    part = drawn_samples(24, labels=np.arange(24) % 12)
    assert {f"label {i}" for i in range(12)} <= texts(part.root)
    assert len(set(zip(part._marks.source.data["fill"], part._marks.source.data["marker"], strict=True))) == 12
    part = drawn_samples(26, labels=np.arange(26) % 13)
    assert "label 0" not in texts(part.root) and "13 labels" in part._caption.text


def test_the_selection_is_outlined_and_in_front():
    part = drawn_samples(10, selection=[105, 102, 777])
    data = part._marks.source.data
    assert set(data["id"][-2:].tolist()) == {102, 105}
    assert [edge == data["edge"][-1] for edge in data["edge"]] == [False] * 8 + [True] * 2


def test_thumbnails_keep_clear_of_each_other_and_those_that_changed_most_come_first():
    part = drawn_samples(60, sprites=True)
    thumbs = part._marks._thumbs.data
    across, up = thumbs["x"] / np.ptp(thumbs["x"]), thumbs["y"] / np.ptp(thumbs["y"])
    apart = np.maximum(np.abs(across[:, None] - across) * 360, np.abs(up[:, None] - up) * 170)
    assert apart[~np.eye(len(apart), dtype=bool)].min() > 19
    change = np.abs(part._marks.source.data["y"] - part._marks.source.data["x"])
    most = part._marks.source.data["tile"][np.argmax(change)]
    assert 5 < len(thumbs["tile"]) < 60 and most in thumbs["tile"]
    assert f"Thumbnails: {len(thumbs['tile'])}" in part._caption.text.replace("\n", " ")


def test_a_lasso_tells_ids_once_and_leaves_no_rows_behind():
    part, found = drawn_samples(10), []
    part.on_lasso(found.append)
    ids = part._marks.source.data["id"]
    part._marks.source.selected.indices = [2, 5, 99]
    part.draw(np.arange(100, 110), np.zeros(10), np.zeros(10), scalar="loss", steps=(0, 1), selection=found[0])
    assert found == [[int(ids[2]), int(ids[5])]] and part._marks.source.selected.indices == []


def test_a_tap_tells_the_sample_under_it():
    part, found = drawn_samples(2, before=np.array([0.0, 1.0]), after=np.array([0.0, 1.0])), []
    part.on_sample(found.append)
    tap(part.root, 0.98, 1.01)
    tap(part.root, 0.5, 0.5)
    assert found == [101]


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(NetgeomError, match="after and ids differ in length"):
        drawn_samples(4, after=np.zeros(3))
    with pytest.raises(NetgeomError, match="labels and ids differ"):
        drawn_samples(4, labels=[1, 2])


def test_the_projection_keeps_its_limits_and_rings_the_sample():
    part, rng = ProjectionPart(), np.random.default_rng(0)
    for step in (0, 1):
        points = rng.normal(size=(5, 2))
        part.draw(points, step=step, limits=(-4, 4, -2, 2), ids=np.arange(5), sample=3, explained=(0.5, 0.25))
        assert (part.root.x_range.start, part.root.y_range.end) == (-4.32, 2.16)
        assert (part._ring.data["x"], part._ring.data["y"]) == (points[3, 0], points[3, 1])
    assert "component 1 (50% of the variance)" in texts(part.root) and "step 1" in part.root.title.text


# ---- classes


def test_class_changes_are_coloured_counted_and_the_diagonal_is_apart():
    figure = TransitionFigure()
    figure.show("classes")
    figure.classes.draw(np.array([[5, 1, 0], [0, 7, 2], [0, 0, 9]]), steps=(1, 4), names=["a", "b", "<c>"])
    image = figure.classes._image.data["image"][0]
    assert np.isnan(np.diag(image)).all() and image[1, 2] == 2
    found = texts(figure.classes.root)
    assert {"5", "7", "9", "1", "2", "a", "<c>", "Class changes from step 1 to step 4: 3 of 24"} <= found
    assert any("21 stayed" in text for text in found)


def test_many_classes_have_no_numbers_in_their_cells():
    figure = TransitionFigure()
    figure.show("classes")
    figure.classes.draw(np.full((13, 13), 77), steps=(1, 4))
    assert "77" not in texts(figure.classes.root)
    figure.classes.draw(np.eye(2, dtype=int), steps=(1, 4))
    assert "No sample changed" in figure.classes._caption.text and not figure.classes._bar.visible
    figure.classes.explain("No predictions.")
    assert figure.classes._texts.data["text"] == []


def test_counts_that_are_none_are_refused():
    for counts, names in ((np.zeros((2, 3)), None), (np.zeros((2, 2)), ["a"]), (np.zeros((0, 0)), None)):
        with pytest.raises(NetgeomError, match="no counts"):
            TransitionFigure().classes.draw(counts, steps=(0, 1), names=names)


# ---- neighbours


def test_neighbours_lie_by_rank_in_two_lanes_and_kept_ones_are_joined():
    part = filled().neighbours
    data, links = part._marks.data, part._links.data
    assert data["x"].tolist() == [1, 2, 1, 2] and data["rank"] == [1, 2, 1, 2]
    assert data["distance"].tolist() == [0.5, 0.7, 0.9, 1.0]
    assert data["y"][0] > 0 > data["y"][2]
    assert (links["x0"].tolist(), links["x1"].tolist()) == ([1], [1])
    assert (links["y0"].tolist(), links["y1"].tolist()) == ([data["y"][0]], [data["y"][2]])
    assert part._signs["lost"].data["x"].tolist() == [2] and part._signs["gained"].data["x"].tolist() == [2]
    assert {"1 kept", "1 lost", "1 gained", "step 1", "step 4", "neighbour, nearest first"} <= texts(part.root)
    assert {"distance: 0.500 to 0.700", "distance: 0.900 to 1.00"} <= texts(part.root)


@pytest.mark.parametrize("thumbnails", [False, True])
@pytest.mark.parametrize("k", [1, 4, 10, 15, 16, 40, 100])
def test_no_neighbour_hides_another_in_a_narrow_frame(k, thumbnails):
    part = filled(sheet(110) if thumbnails else None).neighbours
    before, after = ([(101 + i, far + i / 1000, "kept") for i in range(k)] for far in (1.0, 12.0))
    part.draw(100, before, after, steps=(1, 4), distance="d")
    x, y, size = (np.array(part._marks.data[name]) for name in ("x", "y", "size"))
    x, y = (np.append(xs, part._self.data[name]) for xs, name in ((x, "x"), (y, "y")))
    half = np.append(size, part._self.data["size"]) / 2
    width, height = 276.0, 2 * part.root.y_range.end
    across = np.abs(np.subtract.outer(x, x)) * width / (part.root.x_range.end - part.root.x_range.start)
    down = np.abs(np.subtract.outer(y, y))
    clear = np.maximum(across, down) - np.add.outer(half, half)
    assert clear[~np.eye(len(x), dtype=bool)].min() >= 0
    assert size.min() >= 5 and np.abs(y).max() + half.max() < height / 2
    assert (len(set(y[:k])) == 1) == (k <= 15), "further rows only where one is full"
    assert part._marks.data["rank"] == [*range(1, k + 1)] * 2


def test_distances_of_a_lane_are_told():
    part = NeighboursPart()
    nan = float("nan")
    part.draw(0, [(1, 0.9312, "lost"), (2, 1.2149, "lost")], [(3, 123.4, "gained"), (4, nan, "gained")], distance="d")
    assert part._reach.data["text"] == ["d: 0.931 to 1.21", "d: 123"]
    part.draw(0, [(1, nan, "lost")], [], distance="d")
    assert part._reach.data["text"] == ["d: none", "d: none"]
    part.clear()
    assert not len(part._reach.data["text"])


def test_without_a_sample_there_is_a_hint():
    part = filled().neighbours
    part.draw(None)
    assert any("Tap a sample" in text for text in texts(part.root)) and not len(part._marks.data["x"])


def test_a_tap_on_a_neighbour_tells_its_id():
    part, found = filled(sheet()).neighbours, []
    part.on_sample(found.append)
    tap(part.root, 2, part._marks.data["y"][1])
    tap(part.root, 1.5, 0)
    assert found == [102]


def test_duplicates_at_distance_zero_are_drawn():
    part = NeighboursPart()
    part.draw(0, [(1, 0.0, "kept")], [(1, 0.0, "kept")])
    validated(part.root)
    with pytest.raises(NetgeomError, match="status"):
        part.draw(0, [(1, 0.0, "stayed")])


# ---- the whole


def test_one_panel_at_a_time():
    figure = filled()
    for panel in PANELS:
        figure.show(panel)
        shown = [name for name in PANELS if getattr(figure, name).root.visible]
        assert shown == [panel] == [figure.panel]
        assert figure.neighbours.root.visible
    with pytest.raises(NetgeomError, match="no such panel"):
        figure.show("churn")


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("thumbnails", [True, False])
def test_every_panel_is_valid_and_has_a_static_picture(panel, thumbnails):
    figure = filled(sheet() if thumbnails else None)
    figure.show(panel)
    validated(figure.root)
    assert render(figure.root, width=1100)


def test_an_empty_figure_is_valid_too():
    figure = TransitionFigure()
    validated(figure.root)
    assert render(figure.root)


def test_users_words_stay_words():
    page = to_html(filled(sheet(), words=HOSTILE).root)
    assert HOSTILE not in page and "<img src=x" not in page.replace("&lt;img", "")
    for hover in filled(sheet(), words=HOSTILE).root.select({"type": HoverTool}):
        if isinstance(hover.tooltips, str):
            assert "onerror" not in hover.tooltips or "&lt;img src=x onerror" in hover.tooltips
            assert "{safe}" not in hover.tooltips and "$x" not in hover.tooltips.replace("&#36;x", "")
    assert "$$" not in literal(HOSTILE) and "\\(" not in literal("\\(x\\)")
    assert render(filled(words=HOSTILE).root)


def test_pixels_and_unchanged_columns_are_not_sent_again():
    n = 2000
    sprites = SpriteSheet.of(np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3)).astype(np.uint8), ids=range(n))
    assert len(sprites.png) > 1_000_000
    figure, rng, ids, labels = (
        TransitionFigure(sprites=sprites),
        np.random.default_rng(0),
        np.arange(n),
        np.arange(n) % 10,
    )
    wire = Wire(figure.root)

    def samples(selection=()):
        scalars = {"before": rng.random(n), "after": rng.random(n)}
        figure.samples.draw(ids, **scalars, scalar="entropy", labels=labels, steps=(0, 1), selection=selection)

    def projection(step):
        points = rng.normal(size=(n, 2))
        figure.projection.draw(points, step=step, limits=(-4, 4, -4, 4), ids=ids, labels=labels)

    neighbours = [(i, 1 + i / 100, "kept") for i in range(30)]
    projection(0)
    assert wire.sent(lambda: projection(1)) < 2 * 8 * n + 2000, "places only"
    samples()
    assert wire.sent(samples) < 400_000 < len(sprites.png)
    assert wire.sent(lambda: figure.neighbours.draw(7, neighbours, neighbours)) < 40_000
    steps = np.arange(101)
    figure.matrix.draw(distances(100), steps, name="d", of_transitions=True)
    assert wire.sent(lambda: figure.matrix.pin((3, 4))) < 3000
    assert wire.sent(lambda: figure.matrix.pin((3, 4))) == 0
    assert wire.sent(lambda: figure.show("samples")) == 0
    assert wire.sent(lambda: figure.curves.mark(3)) < 1000
    redrawn = wire.sent(lambda: figure.matrix.draw(distances(100, 1), steps, name="d", of_transitions=True))
    assert redrawn < 4 * 100**2 + 20_000


@pytest.fixture(scope="module")
def documents():
    """A document with thumbnails and one without, drawn again and again."""
    figures = {on: TransitionFigure(sprites=sheet(3) if on else None) for on in (True, False)}
    for figure in figures.values():
        Document().add_root(figure.root)
    return figures


@given(
    snapshots=st.integers(1, 6),
    of_transitions=st.booleans(),
    similarity=st.booleans(),
    n=st.integers(0, 5),
    labelled=st.booleans(),
    thumbnails=st.booleans(),
    panel=st.sampled_from(PANELS),
    seed=st.integers(0, 9),
)
def test_any_options_give_a_valid_figure(
    documents, snapshots, of_transitions, similarity, n, labelled, thumbnails, panel, seed
):
    rng = np.random.default_rng(seed)
    figure = documents[thumbnails]
    steps = np.sort(rng.choice(50, snapshots, replace=False))
    m = snapshots - 1 if of_transitions else snapshots
    values = rng.choice([0.0, 1.0, np.nan, 2.5], (m, m))
    loss = rng.choice([np.nan, 1.0, 2.0], snapshots)
    figure.matrix.draw(values, steps, name="d", of_transitions=of_transitions, similarity=similarity)
    figure.matrix.pin((seed % 4, 1))
    figure.curves.draw(steps, rng.random(snapshots - 1), {"loss": loss}, step_index=seed)
    ids, labels = np.arange(99, 99 + n), (rng.integers(0, 3, n) if labelled else None)
    scalars = rng.choice([0.0, np.nan, 1.0], (2, n))
    figure.samples.draw(ids, *scalars, scalar="loss", labels=labels, steps=(0, 1), selection=ids[:2])
    figure.projection.draw(rng.normal(size=(n, 2)), step=0, limits=(-1, 1, -1, 1), ids=ids, labels=labels)
    figure.show(panel)
    assert not any(check_integrity(figure.root.document.models).__dict__.values())
    assert len(figure.samples._marks.source.data["id"]) == n
    assert (figure.matrix.root.x_range.end - figure.matrix.root.x_range.start) == max(m, 1)


def test_targets_of_a_regression_are_coloured_on_a_scale():
    labels = SampleLabels(np.r_[np.linspace(-1, 5, 40), np.nan], 41)
    assert labels.scale == (-1.0, 5.0) and labels.legend == [] and set(labels.markers) == {"circle"}
    assert (labels.colours[0], labels.colours[39]) == (palettes.VIRIDIS[0], palettes.VIRIDIS[-1])
    assert labels.colours[40] == palettes.MISSING
    assert SampleLabels(np.array([0.0, 1.0, 1.0]), 3).scale is None
    part = SamplesPart()
    part.draw(np.arange(41), np.zeros(41), np.ones(41), scalar="loss", labels=labels.labels, steps=(0, 1))
    assert "Colour: label, from −1 (dark) to 5 (yellow)." in part._caption.text.replace("\n", " ")

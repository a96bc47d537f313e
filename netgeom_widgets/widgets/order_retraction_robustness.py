"""How far the Morse graph of a fitted map can be trusted: how often it comes up when the map is drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.order_retraction_frequencies import FrequenciesFigure
from netgeom_widgets.widgets.order_retraction_parts import PlotParts
from netgeom_widgets.widgets.order_retraction_words import counted, share
from netgeom_widgets.widgets.part import NothingToShowError, Part, Publish
from netgeom_widgets.widgets.sample_list import MOST_LISTED, SampleList

if TYPE_CHECKING:
    from netgeom_widgets.widgets.order_retraction_picture import Picture

KINDS = {
    "bootstrap": "other runs: drawn with replacement",
    "posterior": "other maps through the same runs",
    "both": "both",
}
#: Resamplings to begin with, and that a press of the button adds.
SAMPLES = 30
#: Subdivisions of the grid on which maps are compared.
COARSE = 11
#: A Morse graph of more nodes is not compared with those of the coarse grid: canonical forms may take long.
_MOST_NODES = 60


class RobustnessPart(Part):
    """The Morse graphs of resampled maps, how often each comes up, and where cells recur."""

    key = "robustness"
    title = "Robustness"
    tooltip = "Show how often each Morse graph comes up when the runs, or the map through them, are drawn anew"
    options = ("resampling", "resamplings", "refit")

    def __init__(
        self, controls: Callable[[], list[ipywidgets.Widget]], tell: Callable[[str], None], go: Callable[[int], None]
    ) -> None:
        self._make_controls, self._tell, self._go = controls, tell, go
        self._known: tuple[tuple[Any, ...], Any] | None = None

    def controls(self) -> list[ipywidgets.Widget]:
        """What is drawn, and how often."""
        return self._make_controls()

    def lacks(self, subject: Picture, options: dict[str, Any]) -> str:
        """Runs that can be drawn again; without these nothing is said beside the graph either."""
        why = self._why_not(subject, options)
        if why:
            self._tell("")
        return why

    def _why_not(self, subject: Picture, options: dict[str, Any]) -> str:
        from netgeom_widgets.kernels.order_retraction.resampling import FEWEST_RUNS

        fitted, kind, method = subject.space.map, options["resampling"], subject.settings["method"]
        if not subject.space.is_fitted:
            return "The map was given as it is: there are no data to resample."
        runs = len(set(fitted.groups.tolist()))
        if kind != "posterior" and runs < FEWEST_RUNS:
            few = "1 run is" if runs == 1 else f"{runs} runs are"
            return f"{few} too few to draw from: choose other maps through the same runs."
        if kind != "bootstrap" and fitted.model == "knn":
            return "Nearest neighbours leave no other maps open: choose other runs."
        if kind != "bootstrap" and method == "confidence":
            return "A map that was drawn has no standard deviation: choose other runs, or images without it."
        return ""

    def compute(
        self, subject: Picture, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """Frequencies on a coarse grid."""
        from netgeom_widgets.kernels.order_retraction import morse_frequencies

        fitted, settings = subject.space.map, subject.settings
        grid = subject.grid.refined(min(COARSE, subject.grid.subdivisions))
        boxes = {"method": settings["method"], "padding": settings["padding"]}
        if settings["method"] == "confidence":
            boxes["z"] = settings["z"]
        drawn = {"kind": options["resampling"], "samples": options["resamplings"], "refit": options["refit"]}
        key = (fitted, tuple(grid.lower), tuple(grid.upper), grid.subdivisions, *boxes.values(), *drawn.values())
        if self._known is None or self._known[0] != key:  # a node that was collapsed changes none of it
            ids = None if fitted.ids is None else (fitted.ids, fitted.ids)
            try:
                found = morse_frequencies(
                    fitted.starts, fitted.ends, grid, run_ids=ids, fit=fitted.options,
                    progress=progress, cancel=cancel, **boxes, **drawn,
                )  # fmt: skip
            except NetgeomError as error:  # of few runs some drawings have no map; that of all runs is fine
                self._tell("")
                raise NothingToShowError(f"A map that was drawn anew cannot be had. {error}") from error
            self._known = (key, found)
        return self._known[1]

    def make(self) -> LayoutDOM:
        """Bars, graphs, and a map of the cells."""
        self._figure = FrequenciesFigure()
        return self._figure.root

    def below(self) -> list[ipywidgets.Widget]:
        """The nodes of the graph shown."""
        tooltip = (
            "Morse nodes by how often something recurs where their sets are, the rarest first: choose one to see it"
        )
        self._list = SampleList(tooltip, self._go)
        return [self._list]

    def draw(self, found: Any, subject: Picture) -> None:
        """Figure, list, and the sentence beside the graph."""
        self._figure.show(found, names=subject.space.names)
        support = support_of(found, subject.decomposition)
        rarest = np.argsort(np.nan_to_num(support, nan=-1.0), kind="stable")[:MOST_LISTED].tolist()
        self._list.show([(_support_words(node, float(support[node]), found), node) for node in rarest])
        self._tell(shown_words(found, subject))

    def words(self, found: Any, subject: Picture) -> str:
        """How often the graph of the fit comes up, how many others do."""
        graphs, n = found.graphs, len(found.graph)
        fit, seen = graphs[found.graph_of_fit], sum(one.count > 0 for one in graphs)
        low, high = fit.interval
        empty = round(found.share_empty * n)
        words = (
            f"At 2^{found.grid.subdivisions} cells the graph of the fit ({counted(fit.form.n_nodes, 'node')}) came up "
            f"in {fit.count:,} of {n:,} resamplings: {share(fit.count, n)}, 95 % interval {100 * low:.0f} to "
            f"{100 * high:.0f} %; {counted(seen, 'different graph')} in all"
        )
        return words + (f", empty in {empty:,}." if empty else ".")

    def arrays(self, found: Any) -> dict[str, Any]:
        """Which graph each sample has, its seed, the graphs' edges and counts, shares of each cell."""
        edges = [(row, *edge) for row, one in enumerate(found.graphs) for edge in one.form.hasse]
        return {
            "graph": found.graph,
            "kinds": np.array(found.kinds),
            "seeds": found.seeds,
            "counts": np.array([one.count for one in found.graphs]),
            "graph_nodes": np.array([one.form.n_nodes for one in found.graphs]),
            "graph_edges": np.array(edges, dtype=np.int64).reshape(-1, 3),
            "graph_of_fit": np.array(found.graph_of_fit),
            "support": found.support,
            "recurrent": found.recurrent,
            "fate": found.fate,
            "may_leave": found.may_leave,
            "shape": np.array(found.grid.shape),
        }


class RobustnessPanel(PlotParts):
    """The fold on robustness; open unless it is closed by hand: a single Morse graph of a fit says little."""

    robustness = traitlets.Bool(
        True, help="Whether the frequencies of Morse graphs are shown, and computed; wait() waits for them."
    ).tag(setting="mark")
    resampling = traitlets.Enum(
        tuple(KINDS), "bootstrap", help="What is drawn anew: the runs that the map is fitted to, or the map."
    ).tag(setting="draw", bar=True, label="Draw anew", texts=KINDS)
    resamplings = traitlets.Int(
        SAMPLES, min=2, max=10_000, help="How often, of each kind."
    ).tag(
        setting="draw", bar=True, label="so often",
        control=lambda layout, **common: ipywidgets.BoundedIntText(
            min=2, max=10_000, layout={**layout, "width": "170px"}, **common
        ),
    )  # fmt: skip
    refit = traitlets.Bool(False, help="Choose length scale and noise anew for each drawing of runs; slower.").tag(
        setting="draw", bar=True, label="Fit its parameters anew"
    )

    def _make_parts(self) -> list[Part]:
        return [
            *super()._make_parts(),
            RobustnessPart(self._robustness_controls, self._tell_frequency, self._pick_node),
        ]

    def _robustness_controls(self) -> list[ipywidgets.Widget]:
        if self._source.is_map:  # type: ignore[attr-defined]
            return []
        more = ipywidgets.Button(
            description=f"{SAMPLES} more", tooltip="Draw more often", icon="plus", layout={"width": "auto"}
        )
        more.on_click(lambda _: self._more_resamplings())
        controls: dict[str, Any] = self._controls  # type: ignore[attr-defined]  # of Settings
        return [*(controls[name].box for name in ("resampling", "resamplings", "refit")), more]

    def _more_resamplings(self) -> None:
        self.resamplings = min(self.resamplings + SAMPLES, 10_000)

    def _tell_frequency(self, words: str) -> None:
        """Put the sentence beside the graph that it is on; called with the lock held."""
        with self.pane.batch():  # type: ignore[attr-defined]
            self._figure.graph.say_note(words)  # type: ignore[attr-defined]


def support_of(found: Any, decomposition: Any) -> np.ndarray:
    """In which share of the resamplings something recurs where each node is; NaN where the coarse fit has no node."""
    from netgeom_widgets.kernels.order_retraction import match_nodes

    coarse = match_nodes(found.of_fit, decomposition)
    known = np.append(found.support, np.nan)  # for -1
    return np.asarray(known[coarse])


def _support_words(node: int, share_of: float, found: Any) -> str:
    at = f"on 2^{found.grid.subdivisions} cells"
    if np.isnan(share_of):
        return f"node {node}: the fit has nothing there {at}"
    return f"node {node}: something recurs there in {100 * share_of:.3g} % of the resamplings {at}"


def shown_words(found: Any, subject: Picture) -> str:
    """How often the very graph shown, of a finer grid perhaps and after collapsing, came up."""
    from netgeom_widgets.kernels.order_retraction import poset_form

    n, known, level = len(found.graph), subject.decomposition, found.grid.subdivisions
    if known.n_nodes > _MOST_NODES:
        return f"A graph of {known.n_nodes:,} nodes is not compared with those of {n:,} resamplings."
    form = poset_form(known.heights.tolist(), known.hasse)
    count = sum(one.count for one in found.graphs if one.form == form)
    at = "" if level == subject.grid.subdivisions else f" at 2^{level} cells"
    return f"This Morse graph came up in {share(count, n)} of {n:,} resamplings{at}."

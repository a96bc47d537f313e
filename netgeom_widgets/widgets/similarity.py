"""SimilarityMatrix: which inputs are alike for a network, alive."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.similarity_scene import SimilarityScene
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.frame import remarks_html
from netgeom_widgets.widgets.similarity_against import Comparing, compared_words
from netgeom_widgets.widgets.similarity_checkpoints import Training
from netgeom_widgets.widgets.similarity_counting import Counting
from netgeom_widgets.widgets.similarity_details import Details
from netgeom_widgets.widgets.similarity_diagnostics import Diagnostics
from netgeom_widgets.widgets.similarity_exports import Exports
from netgeom_widgets.widgets.similarity_picking import Picking
from netgeom_widgets.widgets.similarity_picture import Picture, PictureMaker
from netgeom_widgets.widgets.similarity_settings import SimilaritySettings
from netgeom_widgets.widgets.similarity_source import Source
from netgeom_widgets.widgets.similarity_table import SelectionTable
from netgeom_widgets.widgets.similarity_view import Viewing

if TYPE_CHECKING:
    from torch import nn


class SimilarityMatrix(
    Comparing,
    Training,
    Diagnostics,
    SelectionTable,
    Counting,
    Details,
    Viewing,
    Picking,
    SimilaritySettings,
    Exports,
    AnalysisWidget,
):
    """How similar inputs are from a network's perspective: how much moving one output moves that of another.

    Click a cell for its row and pair; draw a box, and its inputs become the selection. What each similarity is, and
    what is exact: see :func:`netgeom_widgets.kernels.similarity.similarity_matrix`.

    Parameters
    ----------
    model : torch.nn.Module or None
        Copied in eval mode when a run starts, never touched. None where ``inputs`` is a store.
    inputs : array or tensor (n, *input shape), or store, or its path
        The samples, whose ids are 0 to n - 1. A store of
        :func:`netgeom_widgets.kernels.similarity.similarity_tiles` is shown as it is, nothing is computed.
    labels : array (n,), optional
        Colours, the order by class, and the margin of the label.
    images : array, optional
        Thumbnails: (n, h, w), (n, h, w, c) or (n, c, h, w). By default the inputs where they are images; False for
        none.
    names : sequence of n texts, or table, optional
        Words for each input, shown where there are no images; of a table (columns by name, a DataFrame) the row.
    targets : array (n, ...), optional
        Classes or values that the outputs should be.
    loss : {"mse", "cross_entropy"} or callable, optional
        By default that which fits the targets: whole numbers are classes. The fit error, of the very network and step
        shown, stands beside the counts and in the status line; ``fit`` holds it.
    checkpoints : Recording, path, list of state dicts, of files or of models, or dict of these by step; optional
        The network at several steps of training: ``step`` chooses, ``play()`` shows them in turn, ``model`` only says
        the architecture. A recording needs ``parameters=True``; one that is being written is followed. All steps stand
        in the order of ``order_step``.
    against : torch.nn.Module, int, or names; optional
        Another network for the same inputs, a step of ``checkpoints``, or modules or parameters of the very network
        shown, whose gradients count in place of those of ``parameters``. ``mode`` shows "this", the "other", or the
        "difference" (other minus this); ``against_result`` is the other's similarity.
    function : callable, optional
        Numbers of the outputs, (n, C) -> (n,) or (n, d), which ``output="function"`` compares.
    **kwargs
        Settings (see :attr:`settings`), ``row``, ``pair``, ``view``, ``selection``, ``autorun``, ``static_picture``,
        ``layout``; ``counts=True`` opens the histograms of neighbour counts, and so do ``fit_errors``,
        ``label_noise``, ``agreement`` (with ``against``), ``over_steps`` (CKA of all checkpoints), ``by_layer``,
        ``invariance`` (see :meth:`test_invariance`) and ``denoising`` with what they are called after.

    Attributes
    ----------
    result : Similarity or SimilarityTiles
        What the kernel returned; ``result.values`` is the matrix in the order given.
    shown_order : (n,) int64
        Ids of the inputs from top to bottom.
    neighbour_counts : Counts
        At the threshold.

    Raises
    ------
    NetgeomError
        Before anything starts: no inputs, a model that does not take them, labels or images that do not fit, bad
        settings.

    Examples
    --------
    >>> matrix = SimilarityMatrix(model, x, y)  # doctest: +SKIP
    >>> matrix.wait()  # doctest: +SKIP
    >>> matrix.result.values.shape, matrix.neighbour_counts.soft  # doctest: +SKIP
    """

    title = "Similarity of inputs for the network"

    def __init__(
        self,
        model: Any,
        inputs: Any,
        labels: Any = None,
        images: Any = None,
        names: Any = None,
        targets: Any = None,
        loss: Any = None,
        checkpoints: Any = None,
        against: Any = None,
        *,
        function: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        known = {"labels": labels, "images": images, "names": names, "targets": targets}
        self._source = Source(model, inputs, loss=loss, function=function, **known)
        self._maker = PictureMaker(self._source)
        self._copied: nn.Module | None = None
        self._copies = 0
        self._drawn: tuple[Picture, str] | None = None
        self._setup_training(checkpoints)
        self._setup_against(against)
        self._setup_diagnostics()
        super().__init__(**kwargs)
        self._follow_training()

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        samples = self._source.samples
        self._figure = figure = SimilarityScene(samples.n, samples.known, sprites=samples.sprites, texts=samples.texts)
        figure.matrix.on_cell(lambda row, column: self._paint(lambda: self._tapped(row, column), "pick"))
        figure.matrix.on_box(lambda rows, columns: self._paint(lambda: self._boxed(rows, columns), "lasso"))
        figure.on_sample(lambda sample: self._paint(lambda: self._go_pair(sample), "pick"))
        figure.on_threshold(lambda value: self._paint(lambda: setattr(self, "threshold", value), "threshold"))
        self._offer_choices()
        self._watch_ranges()
        self._setup_details()
        return figure.root

    def _panels(self) -> list[ipywidgets.Widget]:
        return [self._panel_of_rows(), *super()._panels()]

    def run(self) -> None:
        """Start a run on a copy of the model as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        if not self._source.is_stored and not self._steps:
            self._copied = self._source.copied()
            self._copies += 1
        super().run()

    def _network(self, step: int | None) -> tuple[nn.Module | None, Any]:
        """The network of a run, at a step or as copied, and a key that says which: nothing is computed twice of one."""
        return (self._copied, self._copies) if step is None else self._network_at(step)

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Picture:
        self._take_up_steps()
        compute = partial(self._maker.picture, before=self._picture, cancel=cancel)
        order = self._order_kept(settings, compute, progress)
        model, key = self._network(settings["step"])
        this = compute(model, settings, key, order=order, progress=progress, publish=publish)
        return self._beside(this, settings, compute, progress)

    def _result_of(self, computed: Picture) -> Any:
        return computed.found

    def _draw(self, result: Picture, settings: dict[str, Any], *, final: bool) -> None:
        new = result is not self._picture
        drawn = (result, settings["pixel"])
        if drawn != self._drawn:  # a threshold that is dragged must not send the matrix again
            self._draw_matrix(result, settings["pixel"], final=final)
            self._drawn = drawn
        if not final:
            return
        if new:
            self._take_picture(result)
            self._panel.show_badges(self._badges_html(result))
        self._figure.move_threshold(settings["threshold"])
        self._move_to_view()
        self._count_soon()

    def _draw_matrix(self, picture: Picture, pixel: str, *, final: bool) -> None:
        self._figure.draw_matrix(
            picture.drawn,
            kernel=picture.drawn_as,
            order=picture.order,
            ordering=picture.settings["order"],
            reduce=pixel,
            note=self._note(picture),
            final=final,
        )

    def _draw_marks(self, result: Picture) -> None:
        self._figure.mark(self.row, self.pair, self.selection)
        self._panel.show_selection(len(self.selection))

    def _sample_ids(self) -> range:
        return range(len(self._source.samples))

    # ---- words

    def _note(self, picture: Picture) -> str:
        """What the caption adds: which of two is shown, and rows that are missing yet."""
        missing = "" if picture.final else f"{picture.done:,} of {picture.entries.n:,} rows computed so far."
        return f"{compared_words(picture)} {missing}".strip()

    def _badges(self, picture: Picture) -> list[str]:
        """Remarks that belong to every reading of the matrix, in words."""
        found, n = picture.found, picture.entries.n
        words = []
        zero, rank = (getattr(found, name, None) for name in ("zero_gradient", "rank"))
        if zero is not None and (dead := int(np.count_nonzero(zero))):
            words.append(f"{dead:,} of {n:,} inputs have a zero gradient: their similarity is 0, also to themselves.")
        known = np.asarray([] if rank is None else rank)
        known = known if zero is None else known[~np.asarray(zero, dtype=bool)]
        if known.size and (low := int(known.min())) < (high := int(known.max())):
            words.append(f"K(x, x) has rank {low} to {high}: k(x, x) is the rank over d.")
        elif known.size and self._lacks_rank(picture, low):
            words.append(f"K(x, x) has rank {low}, less than d: k(x, x) is the rank over d.")
        words += [str(note) for note in getattr(found, "notes", ())]
        digest = str(getattr(found, "model_digest", ""))[:12]
        words.append("Network in eval mode" + (f", weights {digest}." if digest else "."))
        return words

    def _lacks_rank(self, picture: Picture, rank: int) -> bool:
        output = picture.settings["output"]
        return output in ("all outputs", "probabilities") and 0 < rank < self._source.n_outputs

    def _badges_html(self, picture: Picture) -> str:
        return remarks_html(self._badges(picture))

    def _summary(self) -> str:
        if self.result is None or self._picture is None:
            return ""
        n, step = self._picture.entries.n, self._picture.settings.get("step")
        words = [f"{n:,} inputs, {n * n:,} pairs, {self._picture.kernel}", self._fit_in_words()]
        return f"{'' if step is None else f'step {step:,}: '}{', '.join(filter(None, words))}"

    @property
    def shown_order(self) -> np.ndarray:
        """Ids of the inputs from top to bottom, (n,) int64."""
        return self._finished().order

    def _finished(self) -> Picture:
        if self._picture is None:
            raise NetgeomError("There is no matrix yet.", try_this="run() and wait() first")
        return self._picture

"""EquivalenceSliceViewer: parameters that give one function, and slices through their neighbourhood, alive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import ipywidgets
import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.equivalence_scene import EquivalenceScene
from netgeom_widgets.widgets.base import AnalysisWidget
from netgeom_widgets.widgets.equivalence_demos import demo
from netgeom_widgets.widgets.equivalence_exports import Exports
from netgeom_widgets.widgets.equivalence_folds import Folds
from netgeom_widgets.widgets.equivalence_overlays import Overlays
from netgeom_widgets.widgets.equivalence_picking import Picking
from netgeom_widgets.widgets.equivalence_picture import Picture, PictureMaker
from netgeom_widgets.widgets.equivalence_pointing import Pointing
from netgeom_widgets.widgets.equivalence_settings import EquivalenceSettings, defaults
from netgeom_widgets.widgets.equivalence_source import Source
from netgeom_widgets.widgets.equivalence_third import ThirdDirection
from netgeom_widgets.widgets.equivalence_words import counts_words, element_lines, remarks, summary
from netgeom_widgets.widgets.frame import remarks_html

if TYPE_CHECKING:
    from torch import nn


class EquivalenceSliceViewer(
    Folds, ThirdDirection, Pointing, Overlays, Picking, EquivalenceSettings, Exports, AnalysisWidget
):
    """The loss on a slice through the parameters of a network, and parameters that give the same function.

    Elements of the class are searched from many starts; each has an honest status. Click an element or a point to see
    its function beside the targets, click it twice to have the plane begin there. What each number is, and what is
    exact: see :mod:`netgeom_widgets.kernels.equivalence`.

    Parameters
    ----------
    model : torch.nn.Module or None
        Copied in float64 and eval mode when a run starts, never touched. None where a grid is given.
    inputs : array or tensor (n, *input shape)
        The samples, whose ids are 0 to n - 1; the class is that on these samples.
    targets : array (n, C), optional
        Without them the model is the teacher: the class is that of its own function.
    elements : (n, P) array, Elements, path, or list; optional
        Parameter vectors in the order of ``model.parameters()``, what `find_elements` returned, an .npz that
        ``Elements.save`` wrote or an .npy, or a list of models, state dicts or files of these: nothing is searched.
    loss, axes : array (m, ...) and a list of one to three arrays, optional
        A grid that is drawn as it is, without a model; first array axis = first coordinate.
    basis : (k, P) array or path of an .npy, optional
        Directions of your own, for ``plane="own"``.
    curves : dict of name to (m, P) array, optional
        Parameters along known curves of the class, laid over the slice.
    **kwargs
        Settings (see :attr:`settings`), ``element``, ``point``, ``selection``, ``autorun``, ``static_picture``,
        ``layout``. Below the figure ``element_table``, ``spectrum``, ``class_curves``, ``comparison``, ``space`` (three
        directions) and ``projection`` (four or more) show with True what they are called after.

    Attributes
    ----------
    result : LossSlice or ProfileSlice
        What the kernel returned.
    elements : Elements or None
        All so far; it grows while a search runs.
    pointed : Function or None
        Outputs and loss at the point that is shown beside the slice.

    Raises
    ------
    NetgeomError
        Before anything starts: constant targets, a model that fails on the inputs or has parameters that are not
        finite, elements that do not fit it, bad settings.

    Examples
    --------
    >>> viewer = EquivalenceSliceViewer(model, x)  # doctest: +SKIP
    >>> viewer.wait()  # doctest: +SKIP
    >>> viewer.elements.status, viewer.result.relative_loss.min()  # doctest: +SKIP
    """

    title = "Slice through an equivalence class"

    elements = traitlets.Any(None, read_only=True, help="The elements so far, Elements or None.")

    def __init__(
        self,
        model: Any = None,
        inputs: Any = None,
        targets: Any = None,
        elements: Any = None,
        loss: Any = None,
        axes: Any = None,
        *,
        basis: Any = None,
        curves: Any = None,
        **kwargs: Any,
    ) -> None:
        self._source = Source(model, inputs, targets, elements, loss, axes, basis=basis, curves=curves)
        self._maker = PictureMaker(self._source)
        self._copied: nn.Module | None = None
        self._copies = 0
        self._drawn: Any = None
        self._remarked = ""
        super().__init__(**{**defaults(self._source, kwargs), **kwargs})

    @classmethod
    def demo(cls, name: str = "hyperbola", **kwargs: Any) -> Self:
        """An example to begin with.

        Parameters
        ----------
        name : {"hyperbola", "genni fcn", "genni lenet 8x8"}
            One ReLU unit, whose class is a w = 1 in closed form; GENNI's net of two ReLU units, with its seed; a LeNet
            like GENNI's on smaller images, searched by SGD as there.
        **kwargs
            As for the constructor; they replace those of the example.
        """
        return cls(**{**demo(name), **kwargs})

    # ---- what the base asks for

    def _make_root(self) -> LayoutDOM:
        known = self._source.known
        function = () if known is None else (known.network.inputs.numpy(), known.targets.T.numpy())
        self._figure = figure = EquivalenceScene(*function)
        figure.on_element(lambda element: self._paint(lambda: self._tapped_element(element), "pick"))
        figure.on_point(lambda point: self._paint(lambda: self._tapped_point(point), "pick"))
        figure.on_element(lambda element: self._paint(lambda: self._center_at(element), "center"), double=True)
        figure.on_point(lambda point: self._paint(lambda: self._center_at(point), "center"), double=True)
        self._offer_choices()
        self._setup_pointing()
        self._show_dimension()
        self.observe(lambda _: self._paint(self._show_dimension, "dimension"), "dimension")
        self.observe(self._say_kept, "status")
        return figure.root

    def _panels(self) -> list[ipywidgets.Widget]:
        return [self._panel_of_picks(), *super()._panels()]

    def _show_dimension(self) -> None:
        """A plot for one direction or for two; in a message of its own, before anything is drawn in it."""
        grid = self._source.grid
        self._figure.show_dimension(len(grid.axes) if grid is not None else self.dimension)

    def run(self) -> None:
        """Start a run on a copy of the model as it is now; one that is running is cancelled. Returns at once."""
        self._check_open()
        if not self._source.is_grid:
            self._copied = self._source.copied()
            self._copies += 1
        super().run()

    def _compute(self, settings: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Any) -> Picture:
        return self._maker.picture(
            self._copied, settings, self._copies, progress=progress, cancel=cancel, publish=publish,
            on_elements=self._take_elements,
        )  # fmt: skip

    def _result_of(self, computed: Picture) -> Any:
        return computed.found if self._source.grid is None else self._source.grid

    def _draw(self, result: Picture, settings: dict[str, Any], *, final: bool) -> None:
        place, values = (result.plane, result.found.axes), result.found
        if self._drawn is None or self._drawn[0] is not result.plane:
            epsilon, partial = settings["epsilon"], not result.final
            self._figure.show(values, names=result.names, epsilon=epsilon, partial=partial, note=_note(result))
        elif self._drawn[1] is not values:
            self._figure.update(values, _note(result), partial=not result.final)
        elif self._figure.epsilon != settings["epsilon"]:
            self._figure.set_epsilon(settings["epsilon"])  # contours alone: nothing is evaluated
        self._drawn = (place[0], values)
        if final:
            self._take_picture(result)
            self._say_remarks(result, settings["epsilon"])
        self._draw_elements(result)

    def _take_picture(self, picture: Picture) -> None:
        """Take over what a finished run found; called with the lock held."""
        before, self._picture = self._picture, picture
        if picture is before:
            return
        if before is not None:
            self._carry_picks(before, picture)
        if picture.elements is not None:
            self._offer_centers(len(picture.elements.status))
        self._show_elements(picture.elements, picture.distance if picture.elements is not None else None)
        self._fit_third(picture)
        self._function_soon()

    def _take_elements(self, elements: Any) -> None:
        """Show the elements found so far; called on the thread of the run."""
        if elements is not self.elements:
            self.set_trait("elements", elements)
            self._show_elements(elements, None)

    def _show_elements(self, elements: Any, distance: Any) -> None:
        self._panel.show_elements(counts_words(elements), element_lines(elements, distance))

    def _say_remarks(self, picture: Picture, epsilon: float) -> None:
        html = remarks_html(remarks(picture, epsilon))
        if html != self._remarked:
            self._panel.show_badges(html)
            self._remarked = html

    def _draw_marks(self, result: Picture) -> None:
        self._draw_overlays(result)
        self._figure.pick_element(self.element if self.element >= 0 else None)
        self._figure.mark_point(self.point)
        if self._figure.function is not None:
            self._figure.function.mark_samples(self.selection)
        self._show_picked(result)
        self._panel.show_selection(len(self.selection))

    def _sample_ids(self) -> range:
        return range(self._source.n_samples)

    # ---- further starts

    def find_more(self, n: int | None = None) -> None:
        """Make further starts, as many as before or ``n``, in the background; those found stay. Returns at once.

        Raises
        ------
        NetgeomError
            Where elements or a grid were given.
        """
        if self._source.is_grid or self._source.given is not None:
            raise NetgeomError("Nothing is searched here.", expected="a model without elements=", got="elements given")
        self.n_elements += n if n is not None else max(self.n_elements, 1)
        self.run()

    def _say_kept(self, change: Any) -> None:
        """A search that was cancelled has not been for nothing."""
        if change["new"] == "cancelled" and self.elements is not None and len(self.elements) < self.n_elements:
            self._say(f"cancelled; {len(self.elements)} of {self.n_elements} elements are kept, Run goes on")

    def _find_more_pressed(self) -> None:
        try:
            self.find_more()
        except (NetgeomError, traitlets.TraitError) as error:
            self._say(str(error))

    # ---- words

    def _summary(self) -> str:
        return "" if self.result is None or self._picture is None else summary(self._picture)

    def _subject(self) -> Picture | None:
        return self._picture

    def _finished(self) -> Picture:
        if self._picture is None:
            raise NetgeomError("There is no slice yet.", try_this="run() and wait() first")
        return self._picture


def _note(picture: Picture) -> str:
    if picture.final or np.isfinite(picture.found.loss).all():
        return ""
    if not np.isfinite(picture.found.loss).any():
        return "Elements found so far; the loss is computed once they span the plane."
    return "A first picture: points between are still computed."

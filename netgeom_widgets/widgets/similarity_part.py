"""One thing that is shown under the similarity matrix on demand, and what it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress

if TYPE_CHECKING:
    from torch import nn

Publish = Callable[[Any], None]
Go = Callable[[int], None]  # called with the id of an input that was picked


@dataclass(frozen=True, eq=False)
class Subject:
    """What the parts are about: the matrix shown, and what it is of.

    Attributes
    ----------
    similarity : Similarity
        Of the network shown, all inputs with all.
    model : torch.nn.Module
        That network: a copy that nobody changes.
    samples : Samples
        Inputs, labels, targets, thumbnails.
    options : dict
        Keywords of ``similarity_matrix`` that the matrix was computed with; ``this_options``: that of the first network
        of a comparison, whichever is shown.
    loss : str, callable or None
        Of the targets.
    name : str
        What the network is called: a step, or empty.
    step : int or None
        Of the checkpoints.
    key : tuple
        The settings that ``this_options`` are made of; equal for equal ones.
    this, against : Similarity or None
        The two that are compared, of which one is shown; ``this_name`` and ``against_name`` say what they are called.
    """

    similarity: Any
    model: nn.Module
    samples: Any
    options: dict[str, Any] = field(default_factory=dict)
    loss: Any = None
    name: str = ""
    step: int | None = None
    key: tuple[Any, ...] = ()
    this: Any = None
    this_options: dict[str, Any] = field(default_factory=dict)
    this_name: str = ""
    against: Any = None
    against_name: str = ""

    @cached_property
    def fit(self) -> Any:
        """How well this network fits the targets, a Fit; with targets only."""
        from netgeom_widgets.kernels.similarity import fit_error

        return fit_error(self.similarity.outputs, self.samples.targets, loss=self.loss)


class Part:
    """One thing that a fold shows. A subclass says what it needs, computes it, and draws it; it knows no widget.

    Attributes
    ----------
    key : str
        Name of the trait that says whether it is open.
    title, tooltip : str
        Of its button.
    options : tuple of str
        Names of the traits that it is computed with.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    tooltip: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """Why there is nothing to show, in words; empty when there is."""
        return ""

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Any:
        """What is drawn; ``publish(partial)`` shows a first part of it."""
        raise NotImplementedError

    def make(self) -> LayoutDOM:
        """The Bokeh model to show; called once, before the first drawing."""
        raise NotImplementedError

    def controls(self) -> list[ipywidgets.Widget]:
        """What stands above the figure; called once."""
        return []

    def below(self) -> list[ipywidgets.Widget]:
        """What stands below the figure; called once."""
        return []

    def draw(self, found: Any, subject: Subject) -> None:
        """Change the Bokeh models to show it."""
        raise NotImplementedError

    def words(self, found: Any, subject: Subject) -> str:
        """A sentence on it."""
        raise NotImplementedError

    def arrays(self, found: Any) -> dict[str, Any]:
        """Its numbers by name, for the export."""
        return {}

"""What the parts under the similarity matrix are about, and what picking an input in one of them does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from netgeom_widgets.widgets.parts import Parts

if TYPE_CHECKING:
    from torch import nn


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


class InputParts(Parts):
    """Parts whose marks are inputs: a click on one shows it in the matrix, a lasso selects."""

    def _pick_row(self, sample: int) -> None:
        """Answer a click on an input."""
        self._paint(lambda: setattr(self, "row", sample), "pick")  # type: ignore[attr-defined]

    def _select(self, samples: list[int]) -> None:
        """Answer a lasso around inputs."""
        self._paint(lambda: setattr(self, "selection", tuple(samples)), "lasso")  # type: ignore[attr-defined]

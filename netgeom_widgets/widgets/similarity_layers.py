"""The matrix layer by layer: what each contributes, and how far the layers agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets
from bokeh.models import LayoutDOM

from netgeom_widgets.execution import Cancel, Progress
from netgeom_widgets.figures.similarity_layers import LayersFigure
from netgeom_widgets.widgets.part import Part, Publish
from netgeom_widgets.widgets.parts import Parts
from netgeom_widgets.widgets.similarity_subject import Subject

#: Similarities that are sums over parameters, so that a layer has a part in them.
_SUMS = ("trace", "flat", "inner", "relative", "cosine")


@dataclass(frozen=True, eq=False)
class Layers:
    """Parts of a matrix by layer.

    Attributes
    ----------
    names : list of str
        Dotted names of the modules that own parameters, first to last.
    parts : list of L (n, n) float
        What each contributes; they sum to the matrix.
    cka : (L, L) float64
        Of every part with every part; NaN where it is not computed yet or not defined.
    """

    names: list[str]
    parts: list[np.ndarray]
    cka: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Mean share of each layer in k(x, x), (L,); they sum to 1."""
        own = np.array([part.diagonal() for part in self.parts], dtype=np.float64)
        total = own.sum(axis=0)
        return (own[:, total > 0] / total[total > 0]).mean(axis=1) if (total > 0).any() else np.zeros(len(self.names))


class LayersPart(Part):
    """A heat map of CKA between layers."""

    key = "by_layer"
    title = "Layers"
    tooltip = "Show what each layer contributes, and how far the layers agree on which inputs are alike"

    def lacks(self, subject: Subject, options: dict[str, Any]) -> str:
        """A similarity that is a sum over parameters."""
        kernel = subject.similarity.kernel
        return (
            ""
            if kernel in _SUMS
            else f"The {kernel} similarity is no sum over parameters, so no layer has a part in it."
        )

    def compute(
        self, subject: Subject, options: dict[str, Any], *, progress: Progress, cancel: Cancel, publish: Publish
    ) -> Layers:
        """Parts of all pairs, then their CKA."""
        from netgeom_widgets.kernels.similarity import cka, similarity_matrix

        found = similarity_matrix(
            subject.model,
            subject.samples.inputs,
            by_parameter=True,
            progress=progress,
            cancel=cancel,
            **subject.options,
        )
        names, parts = _by_layer(found.parts)
        n = len(names)
        table = np.full((n, n), np.nan)
        layers = Layers(names, parts, table)
        for row in range(n):
            for column in range(row + 1):
                cancel.checkpoint()
                progress.update(row * (row + 1) / 2 + column, n * (n + 1) / 2, "CKA of the layers")
                table[row, column] = table[column, row] = cka(parts[row], parts[column])
            publish(layers)
        return layers

    def make(self) -> LayoutDOM:
        """A heat map."""
        self._figure = LayersFigure()
        return self._figure.root

    def draw(self, found: Layers, subject: Subject) -> None:
        """The heat map."""
        self._figure.draw(found.cka, found.names, found.shares)

    def words(self, found: Layers, subject: Subject) -> str:
        """Which layer contributes most."""
        most = int(np.argmax(found.shares))
        share = 100 * float(found.shares[most])
        return f"{len(found.names)} layers; layer {found.names[most]} contributes most to k(x, x): {share:.3g} %"

    def arrays(self, found: Layers) -> dict[str, Any]:
        """Parts, names, CKA."""
        return {"names": np.array(found.names), "parts": np.stack(found.parts), "cka": found.cka}


class LayersPanel(Parts):
    """The fold on layers."""

    by_layer = traitlets.Bool(False, help="Whether the agreement of the layers is shown.").tag(
        setting="mark", needs="a model and inputs"
    )

    def _make_parts(self) -> list[Part]:
        parts = super()._make_parts()
        return parts if self._source.is_stored else [*parts, LayersPart()]  # type: ignore[attr-defined]


def _by_layer(parts: dict[str, np.ndarray]) -> tuple[list[str], list[np.ndarray]]:
    """Parts of parameters summed by the module that owns them; a model's own parameters stand alone. Empties the dict.

    Each part is as large as the matrix: none is held longer than needed.
    """
    grouped: dict[str, np.ndarray] = {}
    for name in list(parts):
        part, layer = parts.pop(name), name.rpartition(".")[0] or name
        if layer in grouped:
            grouped[layer] += part
        else:
            grouped[layer] = part
    return list(grouped), list(grouped.values())

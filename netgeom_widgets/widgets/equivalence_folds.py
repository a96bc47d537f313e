"""Mixin of the equivalence slice viewer: what is shown below the figure, most of it on demand.

A fold is a `Part` with a mixin that declares its traits and appends it in ``_make_parts``; its subject is the `Picture`
that is shown. The mixins are listed as bases here, from the bottom of the widget to its top.
"""

from __future__ import annotations

from netgeom_widgets.widgets.equivalence_class_curves import ClassCurvesPanel
from netgeom_widgets.widgets.equivalence_comparison import ComparisonPanel
from netgeom_widgets.widgets.equivalence_elements import ElementsPanel
from netgeom_widgets.widgets.equivalence_projection import ProjectionPanel


class Folds(ProjectionPanel, ComparisonPanel, ClassCurvesPanel, ElementsPanel):
    """Elements, spectrum, curves, comparison, three dimensions and more: all of the picture shown."""

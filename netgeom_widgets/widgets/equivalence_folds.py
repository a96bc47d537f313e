"""Mixin of the equivalence slice viewer: what is shown below the figure, most of it on demand.

A fold is a `Part` with a mixin that declares its traits and appends it in ``_make_parts``; its subject is the `Picture`
that is shown. The mixins are listed as bases here, from the top of the widget to its bottom.
"""

from __future__ import annotations

from netgeom_widgets.widgets.equivalence_parts import ViewerParts


class Folds(ViewerParts):
    """Elements, spectrum, curves, space and comparison: all of the picture shown."""

"""Which rows of a glyph renderer are drawn, in which style."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import CDSView, GlyphRenderer

from netgeom_widgets.figures.static.columns import Rows, row_count, view_mask


def is_visible(model: Any) -> bool:
    """Whether a renderer and the group it belongs to are shown."""
    group = getattr(model, "group", None)
    return bool(model.visible) and (group is None or bool(group.visible))


def rows_of(renderer: GlyphRenderer, glyph: Any = None) -> Rows:
    """All rows of a renderer that its view lets through."""
    source = renderer.data_source
    mask = np.ones(row_count(source), bool)
    if isinstance(renderer.view, CDSView):
        mask = view_mask(renderer.view.filter, source, len(mask))
    return Rows(glyph or renderer.glyph, source, np.flatnonzero(mask))


def _state(renderer: GlyphRenderer, name: str) -> tuple[Any, dict[str, float]]:
    """Glyph and overrides of a state (selection, nonselection, muted).

    "auto" is the glyph itself, faded unless it is selected.
    """
    glyph = getattr(renderer, f"{name}_glyph")
    if glyph is not None and not isinstance(glyph, str):
        return glyph, {}
    fade = 0.2 if name in ("nonselection", "muted") and glyph == "auto" else None
    alphas = ("fill_alpha", "line_alpha", "hatch_alpha", "text_alpha")
    faded = {key: fade for key in alphas if fade is not None and key in renderer.glyph.properties()}
    return renderer.glyph, faded


def glyph_layers(renderer: GlyphRenderer) -> list[Rows]:
    """What a renderer draws now: its glyph, or the unselected and then the selected rows each in their style."""
    rows = rows_of(renderer)
    if renderer.muted:
        glyph, overrides = _state(renderer, "muted")
        return [Rows(glyph, rows.source, rows.index, overrides)]
    chosen = np.isin(rows.index, np.asarray(list(renderer.data_source.selected.indices), dtype=np.intp))
    if not chosen.any():
        return [rows]
    layers = []
    for keep, name in ((~chosen, "nonselection"), (chosen, "selection")):
        glyph, overrides = _state(renderer, name)
        layers.append(Rows(glyph, rows.source, rows.index[keep], overrides))
    return [layer for layer in layers if len(layer)]

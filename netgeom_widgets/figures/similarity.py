"""The picture of a similarity matrix by itself, for scripts and notebooks."""

from __future__ import annotations

from typing import Any

from bokeh.models import LayoutDOM

from netgeom_widgets.figures.similarity_matrix import MatrixPart


def matrix_picture(similarity: Any, *, height: int = 560, **options: Any) -> LayoutDOM:
    """A similarity matrix as one figure: to be saved as HTML, PNG or SVG, or shown with ``bokeh.io.show``.

    Parameters
    ----------
    similarity : Similarity, (n, m) array, or tile store
        What `similarity_matrix`, or any other way, gave. A `Similarity` brings the name of its kernel along.
    height : int
        In pixels; as wide as the cell, at most 560 pixels.
    **options
        As for `MatrixPart.draw`: ``order``, ``ordering`` (what to call it), ``labels``, ``ids``, ``kernel``,
        ``limits``, ``title``; ``others=True`` where the columns are other inputs than the rows.

    Returns
    -------
    bokeh.models.Plot
        A matrix of more than 640 rows or columns shows means of blocks, and says so: without a kernel there is nobody
        to ask for the entries when the user zooms in.

    Raises
    ------
    NetgeomError
        As `MatrixPart.draw`.

    Examples
    --------
    >>> order = seriate(similarity.values)  # doctest: +SKIP
    >>> matrix_picture(similarity, order=order, ordering="seriated", labels=labels)  # doctest: +SKIP
    """
    part = MatrixPart(height)
    kernel = getattr(similarity, "kernel", None)
    values = similarity if hasattr(similarity, "block") else getattr(similarity, "values", similarity)
    part.draw(values, **({} if kernel is None else {"kernel": kernel}) | options)
    return part.root

"""When two Morse graphs are the same: posets up to the names of their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import igraph

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.order_retraction.morse import MorseDecomposition


@dataclass(frozen=True)
class PosetForm:
    """A Morse graph in canonical numbering; two are equal exactly when the posets are isomorphic.

    Attributes
    ----------
    heights : tuple of int
        Longest chain below each node.
    hasse : tuple of (upper, lower)
        Edges between neighbours in the order.
    """

    heights: tuple[int, ...]
    hasse: tuple[tuple[int, int], ...]

    @property
    def n_nodes(self) -> int:
        """Nodes."""
        return len(self.heights)

    @property
    def n_attractors(self) -> int:
        """Minimal nodes."""
        return self.heights.count(0)

    def __str__(self) -> str:
        if not self.heights:
            return "no recurrent cell"
        edges = ", ".join(f"{upper}→{lower}" for upper, lower in self.hasse)
        return f"{self.n_nodes} node{'s' if self.n_nodes > 1 else ''}" + (f": {edges}" if edges else "")


def poset_form(heights: Sequence[int], hasse: Sequence[tuple[int, int]]) -> PosetForm:
    """Canonical form of a poset given by its Hasse diagram.

    Canonical labelling (bliss; Junttila and Kaski 2007) of the diagram without directions, coloured by height: an edge
    always leads to a smaller height, so the colours hold the directions.

    Parameters
    ----------
    heights : sequence of int
        Longest chain below each node.
    hasse : sequence of (upper, lower)

    Returns
    -------
    PosetForm
        Numbered by height. Exact; quick for the sparse diagrams that occur, exponential in the worst case.

    Raises
    ------
    NetgeomError
        An edge of a node that is not there, or to one that is no lower.
    """
    colours = [int(height) for height in heights]
    pairs = [(int(upper), int(lower)) for upper, lower in hasse]
    for upper, lower in pairs:
        if not (0 <= min(upper, lower) <= max(upper, lower) < len(colours) and colours[lower] < colours[upper]):
            raise NetgeomError(
                "This is no Hasse diagram",
                expected=f"edges (upper, lower) between nodes 0 to {len(colours) - 1}, to a smaller height",
                got=f"({upper}, {lower})",
            )
    graph = igraph.Graph(n=len(colours), edges=pairs, vertex_attrs={"height": colours})
    if colours:
        graph = graph.permute_vertices(graph.canonical_permutation(color=colours))
    found = list(graph.vs["height"]) if colours else []
    rank = {old: new for new, old in enumerate(sorted(range(len(found)), key=lambda v: (found[v], v)))}
    edges = [(rank[a], rank[b]) if found[a] > found[b] else (rank[b], rank[a]) for a, b in graph.get_edgelist()]
    return PosetForm(tuple(sorted(found)), tuple(sorted(edges)))


def form_of(decomposition: MorseDecomposition) -> PosetForm:
    """Canonical form of a Morse graph."""
    return poset_form(decomposition.heights.tolist(), decomposition.hasse)

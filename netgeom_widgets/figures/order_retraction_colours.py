"""Colours of Morse nodes, by their place in the order: a hue for each minimal node, mixtures above."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.figures import palettes
from netgeom_widgets.figures.oklab import from_oklab, to_oklab

if TYPE_CHECKING:
    from netgeom_widgets.kernels.order_retraction import MorseDecomposition

ENDS = "#D4D4D4"
"""Colour of cells that reach no recurrent cell: they leave the domain, or end."""

#: Okabe and Ito's hues without the grey, which is left to `ENDS`; then the same darker, and lighter.
_HUES, _ROUNDS = palettes.OKABE_ITO[:7], (0.0, -0.26, 0.13)
#: Lightness of the strong colours of minimal nodes, and how much darker the highest node is.
_LIGHTNESS, _FALL = (0.52, 0.72), 0.24
#: Least chroma of a mixture: opposite hues would mix to the grey of `ENDS`.
_CHROMA = 0.055
#: A tile's colour goes so far from its Morse set's colour to near white, and keeps so much of its chroma.
_WHITE, _TOWARDS, _PALE = 0.97, 0.66, 0.55
#: The stripes of undecided cells go so far.
_HALFWAY = 0.36
#: Tiles whose colours are nearer than this in Oklab are hard to tell apart; a node's colour then gives way by turns of
#: its hue, and gets chroma enough for a turn to be seen. Lightness stays: it says how high a node is.
_APART, _MOST_APART, _TURNED_CHROMA = 0.09, 300, 0.1
_TURNS = (0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180)


@dataclass(frozen=True, eq=False)
class NodeColours:
    """A strong and a light colour for each Morse node.

    Attributes
    ----------
    strong : (k, 3) float
        Oklab coordinates of the colours of Morse sets.
    hues : (k,) int
        Number of a minimal node's hue in the palette; -1 for the other nodes.
    """

    strong: Float[np.ndarray, "k 3"]
    hues: Int[np.ndarray, " k"]

    @cached_property
    def sets(self) -> UInt8[np.ndarray, "k 4"]:
        """RGBA of Morse sets."""
        return from_oklab(self.strong)

    @cached_property
    def tiles(self) -> UInt8[np.ndarray, "k 4"]:
        """RGBA of tiles: the hue of the Morse set, lighter."""
        return from_oklab(_lightened(self.strong))

    @cached_property
    def names(self) -> list[str]:
        """The colours of Morse sets as `#rrggbb`."""
        return palettes.to_hex(self.sets)

    def blends(self, reach_sets: Bool[np.ndarray, "U k"]) -> tuple[UInt8[np.ndarray, "U 4"], UInt8[np.ndarray, "U 4"]]:
        """The two colours of the stripes of cells that are undecided: of two nodes reached that differ much.

        They lie between strong and light, so that a single cell looks like neither a Morse set nor a tile.
        The one that is farthest from the mean of all reached, and the one farthest from that: of thousands of nodes, in
        thousands of sets, the two that differ most would take minutes to find.
        """
        pairs = np.zeros((2, len(reach_sets), 3))
        for row, reach in enumerate(np.asarray(reach_sets, dtype=bool)):
            found = self.strong[reach]
            first = found[((found - found.mean(axis=0)) ** 2).sum(axis=1).argmax()]
            pairs[:, row] = first, found[((found - first) ** 2).sum(axis=1).argmax()]
        return from_oklab(_lightened(pairs[0], _HALFWAY)), from_oklab(_lightened(pairs[1], _HALFWAY))


def node_colours(
    decomposition: MorseDecomposition, previous: tuple[MorseDecomposition, NodeColours] | None = None
) -> NodeColours:
    """Colours from the order of the nodes alone.

    Minimal nodes (attractors) get hues that colour-blind readers can tell apart; a node above others gets the mixture
    (mean in Oklab) of the hues of the minimal nodes that it reaches, darker the higher it is. Nodes that would look
    alike give way to each other. Past 21 minimal nodes the colours come again, and the numbers alone tell nodes apart.

    Parameters
    ----------
    decomposition : MorseDecomposition
    previous : (MorseDecomposition, NodeColours), optional
        What was shown before, over the same domain: minimal nodes whose cells lie where a minimal node was keep its
        hue (`match_nodes`).

    Returns
    -------
    NodeColours
        O(k²); half a second for 300 nodes. Past 300 nodes none gives way.
    """
    leq = np.asarray(decomposition.leq, dtype=bool)
    k = len(leq)
    minimal = leq.sum(axis=0) == 1
    hues = np.full(k, -1, dtype=np.int64)
    if previous is not None:
        hues[minimal] = _kept(decomposition, *previous)[minimal]
    taken = set(hues.tolist())
    free = (hue for hue in range(2 * k + 1) if hue not in taken)
    for node in np.flatnonzero(minimal & (hues < 0)).tolist():
        hues[node] = next(free)
    strong = np.zeros((k, 3))
    strong[minimal] = _hue_colours(hues[minimal])
    heights = np.asarray(decomposition.heights, dtype=float)
    highest = max(float(heights.max(initial=0)), 1.0)
    for node in np.flatnonzero(~minimal).tolist():
        below = strong[leq[:, node] & minimal]
        strong[node] = _mixed(below) - [_FALL * heights[node] / highest, 0, 0]
    return NodeColours(_set_apart(strong, minimal), hues)


def _hue_colours(hues: np.ndarray) -> np.ndarray:
    colours = to_oklab(palettes.to_rgba(_HUES))[hues % len(_HUES)]
    colours[:, 0] = np.clip(colours[:, 0], *_LIGHTNESS) + np.array(_ROUNDS)[hues // len(_HUES) % len(_ROUNDS)]
    return colours


def _mixed(colours: np.ndarray) -> np.ndarray:
    """Mean of colours, of some chroma."""
    light, *plane = colours.mean(axis=0)
    chroma = float(np.hypot(*plane))
    direction = np.array(plane) / chroma if chroma > 1e-6 else np.array([0.7, -0.7])  # purple: no hue of the palette
    return np.array([light, *(direction * max(chroma, _CHROMA))])


def _lightened(colours: np.ndarray, towards: float = _TOWARDS) -> np.ndarray:
    light = colours[:, :1] + towards * (_WHITE - colours[:, :1])
    return np.hstack([light, _PALE * colours[:, 1:]])


def _set_apart(colours: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Colours in which none but the fixed ones is near an earlier one, as far as there is room."""
    colours = colours.copy()
    done = np.flatnonzero(fixed).tolist()
    for node in np.flatnonzero(~fixed).tolist() if len(colours) <= _MOST_APART else ():
        tries = np.array([_turned(colours[node], turn) for turn in _TURNS])
        between = _lightened(tries)[:, None] - _lightened(colours[done])[None]
        far = np.linalg.norm(between, axis=2).min(axis=1, initial=1.0)
        enough = np.flatnonzero(far >= _APART)
        colours[node] = tries[enough[0] if len(enough) else int(far.argmax())]
        done.append(node)
    return colours


def _turned(colour: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    a, b = colour[1:] * (max(1.0, _TURNED_CHROMA / np.hypot(*colour[1:])) if degrees else 1.0)
    return np.array([colour[0], cos * a - sin * b, sin * a + cos * b])


def _kept(now: MorseDecomposition, before: MorseDecomposition, colours: NodeColours) -> Int[np.ndarray, " k"]:
    """Hues that nodes keep from the nodes that they lie in; of several in one node the largest keeps it."""
    from netgeom_widgets.kernels.order_retraction import match_nodes

    if len(colours.hues) != before.n_nodes:
        raise NetgeomError(
            "These colours are not of that decomposition.",
            expected=f"{before.n_nodes} nodes",
            got=f"{len(colours.hues)}",
        )
    matched = np.asarray(match_nodes(before, now))
    kept = np.where(matched >= 0, colours.hues[matched] if before.n_nodes else -1, -1)
    minimal = np.asarray(now.leq).sum(axis=0) == 1
    seen: set[int] = set()
    for node in np.argsort(-np.asarray(now.sizes), kind="stable").tolist():
        if not minimal[node] or int(kept[node]) in seen:
            kept[node] = -1
        seen.add(int(kept[node]))
    return kept

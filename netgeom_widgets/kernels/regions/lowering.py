"""Rewriting a traced graph: every form of maximum and minimum becomes one over axes, which gives values only."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.regions import elementwise, windows
from netgeom_widgets.kernels.regions.calls import argument

_LARGER = {torch.max, torch.amax, torch.maximum, "max", "amax", "maximum"}
_SMALLER = {torch.min, torch.amin, torch.minimum, "min", "amin", "minimum"}
_OF_PAIRS = {torch.maximum, torch.minimum, "maximum", "minimum"}
_VALUES_ONLY = {torch.amax, torch.amin, "amax", "amin"}

Refuse = Callable[[fx.Node, str], NetgeomError]


def lower_maxima(graph: fx.Graph, refuse: Refuse) -> None:
    """Rewrite in place what depends on the input; ``refuse`` makes the error that names a node and its problem."""
    batched: set[fx.Node] = set()
    for node in list(graph.nodes):
        if not (node.op == "placeholder" and not batched) and not any(i in batched for i in node.all_input_nodes):
            continue
        batched.add(node)
        if node.op not in ("call_function", "call_method"):
            continue
        if elementwise.is_clamp(node.target):
            _lower_clamp(graph, node)
        elif node.target in _LARGER or node.target in _SMALLER:
            _lower(graph, node, windows.larger if node.target in _LARGER else windows.smaller, refuse)


def _lower(graph: fx.Graph, node: fx.Node, target: Any, refuse: Refuse) -> None:
    rest, kwargs = node.args[1:], dict(node.kwargs)
    other = argument(rest, kwargs, 0, "other", None)
    if node.target in _OF_PAIRS or isinstance(other, fx.Node):
        _take_of_pair(graph, node, target, node.args[0], other)
        return
    dim = argument(rest, kwargs, 0, "dim", None)
    if dim is None or dim == ():
        raise refuse(node, "is taken over the whole batch: a sample's output depends on the others (give dim)")
    if not (isinstance(dim, int) or (isinstance(dim, tuple | list) and all(isinstance(d, int) for d in dim))):
        raise refuse(node, "is taken over an axis that is not a fixed number")
    if node.target not in _VALUES_ONLY:
        _drop_selectors(graph, node, refuse)
    keepdim = bool(argument(rest, kwargs, 1, "keepdim", False))
    _become(node, target, (node.args[0], tuple(dim) if isinstance(dim, list) else dim, keepdim))


def _become(node: fx.Node, target: Any, args: tuple[Any, ...]) -> None:
    node.op, node.target, node.args, node.kwargs = "call_function", target, args, {}


def _take_of_pair(graph: fx.Graph, node: fx.Node, target: Any, a: Any, b: Any) -> None:
    with graph.inserting_before(node):
        stacked = graph.call_function(windows.pair, (a, b))
    stacked.meta["path"] = node.meta.get("path", "")
    _become(node, target, (stacked, -1, False))


def _drop_selectors(graph: fx.Graph, node: fx.Node, refuse: Refuse) -> None:
    """``max(x, dim)`` gives values and indices: those who take the values read the node itself."""
    for user in list(node.users):
        which = user.args[1] if user.target in (operator.getitem, getattr) and user.args[0] is node else None
        if which in (0, "values"):
            user.replace_all_uses_with(node)
        elif which not in (1, "indices") or user.users:
            raise refuse(node, "gives indices, which are not continuous, or is not taken apart: use [0] or .values")
        graph.erase_node(user)


def _lower_clamp(graph: fx.Graph, node: fx.Node) -> None:
    """A clamp between tensors is a maximum and a minimum; one between numbers stays."""
    name = str(getattr(node.target, "__name__", node.target)).rstrip("_")
    rest, kwargs = node.args[1:], dict(node.kwargs)
    low = None if name == "clamp_max" else argument(rest, kwargs, 0, "min", None)
    high = argument(rest, kwargs, 0 if name == "clamp_max" else 1, "max", None)
    if name == "clamp_min":
        high = None
    if not any(isinstance(bound, fx.Node) for bound in (low, high)):
        return
    value = node.args[0]
    if low is not None and high is not None:
        with graph.inserting_before(node):
            stacked = graph.call_function(windows.pair, (value, low))
            value = graph.call_function(windows.larger, (stacked, -1, False))
        stacked.meta["path"] = value.meta["path"] = node.meta.get("path", "")
    last, bound = (windows.larger, low) if high is None else (windows.smaller, high)
    _take_of_pair(graph, node, last, value, bound)

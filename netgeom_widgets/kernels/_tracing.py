"""A model's graph of operations, read by torch.fx from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch import fx, nn

from netgeom_widgets.errors import UnsupportedModuleError

# While it traces, torch.fx replaces nn.Module.__call__ for all threads: two traces at once would leave it replaced.
_TRACING = threading.Lock()


class _Tracer(fx.Tracer):
    """Keeps the dotted path of the module being traced, to name what fails; calls in other threads are not traced."""

    def __init__(self, is_leaf: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self.is_leaf = is_leaf
        self.path = ""
        self.thread = threading.get_ident()

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return self.is_leaf(m) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if threading.get_ident() != self.thread:
            return forward(*args, **kwargs)
        outer, self.path = self.path, self.path_of_module(m)
        try:
            result = super().call_module(m, forward, args, kwargs)
        except UnsupportedModuleError:
            raise
        except Exception as error:
            raise untraceable(self.path, m, error) from error
        self.path = outer
        return result

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, name: Any = None, type_expr: Any = None
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, name, type_expr)
        node.meta["path"] = self.path
        return node


def untraceable(path: str, module: nn.Module, error: Exception) -> UnsupportedModuleError:
    """The error for a forward that is no fixed graph."""
    return UnsupportedModuleError(
        f"{path or 'the model'} ({type(module).__name__}) cannot be read as a fixed graph "
        f"({type(error).__name__}: {error})",
        expected="a forward without Python control flow on tensor values",
        try_this="modules and tensor operations only; shapes such as x.size(0) are fine",
    )


def traced_graph(model: nn.Module, is_leaf: Callable[[nn.Module], bool] = lambda _: False) -> fx.Graph:
    """The graph of a model; modules that `is_leaf` holds for are one operation, beside those of torch.nn.

    Raises
    ------
    UnsupportedModuleError
        A forward that is no fixed graph; names the dotted path of the module that fails.
    """
    tracer = _Tracer(is_leaf)
    try:
        with _TRACING:
            return tracer.trace(model)
    except UnsupportedModuleError:
        raise
    except Exception as error:  # whatever the user's forward raises on a proxy, the answer is the same
        raise untraceable(tracer.path, model, error) from error

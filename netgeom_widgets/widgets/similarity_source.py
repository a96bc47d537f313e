"""What the similarity matrix is of: the network with its samples, or a store, and what can be asked of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.widgets.settings import bad_setting, shortened
from netgeom_widgets.widgets.similarity_samples import Samples, to_numpy
from netgeom_widgets.widgets.similarity_settings import (
    ALL,
    FUNCTION,
    LABEL_MARGIN,
    LOSS,
    MARGIN,
    PROBABILITIES,
)

if TYPE_CHECKING:
    from torch import nn


class Source:
    """A network with its inputs, or a stored matrix; everything is checked here, before anything starts.

    Parameters
    ----------
    model : torch.nn.Module or None
        None is allowed for a store only.
    inputs : array or tensor (n, *input shape), or store, or its path
        A store is what :func:`netgeom_widgets.kernels.similarity.similarity_tiles` made.
    loss, function
        As for the widget.
    **known
        Labels, images, names and targets; see :class:`Samples`.

    Attributes
    ----------
    model : torch.nn.Module or None
        The one given, never touched.
    samples : Samples
    tiles : SimilarityTiles or None
        The stored matrix.
    n_outputs : int
        Of the network, 0 for a store.
    """

    def __init__(self, model: Any, inputs: Any, *, loss: Any, function: Callable[..., Any] | None, **known: Any):
        self.tiles = _opened(inputs)
        if self.tiles is not None and known["labels"] is None:
            known["labels"] = self.tiles.labels
        self.model, self.loss, self.function = model, loss, function
        if self.tiles is not None:
            if loss is not None or function is not None:
                given = "loss" if loss is not None else "function"
                raise NetgeomError(
                    "A store is shown as it is.", expected="labels, images, names or targets with it", got=given
                )
            self.samples = Samples(None, self.tiles.n, **known)
            self.n_outputs = 0
            return
        array = inputs if hasattr(inputs, "detach") else to_numpy(inputs)
        if array.ndim < 1 or not len(array):
            raise NetgeomError(
                "There are no inputs.", expected="(n, *input shape), n > 0", got=f"shape {(*array.shape,)}"
            )
        self.samples = Samples(array, len(array), **known)
        self.n_outputs = _count_outputs(self.copied(), array)
        if function is not None and not callable(function):
            raise NetgeomError(
                "function is not callable.", expected="outputs (n, C) -> (n,) or (n, d)", got=f"{function!r}"
            )
        if loss is not None and self.samples.targets is None:
            raise NetgeomError("There is a loss without targets.", expected="targets", got=f"loss={loss!r}")

    @property
    def is_stored(self) -> bool:
        """Whether the matrix is read and not computed."""
        return self.tiles is not None

    def copied(self, model: nn.Module | None = None) -> nn.Module:
        """A copy of the model, or of another one, as it is now, in eval mode; on the caller's thread.

        It takes gradients in the parameters in which the one given does.
        """
        from netgeom_widgets.kernels._model import private_copy, unwrapped

        given = self.model if model is None else model
        copied = private_copy(given, dtype=None)
        for own, parameter in zip(copied.parameters(), unwrapped(given).parameters(), strict=True):
            own.requires_grad_(parameter.requires_grad)
        return copied

    def count_outputs(self, model: nn.Module) -> int:
        """How many outputs a copied network has for these inputs; one that does not take them is refused."""
        return _count_outputs(model, self.samples.inputs)

    # ---- outputs

    def lacks_for(self, output: Any) -> str:
        """What is missing for a choice of output, in words; empty when nothing is."""
        if output in (MARGIN, LABEL_MARGIN, PROBABILITIES) and self.n_outputs < 2:
            return "the model has one output"
        if output == LABEL_MARGIN and not self.samples.has_classes:
            return "there are no labels that are classes"
        if output == LABEL_MARGIN and int(self.samples.labels.max(initial=0)) >= self.n_outputs:  # type: ignore[union-attr]
            return "labels go beyond the outputs"
        if output == LOSS and self.samples.targets is None:
            return "there are no targets"
        if output == FUNCTION and self.function is None:
            return "no function was given"
        return ""

    @property
    def loss_used(self) -> Any:
        """The loss given, or the one that fits the targets: classes or values."""
        if self.loss is not None or self.samples.targets is None:
            return self.loss
        from netgeom_widgets.kernels.similarity.fit import default_loss

        return default_loss(self.samples.targets)

    def output(self, choice: Any, rows: Any = None, columns: Any = None) -> Any:
        """What the kernel takes as ``output``, for all inputs, or for some rows and columns of the matrix."""
        from netgeom_widgets.kernels.similarity import outputs

        def of(values: Any, ids: Any) -> Any:
            return values if ids is None else values[np.asarray(ids)]

        if choice == ALL or isinstance(choice, int):
            return None if choice == ALL else choice
        if choice == FUNCTION:
            return self.function
        if choice == PROBABILITIES:
            return outputs.probabilities()
        if choice == MARGIN:
            return outputs.margin()
        given = self.samples.labels if choice == LABEL_MARGIN else self.samples.targets
        others = None if columns is None else of(given, columns)
        if choice == LABEL_MARGIN:
            return outputs.margin(of(given, rows), others)
        return outputs.loss_gradient(of(given, rows), self.loss_used, others)

    # ---- parameters

    @property
    def modules(self) -> list[str]:
        """Modules that own parameters, by dotted name; the model's own parameters by theirs."""
        return list(dict.fromkeys(name.rpartition(".")[0] or name for name in _trainable(self.model)))

    def parameter_names(self, chosen: tuple[str, ...] | None, model: nn.Module | None = None) -> list[str]:
        """Dotted names of the parameters that count, of the model or of another one.

        Raises
        ------
        NetgeomError
            For a name that is neither a parameter nor a module with some, or when none takes gradients.
        """
        trainable, known = _trainable(self.model), _known(self.model)
        if model is not None and any(parameter.requires_grad for parameter in model.parameters()):
            trainable, known = _trainable(model), _known(model)  # networks of checkpoints are given without gradients
        if chosen is None:
            if not trainable:
                raise NetgeomError(
                    "No parameter takes gradients.", expected="requires_grad", try_this="parameters=[...]"
                )
            return trainable
        names: list[str] = []
        for name in chosen:
            found = [name] if name in known else [n for n in trainable if n.startswith(f"{name}.")]
            if not found:
                raise bad_setting("parameters", "There is no such parameter or module.", shortened(known), name)
            names += found
        return list(dict.fromkeys(names))


def _known(model: nn.Module) -> list[str]:
    """Dotted names of all parameters."""
    from netgeom_widgets.kernels._model import unwrapped

    return [name for name, _ in unwrapped(model).named_parameters()]


def _trainable(model: nn.Module) -> list[str]:
    """Dotted names of the parameters that take gradients."""
    from netgeom_widgets.kernels._model import unwrapped

    return [name for name, tensor in unwrapped(model).named_parameters() if tensor.requires_grad]


def _opened(inputs: Any) -> Any:
    """The store that was given, or None for inputs."""
    if isinstance(inputs, str | os.PathLike):
        from netgeom_widgets.kernels.similarity import open_tiles

        inputs = open_tiles(inputs)
    if not (hasattr(inputs, "overview") and hasattr(inputs, "block")):
        return None
    done, total = inputs.progress
    if done < total:
        raise NetgeomError(
            "The store is not finished.",
            expected=f"{total:,} tiles",
            got=f"{done:,}",
            try_this="similarity_tiles with the same arguments goes on where it stopped",
        )
    if inputs.shape[0] != inputs.shape[1]:
        raise NetgeomError("The store is of other inputs too.", expected="n x n", got=f"{inputs.shape}")
    return inputs


def _count_outputs(model: nn.Module, inputs: Any) -> int:
    """How many outputs the network has, asked with the first input; what it refuses is refused here."""
    import torch

    from netgeom_widgets.kernels._model import as_inputs

    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    first = as_inputs(inputs, dtype)[:1]  # refuses whatever is not finite
    try:
        with torch.no_grad():
            found = model(first)
    except Exception as error:  # the user's code runs here: whatever it raises, the answer is the same
        raise NetgeomError(
            f"The model does not take these inputs ({type(error).__name__}: {str(error).splitlines()[0]})",
            expected="a model of one tensor, batch first",
            got=f"inputs of shape {(*inputs.shape,)}, {inputs.dtype}",
        ) from error
    if not isinstance(found, torch.Tensor) or not found.numel():
        raise NetgeomError("The model does not return a tensor.", expected="(n, C)", got=type(found).__name__)
    return int(found.reshape(1, -1).shape[1])

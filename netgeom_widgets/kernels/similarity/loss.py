"""A training term that makes a network treat pairs of inputs alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels.similarity.outputs import as_output, rows_of
from netgeom_widgets.kernels.similarity.pair_products import pair_products


def similarity_loss(
    model: nn.Module, a: Any, b: Any, *, output: Any = None, parameters: Sequence[str] | None = None
) -> Tensor:
    """1 - mean similarity of the pairs (a_i, b_i), to be minimised beside the loss of the task.

    Inputs that a group maps onto each other become alike for the network when this falls (Charpiat et al. 2019, where
    it is the term for group invariance). The sign matters: the authors' program for this experiment adds + similarity
    to the loss, and training with it lowers the similarity.

    The similarity is the cosine of the gradients, of all d outputs together ("flat" in `similarity_matrix`). For
    classes the authors take one number instead, the margin of the label: ``output=margin(labels)``, d times cheaper.

    Parameters
    ----------
    model : torch.nn.Module
        The live model, on any device: nothing is copied, no train or eval flag and no ``.grad`` is touched. In train
        mode random layers draw one mask for all of the batch; layers that use statistics of the batch are refused.
    a, b : (n, *input shape)
        The pairs; tensors or arrays.
    output : None, int, callable or Output
        As in `similarity_matrix`; of an Output its ``targets`` belong to ``a``, and to ``b`` its ``others`` or, where
        there are none, its ``targets`` again.
    parameters : list of str, optional
        Dotted names of the parameters whose gradients are compared; None: all that require gradients.

    Returns
    -------
    Tensor
        A scalar from 0 to 2, differentiable in all parameters of the model. Pairs with a zero gradient count 1.

    Raises
    ------
    NetgeomError
        Batches that do not fit, unknown parameters, layers that use statistics of the batch.

    Notes
    -----
    Linear layers that see one row for each sample cost d backward passes of the batch and their differentiation; their
    products are compared with autograd's for the first pair. All other parameters are differentiated whole: 2 n d
    gradients, 2 n d p numbers and what their graph holds.
    """
    if not isinstance(model, nn.Module):
        raise NetgeomError("The model is not a torch module", expected="a torch.nn.Module", got=type(model).__name__)
    _check_independent(model)
    chosen = _parameters(model, parameters)
    function = as_output(output)
    first, second = (_batch(x, next(iter(chosen.values()))) for x in (a, b))
    if first.shape != second.shape or not len(first):
        raise NetgeomError(
            "a and b are no pairs", expected="two batches of one shape", got=f"{(*first.shape,)}, {(*second.shape,)}"
        )
    own = rows_of(function, len(first))
    other = own if function.others is None else rows_of(function, len(second), others=True)
    targets = None if own is None or other is None else torch.cat([own, other]).to(first.device)
    with torch.enable_grad():  # gradients are part of the value, also where its own are not wanted
        products = pair_products(model, chosen, torch.cat([first, second]), function, targets)
    squares = products.own[: len(first)] * products.own[len(first) :]
    zero = squares == 0
    norms = torch.where(zero, 1.0, squares).sqrt()  # not the root of 0, whose derivative is infinite
    loss = 1 - torch.where(zero, 0.0, products.pairs / norms).mean()
    return loss if torch.is_grad_enabled() else loss.detach()


def _parameters(model: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Parameter]:
    known = dict(model.named_parameters())
    wanted = [name for name, p in known.items() if p.requires_grad] if names is None else list(names)
    wrong = [name for name in wanted if name not in known or not known[name].requires_grad]
    if isinstance(names, str) or wrong or not wanted:
        raise NetgeomError(
            "These are no parameters to differentiate in",
            expected="a list of dotted names of parameters that require gradients",
            got=f"{names!r}" if names is not None else "a model without any",
        )
    return {name: known[name] for name in wanted}


def _batch(x: Any, like: Tensor) -> Tensor:
    tensor = torch.as_tensor(x, device=like.device)
    return tensor.to(like.dtype) if tensor.is_floating_point() else tensor


def _check_independent(model: nn.Module) -> None:
    for path, module in model.named_modules():
        batch = isinstance(module, nn.modules.batchnorm._BatchNorm) and (module.training or module.running_mean is None)
        tracked = isinstance(module, nn.modules.instancenorm._InstanceNorm) and module.training
        if batch or (tracked and module.track_running_stats):
            raise NetgeomError(
                f"{path or 'The model'} uses or changes statistics of the batch: a sample has no gradient of its own",
                expected="running statistics in eval mode, GroupNorm or LayerNorm",
                got=type(module).__name__,
                try_this=f"model.get_submodule({path!r}).eval() while this term is taken",
            )

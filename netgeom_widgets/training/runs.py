"""Many small networks of one architecture, trained as one batched torch computation."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.execution import Cancel, Progress, as_cancel, as_progress
from netgeom_widgets.recording.ensemble import EnsembleWriter
from netgeom_widgets.recording.schedules import Schedule, as_schedule
from netgeom_widgets.training.ensemble import Ensemble, initial_networks
from netgeom_widgets.training.samples import LOSSES, Loss, Samples
from netgeom_widgets.training.settings import Settings, require_count


@dataclass(frozen=True, eq=False)
class TrainedRuns:
    """What `train_runs` leaves.

    Attributes
    ----------
    parameters : ndarray (runs, P), in the dtype of the networks
        The trained parameters, each row in ``model.parameters()`` order.
    history : ndarray (runs, epochs)
        Training loss of every epoch, as it was met in training: the mean over the samples, each with the parameters it
        was trained with.
    final_loss : ndarray (runs,)
        Loss over all samples with the last parameters, in eval mode.
    constant_loss : ndarray (runs,)
        The same loss of the best constant output (for ``"mse"`` the mean of the targets, for ``"l1"`` their median, for
        ``"cross_entropy"`` the class frequencies); NaN for a loss of your own.
    seeds : tuple of int
        Of each run: for the initial weights and for the order of the samples.
    run_ids : tuple of str
        The recorded runs; () without ``record``.
    batched : bool
        Whether all runs went through torch at once; False: one after the other, see `notes`.
    notes : tuple of str
        What the caller should know.
    settings : Settings
        The options the runs were trained with, as attributes.
    """

    parameters: Float[np.ndarray, "runs P"]
    history: Float[np.ndarray, "runs epochs"]
    final_loss: Float[np.ndarray, " runs"]
    constant_loss: Float[np.ndarray, " runs"]
    seeds: tuple[int, ...]
    run_ids: tuple[str, ...]
    batched: bool
    notes: tuple[str, ...]
    settings: Settings
    _network: nn.Module
    _buffers: dict[str, torch.Tensor]

    @property
    def relative_loss(self) -> Float[np.ndarray, " runs"]:
        """`final_loss` over `constant_loss`: 1 is what a network reaches that ignores its inputs."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.final_loss / self.constant_loss

    def converged(self, relative: float = 0.05) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which runs (runs,) ended with a finite loss of at most ``relative`` times that of the best constant output.

        A statement about the fit, not about the gradient. A loss of your own has no constant output to compare with.
        """
        if bool(np.isnan(self.constant_loss).any()):
            raise NetgeomError(
                "A loss of your own has no best constant output to compare with",
                expected=f"one of {', '.join(LOSSES)}",
                got=repr(self.settings.loss),
                try_this="final_loss against a number of your choice",
            )
        reached = self.final_loss <= relative * self.constant_loss
        return np.isfinite(self.final_loss) & reached

    def model(self, run: int) -> nn.Module:
        """The trained network of one run, a new one at each call, in eval mode."""
        if not -len(self.seeds) <= run < len(self.seeds):
            raise NetgeomError("There is no such run", expected=f"0 to {len(self.seeds) - 1}", got=str(run))
        network = copy.deepcopy(self._network)
        with torch.no_grad():
            row = torch.from_numpy(self.parameters[run].copy()).to(next(network.parameters()).device)
            nn.utils.vector_to_parameters(row, network.parameters())
            for name, buffer in network.named_buffers():
                buffer.copy_(self._buffers[name][run])
        return network.eval()

    def __repr__(self) -> str:
        runs, epochs = self.history.shape
        finite = self.final_loss[np.isfinite(self.final_loss)]
        span = f"{finite.min():.3g} to {finite.max():.3g}" if len(finite) else "not finite"
        return f"<{runs} runs of {epochs} epochs, {self.parameters.shape[1]:,} parameters each, final loss {span}>"


def train_runs(
    make_model: Callable[[], nn.Module],
    inputs: Any,
    targets: Any,
    *,
    runs: int,
    epochs: int,
    batch_size: int | None = None,
    optimizer: Literal["adam", "sgd"] = "adam",
    lr: float | Callable[[int], float] = 1e-3,
    loss: Literal["mse", "l1", "cross_entropy"] | Loss = "mse",
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    per_run: str | Sequence[str] = (),
    record: str | os.PathLike[str] | None = None,
    every: int | Literal["logarithmic"] | Schedule = 1,
    progress: bool | Progress | None = None,
    cancel: Cancel | None = None,
    seed: int | np.random.Generator = 0,
) -> TrainedRuns:
    """Train many networks of one architecture at once, each from its own initial weights and in its own order.

    Every run is what the plain torch loop gives, but for rounding::

        torch.manual_seed(run_seed)
        net, order = make_model(), torch.Generator().manual_seed(run_seed)
        for epoch in range(epochs):
            for rows in torch.randperm(n, generator=order).split(batch_size):
                ...  # zero_grad, loss(net(inputs[rows]), targets[rows]), backward, step

    The networks' parameters are the rows of one tensor (runs, P), on which torch's own optimiser works; the forward
    passes go through `torch.func.vmap`. A network that diverges does not disturb the others.

    Parameters
    ----------
    make_model : callable
        Called once for each run, right after `torch.manual_seed`; returns a network on any device, in train mode while
        it is trained. The networks must agree in all but the values of parameters and buffers. Random operations in
        train mode (dropout) are refused: they could not be repeated run by run.
    inputs, targets : arrays or tensors (n, ...)
        Floating ones in the networks' dtype; integers as they are. Targets have the shape of the outputs (one output a
        sample also without its axis), or are classes (n,) for ``"cross_entropy"``.
    runs, epochs : int
    batch_size : int or None
        Samples to a step; None: all, then in their own order. The last batch of an epoch may be smaller.
    optimizer : {"adam", "sgd"}
        As torch has them, with `weight_decay`, and `momentum` for ``"sgd"``.
    lr : float or callable
        Learning rate, or a function of the epoch (0, 1, ...).
    loss : {"mse", "l1", "cross_entropy"} or callable
        Mean over the batch and the outputs; or a function of outputs and targets of a batch that gives one number.
    per_run : "inputs", "targets" or both
        Which of the two have a first axis that counts runs: (runs, n, ...).
    record : path, optional
        A recording with one run for each network: outputs and parameters after the epochs that `every` names, with
        ``loss`` as a metric, from the initial network (step 0) to the last. For `open_recording` and `trajectories`.
    every : int, "logarithmic" or callable
        As in `Recorder`.
    seed : int or numpy Generator
        Run r has the seed ``seed + r``; a Generator draws one seed for each run.

    Returns
    -------
    TrainedRuns

    Raises
    ------
    NetgeomError
        Options, shapes or networks that do not fit, before anything is trained.
    Cancelled
        When asked to stop; a recording keeps what it has.

    Notes
    -----
    torch's global random numbers are afterwards what they were before. A network that vmap cannot batch (control flow
    that depends on values) is trained run by run instead, with a warning and a line in `TrainedRuns.notes`. A recorded
    snapshot costs one forward pass and some five files a run.
    """
    options = Settings(epochs, batch_size, optimizer, lr, loss, momentum, weight_decay)
    require_count("runs", runs)
    progress, cancel, seeds = as_progress(progress), as_cancel(cancel), _seeds(seed, runs)
    ensemble = Ensemble(initial_networks(make_model, seeds))
    samples = Samples(inputs, targets, per_run, runs, ensemble.dtype, ensemble.device, loss)
    ensemble.try_out(samples, options.criterion)
    writer = None if record is None else EnsembleWriter(record, ensemble.network, *samples.by_run())
    try:
        history = _train(ensemble, samples, options, seeds, writer, as_schedule(every), progress, cancel)
    finally:
        if writer is not None:
            writer.close()
    return TrainedRuns(
        parameters=ensemble.parameters().cpu().numpy(),
        history=history,
        final_loss=ensemble.final_losses(samples, options.criterion).cpu().numpy(),
        constant_loss=samples.constant_losses(),
        seeds=seeds,
        run_ids=() if writer is None else writer.run_ids,
        batched=ensemble.batched,
        notes=ensemble.notes,
        settings=options,
        _network=ensemble.network,
        _buffers=ensemble.buffers,
    )


def _train(
    ensemble: Ensemble,
    samples: Samples,
    options: Settings,
    seeds: Sequence[int],
    writer: EnsembleWriter | None,
    schedule: Schedule,
    progress: Progress,
    cancel: Cancel,
) -> np.ndarray[Any, Any]:
    """Train all networks in place, and record them; the losses (runs, epochs)."""
    epochs, stepper = options.epochs, options.optimizer_of(ensemble.theta)
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]
    history = np.full((ensemble.runs, epochs), np.nan)

    def record(step: int, metrics: dict[str, Any]) -> None:
        if writer is not None and (step in (0, epochs) or schedule(step)):
            writer.append(step, ensemble.parameters(), ensemble.buffers, ensemble.outputs(samples), metrics)

    record(0, {})
    for epoch in range(epochs):
        progress.update(epoch, epochs, f"training {ensemble.runs} networks")
        for group in stepper.param_groups:
            group["lr"] = options.rate(epoch)
        summed = torch.zeros(ensemble.runs, dtype=torch.float64)
        for x, y, axes, size in samples.batches(options.batch_size, orders):
            cancel.checkpoint()
            losses = ensemble.losses(x, y, axes, options.criterion)
            (ensemble.theta.grad,) = torch.autograd.grad(losses.sum(), ensemble.theta)
            stepper.step()
            summed += size * losses.detach().cpu()
        history[:, epoch] = summed / samples.n
        record(epoch + 1, {"loss": history[:, epoch]})
    progress.update(epochs, epochs)
    return history


def _seeds(seed: Any, runs: int) -> tuple[int, ...]:
    if isinstance(seed, np.random.Generator):
        return tuple(seed.integers(1 << 62, size=runs).tolist())
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise NetgeomError("seed is not understood", expected="an int or a numpy Generator", got=repr(seed))
    return tuple(int(seed) + r for r in range(runs))

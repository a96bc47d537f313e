"""Experiments stored by GENNI (https://arxiv.org/abs/2011.07407): elements, data drawn again, grids of losses."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray
from torch import nn

from netgeom_widgets.errors import NetgeomError
from netgeom_widgets.kernels._inputs import as_count
from netgeom_widgets.kernels.equivalence.genni_files import read_losses, read_settings


@dataclass(frozen=True, eq=False)
class GenniGrid:
    """One stored slice.

    Attributes
    ----------
    name : str
        Kind and time stamp, such as ``"2d_loss/Nov09_16-57-20"``.
    loss : ndarray
        J as it was stored, first array axis = first row of `basis` (GENNI's own order is the reverse). It was
        computed in float32 as the mean of the means of batches, whose sizes differ.
    axes : tuple of ndarray
        Coordinates along each row of the basis.
    center : ndarray, shape (P,)
    basis : ndarray, shape (k, P)
        Computed again as GENNI does, by QR of the differences; signs are as they come.
    settings : dict
        ``meta.yml`` without the basis.
    """

    name: str
    loss: Float64[ndarray, ...]
    axes: tuple[Float64[ndarray, " m"], ...]
    center: Float64[ndarray, " P"]
    basis: Float64[ndarray, "k P"]
    settings: dict[str, Any]


@dataclass(frozen=True, eq=False)
class GenniExperiment:
    """What one run of GENNI left, and the problem it was about.

    Attributes
    ----------
    model : torch.nn.Module
        The teacher, as GENNI draws it from its seed: float64, holding the float32 weights.
    inputs : ndarray, shape (N, *input)
        Drawn again: the first numbers of the same stream. GENNI draws another sample for each N.
    parameters : ndarray, shape (n, P)
        The elements at `step`, by their number.
    step : int
    steps : tuple of int
        All steps that are stored.
    settings : dict
        ``config.yml``.
    grids : tuple of GenniGrid
    run : str
        Name of the run's folder.
    """

    model: nn.Module
    inputs: Float64[ndarray, "N ..."]
    parameters: Float64[ndarray, "n P"]
    step: int
    steps: tuple[int, ...]
    settings: dict[str, Any]
    grids: tuple[GenniGrid, ...]
    run: str


def read_genni(
    folder: str | Path, *, run: str | None = None, step: int | None = None, n_samples: int = 500, grids: bool = True
) -> GenniExperiment:
    """Read an experiment in the layout of GENNI's repository.

    Nothing in its files is executed: weights are loaded with ``weights_only=True``, settings are read as text, grids by
    a reader that knows one numpy array and nothing else. Grids of parameters or of losses over UMAP are not read.
    The targets of the experiment are the outputs of the teacher: ``model`` itself.

    Parameters
    ----------
    folder : str or Path
        ``experiments/<name>``, with ``models/<run>/step_<k>/model_<i>.pt``, ``runs/<run>/config.yml`` and, for grids,
        ``postprocessing/<k>d_loss/<stamp>/data.pkl`` and ``meta.yml`` anywhere below it.
    run : str, optional
        Which one, where there are several.
    step : int, optional
        Default: the last one.
    n_samples : int
        Inputs to draw; GENNI's slices take 500.
    grids : bool
        Read the stored grids too.

    Returns
    -------
    GenniExperiment
        Exact: the weights are GENNI's float32 values; the inputs are its own too as long as torch draws the same
        numbers from a seed on the CPU, which it has done since 2020.

    Raises
    ------
    NetgeomError
        A file that is missing, broken or holds more than numbers; an unknown net, run or step.
    """
    folder = Path(folder)
    n_samples = as_count(n_samples, 1, 10**9, "n_samples")
    found = _run_of(folder, run)
    settings = read_settings(folder / "runs" / found.name / "config.yml")
    steps = {int(path.name[5:]): path for path in found.glob("step_*") if path.name[5:].isdigit()}
    if not steps or (step is not None and step not in steps):
        raise NetgeomError(
            f"{found} holds no such step", expected=", ".join(map(str, sorted(steps))) or "step_<k>", got=str(step)
        )
    chosen = max(steps) if step is None else step
    model, inputs = _problem(settings, n_samples)
    n_parameters = sum(p.numel() for p in model.parameters())
    stored = _elements(steps[chosen], settings, n_parameters)
    if list(stored) != list(range(len(stored))):
        raise NetgeomError(f"{steps[chosen]} lacks elements", expected="model_0.pt, ...", got=str(sorted(stored)))
    return GenniExperiment(
        model=model,
        inputs=inputs,
        parameters=np.stack(list(stored.values())),
        step=chosen,
        steps=tuple(sorted(steps)),
        settings=settings,
        grids=tuple(_grids(folder, steps, settings, n_parameters)) if grids else (),
        run=found.name,
    )


def _run_of(folder: Path, run: str | None) -> Path:
    runs = {path.name: path for path in sorted((folder / "models").glob("*")) if path.is_dir()}
    if run is None and len(runs) == 1:
        return next(iter(runs.values()))
    if run is None or run not in runs:
        raise NetgeomError(
            f"No run of {folder} is chosen" if runs else f"{folder} is no experiment of GENNI",
            expected=f"run= one of {', '.join(runs)}" if runs else "a folder with models/<run>/step_<k>/model_<i>.pt",
            got="" if run is None else repr(run),
        )
    return runs[run]


def _elements(folder: Path, settings: Mapping[str, Any], n_parameters: int) -> dict[int, Float64[ndarray, " P"]]:
    """Parameters by the number of their file; the order in a state dict is the order of the parameters."""
    found = {}
    for path in folder.glob("model_*.pt"):
        if not re.fullmatch(r"model_\d+\.pt", path.name):
            raise NetgeomError(f"{path} has no number", expected="model_<i>.pt")
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
            state = [value.reshape(-1) for value in stored["model_state_dict"].values()]
            vector = torch.cat(state).to(torch.float64).numpy()
        except Exception as error:  # pickle, zip and file errors of all kinds
            raise NetgeomError(
                f"{path} cannot be read as an element of GENNI",
                expected='a file with a "model_state_dict" of tensors',
                got=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
            ) from error
        if vector.shape != (n_parameters,) or stored.get("model_name") != settings.get("net_name"):
            raise NetgeomError(
                f"{path} is another net than config.yml says",
                expected=f"{settings.get('net_name')} with {n_parameters} parameters",
                got=f"{stored.get('model_name')} with {vector.size}",
            )
        found[int(path.stem[6:])] = vector
    return dict(sorted(found.items()))


def _problem(settings: Mapping[str, Any], n_samples: int) -> tuple[nn.Module, Float64[ndarray, "N ..."]]:
    """Teacher and inputs from one stream of random numbers; the global one is left alone."""
    try:
        name, arguments = settings["net_name"], list(settings["net_params"])
        generator = torch.Generator().manual_seed(settings["model_seed"])
        width = settings["data_meta"]["inp_dim"]
        model = _NETS[name](*arguments) if name in _NETS else None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise NetgeomError("config.yml does not say which net", got=f"{type(error).__name__}: {error}") from error
    if model is None:
        raise NetgeomError("The net of this experiment is not known", expected=" or ".join(_NETS), got=str(name))
    for layer in model:
        for parameter in layer.parameters():  # weight, then bias, as torch's Linear and Conv2d draw their own
            if parameter.ndim > 1:
                nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)
                bound = 1 / math.sqrt(parameter[0].numel())
            else:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
    shape = (1, width, width) if name == "LeNet" else (width,)
    inputs = torch.randn(n_samples, *shape, generator=generator)
    return model.double().eval(), inputs.double().numpy()


def _simple_net(n_inputs: int, n_outputs: int, width: int, n_layers: int, bias: bool = True) -> nn.Sequential:
    """SimpleNet: hidden layers of one width, ReLU after each."""
    sizes = [n_inputs, *[width] * n_layers, n_outputs]
    layers = [nn.utils.skip_init(nn.Linear, a, b, bias=bias) for a, b in itertools.pairwise(sizes)]
    return nn.Sequential(*(module for layer in layers[:-1] for module in (layer, nn.ReLU())), layers[-1])


def _linear_net(n_inputs: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.utils.skip_init(nn.Linear, n_inputs, n_outputs))


def _lenet(height: int, width: int, channels: int, n_outputs: int) -> nn.Sequential:
    """LeNet of two convolutions and three linear layers, with a ReLU after the output too."""
    modules: list[nn.Module] = []
    for a, b in itertools.pairwise((channels, 6, 16)):
        modules += [nn.utils.skip_init(nn.Conv2d, a, b, 5), nn.ReLU(), nn.MaxPool2d(2)]
    modules.append(nn.Flatten())
    sizes = (16 * ((height - 12) // 4) * ((width - 12) // 4), 120, 84, n_outputs)
    for a, b in itertools.pairwise(sizes):
        modules += [nn.utils.skip_init(nn.Linear, a, b), nn.ReLU()]
    return nn.Sequential(*modules)


_NETS: dict[str, Callable[..., nn.Sequential]] = {"SimpleNet": _simple_net, "LinearNet": _linear_net, "LeNet": _lenet}


def _grids(folder: Path, steps: Mapping[int, Path], settings: Mapping[str, Any], n_parameters: int) -> list[GenniGrid]:
    read: dict[int, dict[int, Float64[ndarray, " P"]]] = {}

    def element(step: int, index: int) -> Float64[ndarray, " P"]:
        if step not in read:
            read[step] = _elements(steps[step], settings, n_parameters)
        return read[step][index]

    found = []
    for path in sorted(folder.rglob("data.pkl")):
        if not re.fullmatch(r"\dd_loss", path.parent.parent.name):
            continue
        meta, loss = read_settings(path.with_name("meta.yml")), read_losses(path)
        try:
            center = element(meta["center"]["step"], meta["center"]["idx"])
            chosen = zip(meta["basis_vectors"]["steps"], meta["basis_vectors"]["model_idxs"], strict=True)
            differences = np.stack([(element(*one) - center).astype(np.float32) for one in chosen])
            low, high = meta["grid_bound"]
            axis = np.linspace(float(low), float(high), int(meta["num_inter_models"]))
        except (KeyError, TypeError, ValueError) as error:
            raise NetgeomError(
                f"The plane of {path.parent} cannot be made again",
                expected="meta.yml with center, basis_vectors, grid_bound, num_inter_models; elements at their steps",
                got=f"{type(error).__name__}: {error}",
                try_this="grids=False reads the elements alone",
            ) from error
        basis = np.linalg.qr(differences.T)[0].T.astype(np.float64)
        if loss.shape != (len(axis),) * len(basis):
            raise NetgeomError(
                f"{path} is no grid of {path.parent}",
                expected=str((len(axis),) * len(basis)),
                got=str(loss.shape),
            )
        axes = tuple(axis.copy() for _ in basis)
        found.append(GenniGrid(f"{path.parent.parent.name}/{path.parent.name}", loss.T, axes, center, basis, meta))
    return found

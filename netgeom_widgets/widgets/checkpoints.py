"""The networks of a training run, one per recorded step: from a recording, from state dicts, or from models."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgeom_widgets.errors import NetgeomError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from netgeom_widgets.recording import Recording

_WRAPPERS = ("_orig_mod.", "module.")  # what torch.compile and DistributedDataParallel put before every name
_EXPECTED = (
    "a Recording or its path, a list of state dicts, of files with state dicts, or of models, or (step, one of these) "
    "pairs, or {step: one of these}"
)


class Checkpoints:
    """Steps and, for each, the network as it was; made by :meth:`of`. Nothing given is kept: models are copies.

    Attributes
    ----------
    steps : tuple of int
        Increasing. Lists without step numbers count from 0.
    finished : bool
        Whether no more are expected.
    """

    steps: tuple[int, ...] = ()
    finished = True

    @staticmethod
    def of(model: nn.Module, source: Any) -> Checkpoints:
        """Whatever holds the parameters of a training run.

        Parameters
        ----------
        model : torch.nn.Module
            The architecture; its own weights do not matter, it is copied and not touched.
        source : Recording, path, sequence or mapping
            A recording made with ``parameters=True`` (or its path); or state dicts, files that hold state dicts (read
            with ``weights_only=True``) or models, in the order of training or by step number, in pairs or a mapping.

        Raises
        ------
        NetgeomError
            For another source, an empty one, a recording without parameters, or names and shapes that do not fit the
            model.
        """
        from netgeom_widgets.recording import Recording, open_recording

        if isinstance(source, str | Path):
            return _Recorded(model, open_recording(source))
        if isinstance(source, Recording):
            # A view of its own: it is refreshed, and the one given may be followed by another widget.
            return _Recorded(model, open_recording(source.path, source.run_id))
        if isinstance(source, Mapping):
            steps, items = list(source), list(source.values())
        elif isinstance(source, Iterable) and not hasattr(source, "parameters"):
            items = list(source)
            steps = list(range(len(items)))
            if items and all(_is_numbered(item) for item in items):
                steps, items = [item[0] for item in items], [item[1] for item in items]
        else:
            raise NetgeomError("These are no checkpoints.", expected=_EXPECTED, got=type(source).__name__)
        return _Given(model, _increasing(steps), items)

    def model(self, position: int) -> nn.Module:
        """A new copy of the network at a position in ``steps``, in eval mode on the CPU."""
        raise NotImplementedError

    def refresh(self) -> bool:
        """Look for steps recorded since; False when there are none."""
        return False


class _Recorded(Checkpoints):
    """The snapshots of a recording."""

    def __init__(self, model: nn.Module, recording: Recording) -> None:
        self._template, self._recording = _template(model), recording
        self.model(len(recording.steps) - 1)  # refuses at once what does not fit

    @property
    def steps(self) -> tuple[int, ...]:  # type: ignore[override]
        return tuple(self._recording.steps.tolist())

    @property
    def finished(self) -> bool:  # type: ignore[override]
        return bool(self._recording.finished)

    def model(self, position: int) -> nn.Module:
        return self._recording.restore(copy.deepcopy(self._template), position).eval()

    def refresh(self) -> bool:
        return self._recording.refresh()


class _Given(Checkpoints):
    """State dicts, files and models."""

    def __init__(self, model: nn.Module, steps: tuple[int, ...], items: Sequence[Any]) -> None:
        from torch import nn

        self.steps = steps
        _require_distinct(items)
        self._template = _template(model)
        self._items = [
            _template(item) if isinstance(item, nn.Module) else self._state(item, step)
            for step, item in zip(steps, items, strict=True)
        ]

    def model(self, position: int) -> nn.Module:
        item = self._items[position]
        if not isinstance(item, dict):
            return copy.deepcopy(item)
        duplicate = copy.deepcopy(self._template)
        # assign: the state's own dtype stays, nothing is rounded
        duplicate.load_state_dict({name: value.clone() for name, value in item.items()}, assign=True)
        return duplicate.requires_grad_(False)

    def _state(self, item: Any, step: int) -> dict[str, Tensor]:
        """A copy of a state dict, checked against the model's."""
        import torch

        where = f"The checkpoint of step {step}"
        if isinstance(item, str | Path):
            where, item = f"{item}", _read(Path(item))
        if not isinstance(item, Mapping) or not all(isinstance(value, torch.Tensor) for value in item.values()):
            got = f"a dict with {_some(item)}" if isinstance(item, Mapping) else type(item).__name__
            raise NetgeomError(f"{where} is no state dict.", expected=_EXPECTED, got=got)
        wanted = self._template.state_dict()
        state = {name: value.detach().cpu().clone() for name, value in _unwrapped(item, wanted).items()}
        for name in (*wanted, *state):
            if name not in state or name not in wanted:
                got = f"no {name}" if name in wanted else f"{name}, which the model has not"
                raise NetgeomError(f"{where} does not fit the model.", expected=_some(wanted), got=got)
            if state[name].shape != wanted[name].shape:
                shapes = [f"{name} {tuple(tensors[name].shape)}" for tensors in (wanted, state)]
                raise NetgeomError(f"{where} does not fit the model.", expected=shapes[0], got=shapes[1])
        return state


def _template(model: nn.Module) -> nn.Module:
    from netgeom_widgets.kernels._model import private_copy

    return private_copy(model, dtype=None, finite=False)


def _read(path: Path) -> Any:
    """What a checkpoint file holds; code in it is never run."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and file errors of all kinds
        raise NetgeomError(
            f"{path} cannot be read as a checkpoint ({type(error).__name__}).",
            expected="a file written by torch.save(model.state_dict(), path)",
            got=str(error).strip().split("\n")[0],
        ) from error


def _require_distinct(items: Sequence[Any]) -> None:
    """``[model.state_dict() for ...]`` collected during training holds the last weights many times."""
    owners: dict[int, int] = {}
    for number, item in enumerate(items):
        state = item if isinstance(item, Mapping) else getattr(item, "state_dict", dict)()
        storages = {value.untyped_storage().data_ptr() for value in state.values() if hasattr(value, "untyped_storage")}
        for storage in storages - {0}:
            if owners.setdefault(storage, number) != number:
                raise NetgeomError(
                    f"Checkpoints {owners[storage]} and {number} share their tensors, so they are the same network.",
                    expected="copies made during training",
                    try_this="copy.deepcopy(model.state_dict()) each time",
                )


def _is_numbered(item: Any) -> bool:
    """Whether it is a pair of a step number and something else."""
    return isinstance(item, tuple) and len(item) == 2 and hasattr(item[0], "__index__")


def _increasing(steps: Sequence[Any]) -> tuple[int, ...]:
    numbers = [None if isinstance(step, bool) or not hasattr(step, "__index__") else int(step) for step in steps]
    if not numbers:
        raise NetgeomError("There are no checkpoints.", expected="at least one", got="none")
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers) or any(b <= a for a, b in itertools.pairwise(known)):
        raise NetgeomError("The steps do not increase.", expected="whole numbers, increasing", got=_some(steps))
    return tuple(known)


def _unwrapped(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state under the model's own names."""
    for prefix in _WRAPPERS:
        if all(name.startswith(prefix) for name in state) and not all(name.startswith(prefix) for name in wanted):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _some(names: Iterable[Any]) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:6]) + (f" and {len(listed) - 6} more" if len(listed) > 6 else "")

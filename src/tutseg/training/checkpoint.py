"""Saving and loading weights: whole or not at all, and never unpickled."""

import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from tutseg.errors import InputError
from tutseg.files import atomic_write, canonical_json
from tutseg.weights import load_into


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a training state (tensors and plain values) that `load_state` reads back exactly."""
    buffer = io.BytesIO()  # a full disk is then met by atomic_write, not inside torch's writer
    torch.save(state, buffer)
    atomic_write(path, buffer.getvalue())


def load_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises
    ------
    InputError
        The file is damaged or holds anything but tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch suspects of a foreign file is said below
            return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is not its own
        raise InputError(f"{path} is no training state of tutseg", "delete it; the trial then starts anew") from error


def save_weights(path: Path, module: nn.Module, about: dict[str, str]) -> None:
    """Write a module's weights as safetensors with `about` as its metadata; equal weights are equal files."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    atomic_write(path, save(tensors, metadata={"about": canonical_json(about)}))  # several keys come in any order


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises
    ------
    InputError
        Missing, damaged, or another format.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist", "give a run folder with finished weights")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is damaged or no safetensors file", "train again, or fetch it again") from error


def load_weights(path: Path, module: nn.Module) -> None:
    """Load weights into a module of the same shape.

    Raises
    ------
    InputError
        The file cannot be read, or belongs to another network.
    """
    load_into(module, read_weights(path)[0], path, "give the method, net and size it was trained with")

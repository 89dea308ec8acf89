"""The reduced reference model and how its stored tensors are laid out."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rtmo.models.rtmo import RTMO
from rtmo.weights.checkpoint import read_checkpoint

TINY = {
    "num_keypoints": 17,
    "widen_factor": 0.125,
    "deepen_factor": 0.33,
    "hidden_dim": 32,
    "neck_widen_factor": 0.5,
    "num_heads": 4,
    "ffn_dim": 64,
    "dcc_dim": 32,
    "attention_dim": 32,
}


def tiny_model(golden_dir: Path) -> RTMO:
    """The reduced model with the reference's weights, in eval mode."""
    model = RTMO(**TINY)
    model.load_state_dict(read_checkpoint(golden_dir / "tiny_model.safetensors").state_dict, strict=True)
    return model.eval()


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def flat_levels(arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """Per-level maps (B, C, H, W) of the reference as one (B, P, C) array."""
    maps = [arrays[key] for key in arrays.files if key.startswith(f"{name}/")]
    return np.concatenate([m.reshape(*m.shape[:2], -1).transpose(0, 2, 1) for m in maps], axis=1)


def largest_difference(ours: Tensor | np.ndarray, reference: np.ndarray) -> float:
    """Largest difference in units of the reference's largest value."""
    ours = ours.detach().numpy() if isinstance(ours, Tensor) else ours
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def relative_difference(ours: Tensor | float, reference: Tensor | np.ndarray | float) -> float:
    """Relative difference of two numbers."""
    return float(abs(torch.as_tensor(ours).double() / torch.as_tensor(reference).double() - 1))

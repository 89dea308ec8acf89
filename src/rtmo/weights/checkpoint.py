"""A checkpoint, whoever wrote it: weights under our names, and the network and keypoints they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtmo.errors import InputError
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KEYPOINT_SETS, KeypointSet
from rtmo.targets import build, did_you_mean, locate, refuse_foreign_packages
from rtmo.weights import zoo
from rtmo.weights.architecture import architecture_of, size_of
from rtmo.weights.file import RECORD, read_file
from rtmo.weights.reference import CONSTANTS, described_joints, to_our_key

# Where files keep weights, the first that there is; without any the file is a state dict itself. What mmengine saves as
# `state_dict` is the average already, and `ema_state_dict` what it was averaged from; a file may hold the latter alone.
STATE_DICTS = ("state_dict", "ema_state_dict", "model")
WRAPPERS = ("module.", "_orig_mod.", "model.")  # of parallel runs and averages, torch.compile, LightningModule
CRITERION = "criterion"  # of a LightningModule, beside the network: what a loss learned, for training only
MODEL = "rtmo.models.rtmo.RTMO"

MOST_BINS = 4096  # of an axis
_A_VISIBILITY = "head.visibility_out.0.weight"  # of every RTMO, with K outputs


@dataclass(frozen=True)
class Checkpoint:
    """What a file of RTMO weights holds.

    Attributes:
        path: The file.
        state_dict: Weights under our names.
        converted: File's name of a weight by our name, where the two differ.
        constants: What the reference stores and we derive, under its names; a file that we converted keeps them.
        other: What is no weight of the network, such as an optimizer's state, which only a resumed run reads.
        model: Config of the network, ``_target_`` and arguments.
        skeleton: Its keypoints in order; None if the file does not tell.
        config: Resolved config of the run that trained it; None if there was none of ours.
    """

    path: Path
    state_dict: dict[str, Tensor] = field(repr=False)
    converted: dict[str, str] = field(repr=False)
    constants: dict[str, Tensor] = field(repr=False)
    other: tuple[str, ...]
    model: dict[str, Any]
    skeleton: KeypointSet | None
    config: dict[str, Any] | None = field(repr=False)

    @property
    def num_keypoints(self) -> int:
        return _num_keypoints(self.state_dict)

    @property
    def size(self) -> str | None:
        """Name of the published size the network has, such as ``rtmo_s``; None if it has another."""
        return size_of(architecture_of(self.state_dict))

    def build_model(self, skeleton: KeypointSet | None = None, **overrides: Any) -> RTMO:
        """A network of this architecture with fresh weights.

        Args:
            skeleton: Keypoints it finds; None: those of the checkpoint.
            overrides: Arguments of ``RTMO`` in place of the checkpoint's.

        Raises:
            InputError: If the file describes something else than an ``RTMO``, or an override is none of its arguments.
        """
        target = locate(str(self.model.get("_target_")), "model")
        if not (isinstance(target, type) and issubclass(target, RTMO)):
            raise InputError(f"{self.path}: model._target_ is {self.model.get('_target_')}, which is no RTMO")
        num_keypoints = self.num_keypoints if skeleton is None else skeleton.num_keypoints
        try:
            model: RTMO = build({**self.model, **overrides}, "model", num_keypoints=num_keypoints)
        except (TypeError, RuntimeError, ArithmeticError, LookupError) as error:
            raise InputError(f"{self.path}: its config describes no network ({error}); get it again") from error
        return model


def find(name_or_path: str | Path, key: str = "checkpoint", backbones: bool = False) -> Path:
    """The file of a published model, downloaded if need be, or of a path.

    Args:
        key: What the user gave it as, for messages.
        backbones: Whether a detector or classifier whose backbone a training starts from will do as well.

    Raises:
        InputError: If it is neither, or cannot be had.
    """
    path = Path(name_or_path)
    published = (*zoo.MODELS, *zoo.BACKBONES) if backbones else tuple(zoo.MODELS)
    if path.is_file():
        return path
    if str(name_or_path) in published:
        return zoo.fetch(str(name_or_path))
    if path.is_dir():
        raise InputError(
            f"{key}={name_or_path}: a folder; give the file, {path / 'checkpoints' / 'best.ckpt'} of a run"
        )
    if path.suffix or len(path.parts) > 1:
        raise InputError(
            f"{key}={name_or_path}: no such file; give checkpoints/best.ckpt of a run, or a published model"
        )
    raise InputError(
        f"{key}={name_or_path}: neither a file nor a published model; {did_you_mean(str(path), published)}"
    )


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads weights of an RTMO, ours or the reference's.

    Raises:
        InputError: If the file cannot be read or holds something else.
    """
    return parse_checkpoint(read_file(path), path)


def parse_checkpoint(content: Mapping[str, Any], path: Path) -> Checkpoint:
    """The content of a file as ``read_file`` gives it.

    Raises:
        InputError: If it is something else than weights of an RTMO.
    """
    raw, other = weights_of(content, path)
    if not is_rtmo(raw):
        raise InputError(f"{path}: {_kind(raw)}")
    constants = {key: raw.pop(key) for key in CONSTANTS if key in raw}
    theirs = "head.dcc.pos_enc" in raw
    names = {to_our_key(key) if theirs else key: key for key in raw}
    state_dict = {ours: raw[key] for ours, key in names.items()}
    record = content.get(RECORD) or {}
    try:
        config = record.get("config")
        model = record.get("model") or (config or {}).get("model") or _architecture(state_dict, constants)
        skeleton = _skeleton(content, constants, _num_keypoints(state_dict))
        _check_bounds(model, state_dict, path)
        refuse_foreign_packages({**(config or {}), "model": model}, str(path))
        if config:
            refuse_foreign_packages(config, str(path))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: damaged weights of an RTMO ({type(error).__name__}: {error}); get it again"
        ) from error
    return Checkpoint(
        path=path,
        state_dict=state_dict,
        converted={ours: key for ours, key in names.items() if ours != key},
        constants=constants,
        other=other,
        model=model,
        skeleton=skeleton,
        config=config,
    )


def weights_of(content: Mapping[str, Any], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors of a network by name, without what wrapped it, and the names of everything else in its file.

    Raises:
        InputError: If it holds no tensors, or two of the same name.
    """
    entry = next((name for name in STATE_DICTS if isinstance(content.get(name), Mapping)), None)
    weights = content if entry is None else content[entry]
    other = [] if entry is None else [str(name) for name in content if name not in (entry, RECORD)]
    tensors: dict[str, Tensor] = {}
    for key, value in weights.items():
        name = _unwrapped(str(key))
        if not isinstance(value, Tensor) or name == "steps":  # of mmengine's average: how often it was updated
            other += [str(key)] if key != RECORD else []
        elif name.startswith(f"{CRITERION}."):
            other += [CRITERION] if CRITERION not in other else []
        elif name in tensors:
            raise InputError(f"{path}: holds {name} twice, with and without one of {WRAPPERS}; save one network alone")
        else:
            tensors[name] = value
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
            raise InputError(f"{path}: {name} is {tensor.layout}, {tensor.dtype}; save plain tensors of numbers")
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise InputError(f"{path}: {name} says {tuple(tensor.shape)} and holds fewer numbers; get it again")
    if not tensors:
        raise InputError(f"{path}: holds no weights, only {', '.join(map(str, content)) or 'nothing'}")
    return tensors, tuple(other)


def is_rtmo(weights: Mapping[str, Tensor]) -> bool:
    """Whether weights are those of an RTMO, under our names or the reference's."""
    return _A_VISIBILITY in weights or "head.dcc.pos_enc" in weights


def _num_keypoints(state_dict: Mapping[str, Tensor]) -> int:
    return len(state_dict[_A_VISIBILITY])


def _unwrapped(key: str) -> str:
    while wrapper := next((wrapper for wrapper in WRAPPERS if key.startswith(wrapper)), None):
        key = key.removeprefix(wrapper)
    return key


def _architecture(state_dict: Mapping[str, Tensor], constants: Mapping[str, Tensor]) -> dict[str, Any]:
    bins = [len(constants[key]) for key in ("head.dcc.x_bins", "head.dcc.y_bins") if key in constants]
    return {"_target_": MODEL, **architecture_of(state_dict), **({"num_bins": tuple(bins)} if len(bins) == 2 else {})}


def _check_bounds(model: Mapping[str, Any], state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Refuses a config that asks for a network much larger than the weights are, before room is made for it."""
    largest = dict.fromkeys(("widen_factor", "deepen_factor", "neck_widen_factor"), 8.0)
    largest |= {name: 8.0 * number for name, number in architecture_of(state_dict).items() if type(number) is int}
    largest |= {"num_bins": MOST_BINS}
    for name, limit in largest.items():
        given = model.get(name)
        for number in given if isinstance(given, Sequence) else (given,):
            if isinstance(number, int | float) and not abs(number) <= limit:
                raise InputError(
                    f"{path}: its config says {name}={number}, which is no network of these weights; get it again"
                )


def _kind(state_dict: Mapping[str, Tensor]) -> str:
    """What a file that is no RTMO's seems to be, and what it is good for."""
    if any(key.startswith(("bbox_head.", "layer4.")) for key in state_dict):
        kind = "a detector" if any(key.startswith("bbox_head.") for key in state_dict) else "a ResNet"
        return f"weights of {kind}, not of an RTMO; its backbone can start a training: pretrained=..."
    return f"weights of another network, not of an RTMO: {', '.join(list(state_dict)[:3])} ..."


def _skeleton(content: Mapping[str, Any], constants: Mapping[str, Tensor], num_keypoints: int) -> KeypointSet | None:
    """What the file says of its joints; else the built-in set with the OKS constants that it stores."""
    stored = constants.get("head.loss_oks.sigmas", torch.empty(0)).tolist()
    meta = content.get("meta")
    dataset_meta = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    skeleton = None
    if (content.get(RECORD) or {}).get("skeleton") is not None:
        skeleton = KeypointSet.from_plain(content[RECORD]["skeleton"])
        if skeleton.num_keypoints != num_keypoints:
            raise ValueError(f"{num_keypoints} joints, of which {skeleton.num_keypoints} are named")
    elif isinstance(dataset_meta, Mapping) and dataset_meta.get("num_keypoints") == num_keypoints == len(stored):
        skeleton = described_joints(dataset_meta, stored)
    if skeleton is not None:
        return skeleton
    for known in KEYPOINT_SETS.values():
        # as exact as bfloat16; the nearest sigmas of any set differ by more
        if len(stored) == known.num_keypoints and np.allclose(stored, known.oks_sigmas, rtol=0.01, atol=0):
            return known
    return None

"""Weights into a network: whole, or joint by joint into one with other keypoints; with a report of every key."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rtmo.errors import InputError
from rtmo.models.rtmo import KEYPOINT_PREFIXES, RTMO, TRAINING_ONLY_PREFIXES
from rtmo.skeletons import KeypointSet
from rtmo.weights.checkpoint import Checkpoint, find, is_rtmo, parse_checkpoint, weights_of
from rtmo.weights.file import read_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadReport:
    """What became of every entry of a file and of every weight of the network.

    Attributes:
        loaded: Weights that the file has under our names.
        converted: File's name of each weight that it has under another.
        training_only: Of both, those that only training reads.
        other: Entries beside the weights, such as an optimizer's state; not used.
        constants: What the file stores and we derive.
        unexpected: Weights of the file that the network has no place for; they were not used.
        fresh: Weights of the network that the file lacks; they stay as they were initialised.
        joints_kept: Joints whose weights came from the file.
        joints_fresh: Joints that the file does not know and that start fresh.
    """

    loaded: tuple[str, ...]
    converted: Mapping[str, str]
    training_only: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    joints_kept: tuple[str, ...] = ()
    joints_fresh: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether something of the file or of the network was left out that inference needs."""
        needed = [name for name in self.fresh if not name.startswith(TRAINING_ONLY_PREFIXES)]
        return bool(self.unexpected or needed or self.joints_fresh)

    def __str__(self) -> str:
        text = f"{len(self.loaded) + len(self.converted)} weights loaded"
        for name, listed in (("under other names", self.converted), ("for training only", self.training_only)):
            text += f", {len(listed)} of them {name}" if listed else ""
        for name, names in (
            ("derived, so not needed", self.constants),
            ("beside the weights, not used", self.other),
            ("unexpected, not used", self.unexpected),
            ("not in the file, so fresh", self.fresh),
        ):
            text += f"; {name}: {_few(names)}" if names else ""
        if self.joints_fresh:
            text += f"; joints kept: {', '.join(self.joints_kept) or 'none'}; fresh: {', '.join(self.joints_fresh)}"
        return text


def load_weights(model: RTMO, checkpoint: Checkpoint, skeleton: KeypointSet | None = None) -> LoadReport:
    """Copies the weights of a checkpoint into a network of the same architecture.

    Joints of the same name keep their weights in every layer that is K wide: visibility, proxy, keypoint features of
    the coordinate classifier, their position code and spread. The others stay as initialised.

    Args:
        model: Changed in place.
        checkpoint: Where the weights come from.
        skeleton: Joints of the network; None: those of the checkpoint.

    Raises:
        InputError: If shapes differ, or weights are missing that inference reads.
    """
    decoding = checkpoint.model.get("decoding", "dcc")
    if decoding != model.decoding:
        raise InputError(
            f"{checkpoint.path}: decodes by {decoding} and the network by {model.decoding}; take model.decoding="
            f"{decoding}, or ablation={decoding} when training"
        )
    own, given = model.state_dict(), checkpoint.state_dict
    joints = range(checkpoint.num_keypoints) if skeleton is None else _joints_in(checkpoint, skeleton)
    merged = {
        name: _take_joints(own[name], given[name], joints, checkpoint.num_keypoints)
        if name.startswith(KEYPOINT_PREFIXES) and own[name].ndim
        else given[name]
        for name in own
        if name in given
    }
    for name, value in merged.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"{checkpoint.path}: {checkpoint.converted.get(name, name)} is {tuple(given[name].shape)} in the file "
                f"and {tuple(own[name].shape)} in the network{_advice(checkpoint)}"
            )
    missing = tuple(name for name in own if name not in given)
    if needed := [name for name in missing if not name.startswith(model.training_only)]:
        raise InputError(
            f"{checkpoint.path}: lacks {len(needed)} of the network's {len(own)} weights: {_few(needed)}"
            f"{_advice(checkpoint)}"
        )
    model.load_state_dict({**own, **merged})
    names = () if skeleton is None else tuple(zip(skeleton.joints, joints, strict=True))
    return LoadReport(
        loaded=tuple(name for name in merged if name not in checkpoint.converted),
        converted={name: checkpoint.converted[name] for name in merged if name in checkpoint.converted},
        training_only=tuple(name for name in merged if name.startswith(model.training_only)),
        other=checkpoint.other,
        constants=tuple(checkpoint.constants),
        unexpected=tuple(checkpoint.converted.get(name, name) for name in given if name not in own),
        fresh=missing,
        joints_kept=tuple(name for name, index in names if index is not None),
        joints_fresh=tuple(name for name, index in names if index is None),
    )


def load_pretrained(model: RTMO, name_or_path: str, skeleton: KeypointSet) -> LoadReport:
    """Copies what a training can start from: weights of an RTMO, or the backbone of a detector or classifier.

    Args:
        model: Changed in place.
        name_or_path: A name of docs/model-zoo.md, or a file.
        skeleton: Joints of the network.

    Raises:
        InputError: If there is no such file, or it does not fit the network.
    """
    path = find(name_or_path, "pretrained", backbones=True)
    content = read_file(path)
    weights, _ = weights_of(content, path)
    if is_rtmo(weights):
        return load_weights(model, parse_checkpoint(content, path), skeleton)
    return load_backbone(model, weights, str(path))


def load_backbone(model: RTMO, content: Mapping[str, Tensor], source: str) -> LoadReport:
    """Copies the backbone of a detector (keys below ``backbone.``) or of torchvision's ResNet-50 into a network.

    Args:
        model: Its backbone is changed in place.
        content: Weights by the file's names.
        source: What the file is called in messages.

    Raises:
        InputError: If the file holds no such backbone, or one of another size.
    """
    prefix = "backbone." if any(key.startswith("backbone.") for key in content) else ""
    own = model.backbone.state_dict()
    given = {name: content[prefix + name] for name in own if prefix + name in content}
    # networks saved before torch counted batches lack the counts
    if lacking := [name for name in own if name not in given and not name.endswith(".num_batches_tracked")]:
        raise InputError(f"{source}: no such backbone; it lacks {len(lacking)} of {len(own)} weights: {_few(lacking)}")
    for name, value in given.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"{source}: backbone.{name} is {tuple(value.shape)} in the file and {tuple(own[name].shape)} in the "
                "network; take the backbone of the network's own size"
            )
    model.backbone.load_state_dict({**own, **given})
    return LoadReport(
        loaded=tuple(f"backbone.{name}" for name in given if prefix),
        converted={f"backbone.{name}": name for name in given if not prefix},
        unexpected=tuple(key for key in content if key.removeprefix(prefix) not in given),
        fresh=tuple(name for name in model.state_dict() if name.removeprefix("backbone.") not in given),
    )


def _joints_in(checkpoint: Checkpoint, skeleton: KeypointSet) -> Sequence[int | None]:
    """For each joint of a keypoint set, its place in the checkpoint; None where that does not know it."""
    if checkpoint.skeleton is not None:
        return skeleton.indices_in(checkpoint.skeleton)
    if checkpoint.num_keypoints == skeleton.num_keypoints:
        log.warning("%s does not name its joints: taken to be those of %s, in order", checkpoint.path, skeleton.name)
        return range(skeleton.num_keypoints)
    log.warning("%s does not name its %d joints: none is kept", checkpoint.path, checkpoint.num_keypoints)
    return [None] * skeleton.num_keypoints


def _take_joints(own: Tensor, given: Tensor, joints: Sequence[int | None], num_given: int) -> Tensor:
    """The blocks of a tensor that belong to the joints; those of ``own`` for joints without a place in ``given``.

    A tensor that differs in more than the number of joints is returned as given.
    """
    same_block = len(own) * num_given == len(given) * len(joints) and own.shape[1:] == given.shape[1:]
    if not same_block:
        return given
    blocks, theirs = own.unflatten(0, (len(joints), -1)), given.unflatten(0, (num_given, -1))
    kept = [theirs[index] if index is not None else block for index, block in zip(joints, blocks, strict=True)]
    return torch.cat([block.to(own.dtype) for block in kept])


def _advice(checkpoint: Checkpoint) -> str:
    return f"; the file is of {checkpoint.size}: take model={checkpoint.size}" if checkpoint.size else ""


def _few(names: Sequence[str], limit: int = 4) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest

"""Micro-batches and ranks train as one big batch: in float64 with frozen norms, of which there is no big batch."""

import os
import socket
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from lightning import Trainer
from networks import lively_rtmo
from scene import IMAGE_SIZE, make_targets
from torch import Tensor
from torch.optim.lr_scheduler import ConstantLR
from torch.utils.data import DataLoader

from rtmo.assigners.simota import SimOTA
from rtmo.data.datamodule import PoseDataModule
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.losses.criterion import Criterion
from rtmo.phases import Phases
from rtmo.skeletons import COCO17
from rtmo.training.big_batch import Accumulation
from rtmo.training.distributed import DDP  # noqa: F401 - registers the strategy ddp
from rtmo.training.module import PoseModule
from rtmo.types import Batch, Poses, Targets

PEOPLE = [3, 1, 0, 2, 0, 5, 0, 4]  # of each image: two steps of four, of which the second begins without people
SETTINGS = {
    "accelerator": "cpu",
    "devices": 1,
    "max_epochs": 1,
    "gradient_clip_val": 0.1,
    "log_every_n_steps": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class FrozenNorms(PoseModule):
    """Computes in float64, in evaluation mode as its network comes, and keeps what its training saw."""

    def __init__(self) -> None:
        super().__init__(
            model=lively_rtmo(),
            criterion=Criterion(assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas), oks_sigmas=COCO17.oks_sigmas),
            optimizer=partial(torch.optim.SGD, lr=0.1, weight_decay=0.0),
            schedule=lambda optimizer, num_steps: ConstantLR(optimizer, factor=1.0),
            metric=partial(CocoKeypointAP, skeleton=COCO17),
            phases=Phases(refine_start=0.0),
            lr_factors={},
        )
        self.double()
        self.model.register_forward_pre_hook(lambda model, inputs: (inputs[0].double(),))
        self.seen: dict[str, list[Tensor]] = {"gradients": [], "train/loss": [], "train/pose_oks": []}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        super().on_before_optimizer_step(optimizer)
        gradients = [parameter.grad for parameter in self.parameters()]
        assert all(gradient is not None for gradient in gradients)
        self.seen["gradients"].append(torch.cat([gradient.flatten() for gradient in gradients]))

    def on_train_batch_end(self, outputs, batch: Batch, batch_idx: int) -> None:
        for name in ("train/loss", "train/pose_oks"):
            self.seen[name].append(self.trainer.callback_metrics[name].clone())


def make_batches(groups: Sequence[Sequence[int]]) -> list[Batch]:
    """Batches of these images, of which each is the same in whatever batch it is."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (len(PEOPLE), 3, *IMAGE_SIZE), generator=generator, dtype=torch.uint8)
    people = make_targets(PEOPLE, generator)
    return [
        Batch(
            images=images[list(group)],
            targets=Targets(*(getattr(people, name)[list(group)] for name in Targets.__slots__)),
            ignore_mask=None,
            image_ids=list(group),
            warps=torch.eye(2, 3).repeat(len(group), 1, 1),
            original_sizes=torch.tensor(IMAGE_SIZE).repeat(len(group), 1),
        )
        for group in groups
    ]


def fit(groups: Sequence[Sequence[int]], **options: object) -> dict[str, Tensor]:
    """Trains an epoch; gives gradients and weights, and what was logged."""
    module = FrozenNorms()
    trainer = Trainer(**{**SETTINGS, **options})
    trainer.fit(module, DataLoader(make_batches(groups), batch_size=None))
    seen = {name: torch.stack(values) for name, values in module.seen.items()}
    weights = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    return {**seen, "weights": weights}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], *names: str) -> None:
    for name in names:
        assert one[name].abs().sum() > 0
        torch.testing.assert_close(
            one[name], other[name], rtol=1e-9, atol=1e-11, msg=lambda text, name=name: name + text
        )


pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        "The 'train_dataloader' does not have many workers",
        "You defined a `validation_step` but have no",
        "Found .* in eval mode",
        ".*isinstance.treespec, LeafSpec",
    )
]


@pytest.mark.slow
def test_accumulated_batches_train_as_one() -> None:
    micro = fit([[image] for image in range(8)], accumulate_grad_batches=4)
    whole = fit([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert_same(micro, whole, "gradients", "weights")


def test_an_epoch_may_end_within_an_accumulation() -> None:
    micro = fit([[4], [0], [1], [2], [3]], accumulate_grad_batches=3)
    whole = fit([[4, 0, 1], [2, 3]])
    assert_same(micro, whole, "gradients", "weights")


@pytest.mark.parametrize("positives", [[0, 0, 3, 4], [5, 0, 0], [0, 0], [1], [0]])
def test_sums_add_up_whichever_micro_batch_is_empty(positives: list[int]) -> None:
    """A micro-batch of n positives whose sum has the gradient n + 2, say 2 for what is no person."""
    accumulation, weight = Accumulation(), torch.zeros((), dtype=torch.float64, requires_grad=True)
    for count in positives:
        number = torch.tensor(float(count), dtype=torch.float64)
        loss = accumulation.weigh(weight * (count + 2) / max(count, 1), number)
        (loss / 7).backward()
    accumulation.finish([weight.grad], divided_by=7)
    expected = sum(count + 2 for count in positives) / max(sum(positives), 1)
    assert weight.grad.item() == pytest.approx(expected, rel=1e-14)


# Steps of two images: both ranks have people, one has none (either of them), nobody has any.
STEPS = [[0, 1], [2, 3], [5, 4], [4, 6]]
SIZES = [(8, 3), (1, 1)]  # training and validation images: an odd number, and fewer than ranks


class Told(FrozenNorms):
    """Trains, and finds in validation whom it is told of, a little beside where they are. Keeps which images it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[list[int]] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.shown.append(sorted(batch.image_ids))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> list[Poses]:
        people = batch.targets
        found = [
            Poses(
                people.bboxes[row, valid],
                torch.linspace(0.9, 0.3, int(valid.sum())),
                people.keypoints[row, valid] + 1 + image_id % 4,
                people.visibility[row, valid].clamp(max=1).float(),
            )
            for row, (image_id, valid) in enumerate(zip(batch.image_ids, people.valid, strict=True))
        ]
        with patch.object(self.model, "decode", return_value=found):
            return super().validation_step(batch, batch_idx, dataloader_idx)


def run(num_train: int, num_val: int, batch_size: int, **options: object) -> dict[str, object]:
    """An epoch of drawn people and its validation: the images of every step, and the figures."""
    sets = {
        name: SyntheticPeople(num_images=number, image_size=(64, 64), seed=seed)
        for seed, (name, number) in enumerate({"train": num_train, "val": num_val}.items())
    }
    data = PoseDataModule(
        **sets,
        image_size=(64, 64),
        batch_size=batch_size,
        num_workers=0,
        seed=0,
        phases=Phases(),
        augment={"main": {}, "light": {}},
    )
    module = Told()
    trainer = Trainer(**{**SETTINGS, **options})
    trainer.fit(module, datamodule=data)
    return {"shown": module.shown, "AP": {name: float(value) for name, value in trainer.callback_metrics.items()}}


def _train_on_rank(rank: int, port: int, folder: Path) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    options = {"strategy": "ddp", "devices": 2, "use_distributed_sampler": False}
    own = [[step[rank]] for step in STEPS]
    found = {
        "one by one": fit(own, **options),
        "accumulated": fit(own, accumulate_grad_batches=2, **options),
        "runs": [run(*sizes, batch_size=2, **options) for sizes in SIZES],
    }
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two processes found."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_train_on_rank, args=(port, folder), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "accumulate"), [("one by one", 1), ("accumulated", 2)])
def test_ranks_train_and_log_as_one(ranks: list[dict[str, Any]], name: str, accumulate: int) -> None:
    whole = fit(STEPS, accumulate_grad_batches=accumulate)
    for found in ranks:
        assert_same(found[name], whole, "gradients", "weights")
        if accumulate == 1:  # loggers get the losses of the last batch before a step
            assert_same(found[name], whole, "train/loss", "train/pose_oks")


@pytest.mark.slow
@pytest.mark.parametrize(("index", "sizes"), list(enumerate(SIZES)))
def test_ranks_see_the_same_images_and_have_the_same_scores(
    ranks: list[dict[str, Any]], index: int, sizes: tuple[int, int]
) -> None:
    whole = run(*sizes, batch_size=4)
    found = [rank["runs"][index] for rank in ranks]
    assert found[0]["AP"] == found[1]["AP"]
    for name in (name for name in whole["AP"] if name.startswith("val/")):
        assert found[0]["AP"][name] == pytest.approx(whole["AP"][name], abs=1e-9), name
    assert 0 < whole["AP"]["val/AP"] < 1
    together = [sorted(set(a) | set(b)) for a, b in zip(found[0]["shown"], found[1]["shown"], strict=True)]
    assert together == whole["shown"]
    if sizes[0] % 2 == 0:
        assert sum(map(len, found[0]["shown"])) == sizes[0] // 2

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from networks import small_rtmo
from torch import nn
from torch.nn.utils import get_total_norm

from rtmo.assigners.simota import SimOTA
from rtmo.errors import InputError
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.losses.criterion import Criterion
from rtmo.losses.rle import RLELoss
from rtmo.models.rtmo import RTMO
from rtmo.phases import Phases
from rtmo.skeletons import COCO17
from rtmo.training.module import PoseModule
from rtmo.types import Batch, Poses, Targets

POINTS = np.random.default_rng(0).uniform(20, 80, (17, 2))
WARP = torch.tensor([[0.5, 0.0, 7.0], [0.0, 0.5, 3.0]])


class Source:
    """One image, number 4, with one person."""

    skeleton = COCO17

    def __init__(self, points):
        self.points = points

    def ground_truth(self):
        flat = np.column_stack([self.points, np.full(17, 2)]).ravel().tolist()
        person = {"id": 1, "image_id": 4, "category_id": 1, "keypoints": flat, "bbox": [10, 10, 80, 80], "area": 6400}
        return {"images": [{"id": 4}], "annotations": [person], "categories": [{"id": 1}]}


class Finder(RTMO):
    """Finds one person where it is told, given in px of the original image."""

    def __init__(self):
        nn.Module.__init__(self)
        self.points, self.dcc = POINTS, None

    def forward(self, images):
        return images

    def decode(self, outputs, score_thr, nms_thr):
        points = torch.tensor(self.points).float() @ WARP[:, :2].T + WARP[:, 2]
        return [Poses(torch.zeros(1, 4), torch.ones(1), points[None], torch.ones(1, 17)) for _ in outputs]


class Silent(Criterion):
    """Not asked in validation."""

    def __init__(self):
        nn.Module.__init__(self)
        self.phases = {}


class Doubled(CocoKeypointAP):
    """Has a figure that others have not."""

    def compute(self):
        figures = super().compute()
        return {**figures, "double": 2 * figures["AP"]}


@pytest.fixture
def validate(monkeypatch):
    """Validates a network on two data sets, in which the same number is the name of different images."""
    module = PoseModule(
        model=Finder(),
        criterion=Silent(),
        optimizer=torch.optim.AdamW,
        schedule=torch.optim.lr_scheduler.LinearLR,
        metric=partial(Doubled, skeleton=COCO17),
        phases=Phases(),
        lr_factors={},
    )
    data = SimpleNamespace(val_source=Source(POINTS), more_val={"mirrored": Source(100 - POINTS)})
    monkeypatch.setattr(PoseModule, "trainer", SimpleNamespace(datamodule=data))
    logged = {}
    monkeypatch.setattr(module, "log_dict", logged.update)
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    empty, flags = torch.zeros(1, 1, 4), torch.zeros(1, 1, 17, dtype=torch.bool)
    targets = Targets(empty, torch.zeros(1, 1, 17, 2), flags.byte(), flags, empty[..., 0], flags[..., 0])
    batch = Batch(torch.zeros(1, 3, 32, 32), targets, None, [4], WARP[None], torch.tensor([[100, 100]]))

    def run(points):
        module.model.points = points
        module.on_validation_epoch_start()
        for number in range(2):
            module.validation_step(batch, 0, number)
        module.on_validation_epoch_end()
        return {name: float(value) for name, value in logged.items()}

    return run


def test_every_data_set_has_figures_of_its_own(validate):
    scores = validate(POINTS)
    assert scores["val/AP"] == pytest.approx(1)
    assert scores["val/mirrored/AP"] < 0.5
    assert scores["val/double"] == pytest.approx(2)  # the metric of the config is for the first
    assert "val/mirrored/double" not in scores


def test_every_validation_begins_anew(validate):
    assert validate(100 - POINTS)["val/AP"] < 0.5
    scores = validate(POINTS)
    assert scores["val/AP"] == pytest.approx(1)
    assert scores["val/mirrored/AP"] < 0.5


@pytest.mark.parametrize(("is_due", "accumulates"), [(True, False), (True, True), (False, False)])
def test_loggers_get_the_batch_that_the_optimizer_steps_with(is_due, accumulates):
    trainer = SimpleNamespace(
        _logger_connector=SimpleNamespace(should_update_logs=is_due),
        fit_loop=SimpleNamespace(_should_accumulate=lambda: accumulates),
        fast_dev_run=False,
    )
    assert PoseModule.logs_this_step(SimpleNamespace(trainer=trainer)) == (is_due and not accumulates)


def training_module(**options):
    arguments = {"lr": 1e-3, "weight_decay": 0.05, **options.pop("optimizer", {})}
    return PoseModule(
        model=small_rtmo(),
        criterion=options.pop("criterion", None) or Silent(),
        optimizer=partial(options.pop("make_optimizer", torch.optim.AdamW), **arguments),
        schedule=lambda optimizer, num_steps: torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=num_steps),
        metric=partial(CocoKeypointAP, skeleton=COCO17),
        phases=Phases(),
        lr_factors={},
        **options,
    )


def test_compiling_keeps_the_names_of_weights(monkeypatch):
    calls = []

    def compile_nothing(call):
        return lambda *inputs: calls.append(call.__self__) or call(*inputs)

    monkeypatch.setattr(torch, "compile", compile_nothing)
    plain, faster = training_module(), training_module(compile=True)
    assert list(faster.state_dict()) == list(plain.state_dict())
    for module in (plain, faster):
        module.model(torch.rand(1, 3, 64, 64))
    assert calls == [faster.model.backbone, faster.model.neck]


def test_compiled_activations_cannot_be_checkpointed():
    with pytest.raises(ValueError, match=r"checkpoint_activations=true and module\.compile=true do not go together"):
        training_module(compile=True, checkpoint_activations=True)


def test_checkpointing_activations_keeps_names():
    assert list(training_module(checkpoint_activations=True).state_dict()) == list(training_module().state_dict())


@pytest.mark.parametrize(
    ("make_optimizer", "options", "fused"),
    [
        (torch.optim.AdamW, {}, True),
        (torch.optim.AdamW, {"foreach": True}, None),  # as the config says
        (torch.optim.AdamW, {"fused": False}, False),
        (torch.optim.NAdam, {}, "there is no such thing"),
    ],
)
def test_optimizers_are_fused_where_they_can_be(monkeypatch, make_optimizer, options, fused):
    monkeypatch.setattr(PoseModule, "trainer", SimpleNamespace(estimated_stepping_batches=10))
    module = training_module(make_optimizer=make_optimizer, optimizer=options)
    optimizer = module.configure_optimizers()["optimizer"]
    assert optimizer.defaults.get("fused", "there is no such thing") == fused


def test_gradients_are_clipped_before_a_fused_step(monkeypatch):
    """Lightning refuses to in mixed precision if the optimizer says that it unscales gradients itself."""
    monkeypatch.setattr(PoseModule, "trainer", SimpleNamespace(estimated_stepping_batches=10))
    module = training_module()
    optimizer = module.configure_optimizers()["optimizer"]
    for parameter in module.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, clip_val=0.1)
    assert get_total_norm([each.grad for each in module.model.parameters()]) == pytest.approx(0.1, rel=1e-4)


def test_the_optimizer_trains_what_a_loss_learns(monkeypatch):
    monkeypatch.setattr(PoseModule, "trainer", SimpleNamespace(estimated_stepping_batches=10))

    def groups(loss):
        criterion = Criterion(
            assigner=SimOTA(oks_sigmas=COCO17.oks_sigmas), oks_sigmas=COCO17.oks_sigmas, coordinate_loss=loss
        )
        module = training_module(criterion=criterion)
        return module, module.configure_optimizers()["optimizer"].param_groups

    loss = RLELoss()
    (published, usual), (learning, more) = groups(None), groups(loss)
    assert [group["name"] for group in usual] == ["base", "base/no_decay"]
    assert [group["name"] for group in more] == ["base", "base/no_decay", "criterion", "criterion/no_decay"]
    assert {id(p) for group in more[2:] for p in group["params"]} == {id(p) for p in loss.parameters()}
    assert [(group["initial_lr"], group["weight_decay"]) for group in more[2:]] == [(1e-3, 0.05), (1e-3, 0.0)]
    assert all(name.startswith("model.") for name in published.state_dict())
    added = learning.state_dict().keys() - published.state_dict().keys()
    assert added == {f"criterion.coordinate_loss.{name}" for name in loss.state_dict()}


def test_a_part_that_there_is_not_is_an_error_of_the_input(monkeypatch):
    """The network decides what parts there are, so nothing before tells."""
    monkeypatch.setattr(PoseModule, "trainer", SimpleNamespace(estimated_stepping_batches=10))
    module = training_module()
    module.lr_factors = {"nekc.": 0.1}
    with pytest.raises(InputError, match=r"lr_factors names 'nekc\.'"):
        module.configure_optimizers()

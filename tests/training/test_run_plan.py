"""Fields that a recipe leaves auto, from data size, batch and budget."""

import logging

import pytest
import torch
from networks import small_rtmo

from rtmo import config
from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.targets import AUTOMATIC, build
from rtmo.train import KEYS
from rtmo.training import run_plan
from rtmo.training.assembly import build_module
from rtmo.training.run_plan import default_epochs, images_in, plan_run, planned_fields, with_fields

OVERRIDES = (
    *("model=rtmo_n", "data=synthetic", "trainer=cpu", "logger=none", "paths.output_dir=somewhere"),
    *("image_size=[64,64]", "data.train.num_images=60", "data.val.num_images=4", "data.num_workers=0"),
)


def checked(*overrides):
    return config.validate(config.compose("train", [*OVERRIDES, *overrides]), "train", KEYS)


def planned(*overrides, earlier=None, in_sweep=False):
    cfg = checked(*overrides)
    return planned_fields(cfg, source_of(cfg), COCO17, earlier, in_sweep=in_sweep)


def source_of(cfg):
    return build(cfg["data"]["train"], "data.train", COCO17)


@pytest.mark.parametrize("num_images", [20, 200, 2_000, 100_000])
@pytest.mark.parametrize("batch_size", [4, 16, 64])
def test_runs_of_any_size_are_long_enough(num_images, batch_size) -> None:
    plan = plan_run(num_images, batch_size)
    assert plan.epochs == default_epochs(num_images) >= 20
    assert plan.epochs * num_images >= 24_000
    assert 8 <= plan.epochs / plan.validate_every <= 10 or plan.epochs < 30
    assert 20 <= plan.average_steps <= 5000
    assert plan.average_steps < 0.2 * plan.steps
    assert 0 < plan.warmup <= 0.03
    assert plan.norm_momentum == pytest.approx(max(0.03, 30 / plan.steps))
    assert plan.warmup * plan.steps <= 500 + 1e-6


def test_budgets_come_before_the_default() -> None:
    plan = plan_run(100, 16, max_steps=72)
    assert (plan.epochs, plan.steps, plan.reasons) == (11, 72, ("trainer.max_steps=72",))
    assert plan_run(100, 16, max_images=1234).epochs == 12
    assert plan_run(100, 16, max_images=12).epochs == 1, "a run has one epoch at least"
    assert plan_run(100, 16, epochs=3, max_images=1234).epochs == 3


@pytest.mark.parametrize(
    ("batch_size", "devices", "epochs", "taken"),
    [
        (4, 1, 5, 4),
        (16, 1, 5, 16),
        (64, 1, 5, 16),
        (64, 1, 15, 30),
        (64, 1, 100, 64),
        (64, 2, 5, 8),
        (64, 2, 100, 64),
        (64, 32, 5, 1),
    ],
)
def test_images_make_many_steps_before_they_make_large_ones(batch_size, devices, epochs, taken) -> None:
    plan = plan_run(4_000, batch_size, devices=devices, epochs=epochs)
    assert plan.batch_size == taken
    assert (taken < batch_size) == (f"data.batch_size={batch_size} would make few steps" in str(plan))
    assert plan.steps >= min(2_000, epochs * 250) or taken == 1


def test_a_batch_stays_where_its_steps_are_given() -> None:
    assert plan_run(4_000, 64, max_steps=100).batch_size == 64
    assert plan_run(4_000, 64, nominal=256, epochs=5).batch_size == 64
    assert plan_run(4_000, 64, nominal=None, epochs=5).batch_size == 64


def test_every_automatic_field_has_a_value() -> None:
    assert plan_run(100, 16).fields().keys() == AUTOMATIC - {"data.batch_size"}


def test_fills_what_the_recipe_leaves_open() -> None:
    fields, plan = planned("recipe=fast")
    assert plan is not None
    assert fields == {**plan.fields(), "data.batch_size": 16}
    assert fields["trainer.max_epochs"] == 420
    cfg = with_fields(checked("recipe=fast"), fields)
    assert cfg["trainer"]["max_epochs"] == 420
    assert cfg["schedule"]["segments"][0]["until"] == fields["schedule.segments.0.until"]
    assert cfg["callbacks"]["ema"]["momentum"] == pytest.approx(1 / plan.average_steps)
    assert "420 epochs (20, and 24,000 images more, with a set of 60) = 1680 steps" in str(plan)


def test_what_somebody_said_stays() -> None:
    fields, plan = planned("recipe=fast", "trainer.max_epochs=7", "callbacks.ema.momentum=0.5", "data.batch_size=4")
    assert plan is not None
    assert plan.steps == 28, "four batches of 4 add up to a step"
    assert fields.keys() == AUTOMATIC - {"trainer.max_epochs", "callbacks.ema.momentum"}
    assert fields["data.batch_size"] == 4


def test_the_published_recipe_leaves_nothing_open() -> None:
    assert planned("recipe=published") == ({}, None)


def test_images_that_are_seen_often_are_moved() -> None:
    assert not plan_run(4_000, 16, epochs=5).moves
    assert plan_run(4_000, 16, epochs=10).moves
    cfg = with_fields(checked("recipe=fast"), plan_run(60, 16, epochs=2).fields())
    light = build(cfg["data"]["augment"], "data.augment", COCO17)["light"]["affine"]
    assert light.prob == 0
    cfg["data"]["augment"]["main"]["affine"]["prob"] = 1.0
    assert light.prob == 0, "each has its own"


def test_a_data_module_of_somebody_else_says_no_number_of_images() -> None:
    with pytest.raises(InputError, match=r"=auto: this data module names no images in data\.train; give numbers"):
        planned_fields(checked("recipe=fast"), None, COCO17, None, in_sweep=False)
    assert planned_fields(checked("recipe=published"), None, COCO17, None, in_sweep=False) == ({}, None)


def test_a_run_that_goes_on_keeps_its_plan() -> None:
    earlier = with_fields(checked("recipe=fast"), {**plan_run(999, 16).fields(), "data.batch_size": 16})
    fields, plan = planned("recipe=fast", earlier=earlier)
    assert plan is None
    assert fields == {**plan_run(999, 16).fields(), "data.batch_size": 16}


def test_with_fields_changes_a_copy() -> None:
    cfg = {"a": {"b": [{"c": 1}]}}
    assert with_fields(cfg, {"a.b.0.c": 2}) == {"a": {"b": [{"c": 2}]}}
    assert cfg == {"a": {"b": [{"c": 1}]}}


def test_time_is_not_planned_where_its_runs_would_differ() -> None:
    with pytest.raises(InputError, match=r"trainer\.max_time: goes with trainer\.max_epochs=auto in one run"):
        planned("recipe=fast", "trainer.max_time=00:01:00:00", in_sweep=True)


class _Clock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.0
        return self.now


def test_plans_the_images_that_time_allows(monkeypatch, caplog) -> None:
    """The clock is looked at at the start, after each of 20 steps, after the validation and at the end.

    Of the 9 steps that count three have the last 12 images of an epoch.
    """
    cfg = checked("recipe=fast", "optimizer=adamw", "optimizer.betas=[0.9,0.95]")
    cfg["data"]["batch_size"] = 16
    monkeypatch.setattr(run_plan, "time", _Clock())
    monkeypatch.setattr(run_plan, "build_module", _small_module)
    state = torch.get_rng_state()
    with caplog.at_level(logging.INFO, logger="rtmo"):
        images = images_in(1000.0, cfg, source_of(cfg), COCO17)
    assert torch.equal(torch.get_rng_state(), state)
    pace = (6 * 16 + 3 * 12) / 9
    assert images == pytest.approx((1000 - 10 - 23) * pace)
    assert "14.7 images a second; validations take 10 s" in caplog.text


def test_refuses_time_that_validation_would_take(monkeypatch) -> None:
    cfg = checked("recipe=fast", "optimizer=adamw", "optimizer.betas=[0.9,0.95]")
    monkeypatch.setattr(run_plan, "time", _Clock())
    monkeypatch.setattr(run_plan, "build_module", _small_module)
    with pytest.raises(InputError, match=r"trainer\.max_time: of 15 s, 10 validations would take 10"):
        images_in(15.0, cfg, source_of(cfg), COCO17)


def _small_module(cfg, skeleton):
    module = build_module(cfg, skeleton)
    module.model = small_rtmo().train()
    return module

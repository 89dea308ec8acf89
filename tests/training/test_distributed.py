from types import SimpleNamespace

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from lightning.pytorch.strategies import StrategyRegistry

from rtmo.config import compose, override, validate
from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.train import KEYS
from rtmo.training.assembly import build_trainer
from rtmo.training.distributed import DDP, DDPStrategy, check_strategy

QUIET = ("data=synthetic", "recipe=published", "logger=none", "paths.output_dir=somewhere")


def trainer_of(*overrides):
    cfg = validate(compose("train", [*QUIET, *overrides]), "train", KEYS)
    return build_trainer({**cfg, "callbacks": {}}, COCO17)


@pytest.mark.parametrize("name", ["fsdp", "deepspeed_stage_2", "ddp_spawn", "ddp_notebook"])
def test_strategies_that_cannot_work_are_refused(name):
    with pytest.raises(
        InputError, match=rf"trainer\.strategy={name}: choose auto or ddp\. .* the average of the weights"
    ):
        check_strategy(name)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [("fsdp", "fsdp"), ("{_target_: lightning.pytorch.strategies.ddp.DDPStrategy}", "DDPStrategy")],
)
def test_no_trainer_has_them(strategy, name):
    with pytest.raises(InputError, match=rf"trainer\.strategy={name}: choose auto or ddp"):
        trainer_of("trainer=ddp_cpu", f"trainer.strategy={strategy}")


def test_norms_that_torch_cannot_synchronise_are_refused():
    with pytest.raises(InputError, match=r"trainer\.sync_batchnorm: .* on GPUs only"):
        trainer_of("trainer=ddp_cpu", "trainer.sync_batchnorm=true")


def test_ddp_is_ours_however_it_is_chosen():
    assert type(StrategyRegistry.get("ddp")) is DDP  # what auto means on several GPUs
    strategy = trainer_of("trainer=ddp_cpu", "trainer.strategy.timeout_minutes=2").strategy
    assert type(strategy) is DDP
    assert strategy._timeout.total_seconds() == 120


@pytest.mark.parametrize(
    ("environment", "nodes", "devices"),
    [
        ({}, 1, -1),
        ({"GROUP_WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "8", "SLURM_NNODES": "5"}, 2, 8),  # torchrun within SLURM
        ({"SLURM_NNODES": "3", "SLURM_NTASKS_PER_NODE": "4"}, 3, 4),
    ],
)
def test_several_machines_are_as_torchrun_or_slurm_says(monkeypatch, environment, nodes, devices):
    for name in ("GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = validate(compose("train", [*QUIET, "trainer=ddp_multinode"]), "train", KEYS)["trainer"]
    assert (trainer["num_nodes"], trainer["devices"]) == (nodes, devices)


def test_a_rank_with_another_folder_than_the_first_is_refused(monkeypatch):
    strategy = DDP()
    trainer = SimpleNamespace(default_root_dir="runs/12-00-01")
    monkeypatch.setattr(DDPStrategy, "setup_environment", lambda self: None)
    monkeypatch.setattr(DDP, "lightning_module", SimpleNamespace(trainer=trainer))
    monkeypatch.setattr(DDP, "global_rank", 3)
    strategy.setup_environment()  # alone
    monkeypatch.setattr(strategy, "broadcast", lambda own: "runs/12-00-00")
    with pytest.raises(InputError, match=r"hydra\.run\.dir: rank 0 has runs/12-00-00, rank 3 runs/12-00-01"):
        strategy.setup_environment()


@pytest.mark.parametrize("value", ["runs/a", "a=b, (c)", "it's", "back\\slash\\", "end\\'", ""])
def test_overrides_of_unusual_values(value):
    assert OverridesParser.create().parse_override(override("hydra.run.dir", value)).value() == value


def test_override_of_nothing():
    assert override("ckpt_path", None) == "ckpt_path=null"

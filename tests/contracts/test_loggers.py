import pytest
import wandb

from rtmo.errors import InputError
from rtmo.train import check_values
from rtmo.training.assembly import offline_without_account, wandb_run

LOGGERS = {"csv": {"_target_": "csv"}, "wandb": {"_target_": "wandb", "offline": False}}


@pytest.fixture
def account(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)

    def has(answer: bool) -> None:
        monkeypatch.setattr(wandb, "login", lambda prompt: answer and not prompt)

    return has


def test_wandb_is_offline_without_an_account_and_never_asks(account):
    account(False)
    assert offline_without_account(LOGGERS)["wandb"]["mode"] == "offline"
    assert offline_without_account(LOGGERS)["csv"] == LOGGERS["csv"]


def test_wandb_stays_as_configured_otherwise(account, monkeypatch):
    account(True)
    assert offline_without_account(LOGGERS) == LOGGERS
    account(False)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert offline_without_account(LOGGERS) == LOGGERS
    monkeypatch.delenv("WANDB_MODE")
    assert offline_without_account({"csv": {}, "wandb": None}) == {"csv": {}, "wandb": None}


def test_wandb_is_told_of_sweep_run_and_ablations():
    loggers = {"csv": {}, "wandb": {"tags": ("rtmo_n",), "group": None, "id": None, "log_model": True}}
    overrides = ["seed=1", "ablation=[kld,no_ema]", "model=rtmo_n"]
    told = wandb_run(loggers, run_id="abc", group="2026_sweep", overrides=overrides)
    assert told["csv"] == {}
    assert told["wandb"] == {
        **{"tags": ["rtmo_n", "kld", "no_ema"], "group": "2026_sweep", "id": "abc"},
        "log_model": False,  # our callback does it
    }


def test_what_the_config_tells_wandb_wins():
    loggers = {"wandb": {"tags": [], "group": "mine", "id": "xyz"}}
    told = wandb_run(loggers, run_id="abc", group="2026_sweep", overrides=["ablation=kld"])["wandb"]
    assert (told["group"], told["id"], told["tags"]) == ("mine", "xyz", ["kld"])
    assert wandb_run({"csv": {}, "wandb": None}, run_id="abc", group=None, overrides=[]) == {"csv": {}, "wandb": None}


@pytest.mark.parametrize("log_model", ["all", None, 1])
def test_checkpoints_are_uploaded_or_not(log_model):
    for understood in ({"log_model": True}, {"log_model": False}, {}, None):
        check_values({"seed": 0, "nominal_batch": None, "optimized_metric": None, "logger": {"wandb": understood}})
    with pytest.raises(InputError, match=r"log_model: expected true .* or false, got"):
        check_values(
            {"seed": 0, "nominal_batch": None, "optimized_metric": None, "logger": {"wandb": {"log_model": log_model}}}
        )

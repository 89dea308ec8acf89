import pytest
import wandb

from rtmo.train import offline_without_account

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

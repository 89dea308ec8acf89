"""Sweeps of a small program with the settings and sweep files of conf/; tests/integration has whole trainings."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from rtmo import config, train
from rtmo.errors import InputError, RunError
from rtmo.training.earlier_run import continue_run

SWEEP = ("-m", "hydra.sweep.dir=sweep")
PRIMARY = """
defaults: [_self_, {paths: default}, {hydra: default}, {sweep: null}]
name: small
model_name: one
data_name: none
optimized_metric: null
seed: 0
optimizer: {lr: 1.0, weight_decay: 1.0}
ckpt_path: null
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes a function of the config an entry point."""
    for group in ("paths", "hydra", "sweep"):
        shutil.copytree(config.conf_dir() / group, tmp_path / "conf" / group)
    (tmp_path / "conf" / "train.yaml").write_text(PRIMARY)
    monkeypatch.setenv("RTMO_CONF_DIR", str(tmp_path / "conf"))

    def make(task):
        def main(cfg):
            return task(cfg)

        return config.main("train", yaml.safe_load(PRIMARY).keys() - {"defaults"} | {"paths"})(main)

    return make


def by_seed(outcomes: dict):
    """A program whose result, or what it raises, depends on the seed."""

    def task(cfg: dict) -> float:
        outcome = outcomes[cfg["seed"]]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return task


def states(sweep: Path) -> list[str]:
    return [json.loads(file.read_text())["state"] for file in sorted(sweep.glob("*/job.json"))]


def test_failed_jobs_do_not_end_the_others(call, program, tmp_path):
    damaged = InputError("weights.pth: damaged")
    outcomes = {0: 0.5, 1: KeyError("our mistake"), 2: damaged, 3: float("nan"), 4: 0.25}
    outcomes[5] = RunError("metrics.csv: cannot be written; make room")
    code, stdout, _ = call(program(by_seed(outcomes)), *SWEEP, "seed=0,1,2,3,4,5", "name=other")
    sweep = tmp_path / "sweep"
    assert code == 1
    assert states(sweep) == ["done", "failed", "refused", "failed", "done", "failed"]
    for row in ("seed=0 │ done │ 0.5000", "seed=1 │ failed │ - ", "seed=2 │ refused │ -", "seed=4 │ done │ 0.2500"):
        assert row in " ".join(stdout.split())
    assert "sweep/1: KeyError: 'our mistake'" in stdout
    error = (sweep / "1" / "error.txt").read_text()
    assert error.startswith("Traceback")
    assert "KeyError: 'our mistake'" in error
    assert (sweep / "2" / "error.txt").read_text() == "error: weights.pth: damaged\n"
    assert "NaN" in (sweep / "3" / "error.txt").read_text()
    assert (sweep / "5" / "error.txt").read_text() == "error: metrics.csv: cannot be written; make room\n"
    assert not (sweep / "0" / "error.txt").exists()


def test_the_table_tells_what_differs_and_what_came_of_it(call, program):
    def task(cfg: dict) -> None:
        summary = {"metrics": {"val/AP": 0.1 + cfg["seed"]}}
        Path(cfg["paths"]["output_dir"], "summary.json").write_text(json.dumps(summary))

    code, stdout, _ = call(program(task), *SWEEP, "name=other", "seed=0,1", "optimizer.lr=[b,x],1")
    words = " ".join(stdout[stdout.index("4 jobs in sweep") :].split())
    assert code == 0
    assert "job ┃ overrides ┃ state ┃ val/AP ┃ folder" in words
    assert "│ 0 │ seed=0 optimizer.lr=[b,x] │ done │ 0.1000 │ 0 │" in words
    assert "│ 3 │ seed=1 optimizer.lr=1 │ done │ 1.1000 │ 3 │" in words


def test_a_sweep_that_is_run_again_tells_of_its_jobs_as_they_are_now(call, program, tmp_path):
    damaged = InputError("weights.pth: damaged")
    call(program(by_seed({0: 0.5, 1: damaged, 2: KeyError()})), *SWEEP, "seed=0,1,2")
    code, stdout, _ = call(program(by_seed({0: damaged, 1: 0.5})), *SWEEP, "seed=0,1")
    assert code == 2
    assert states(tmp_path / "sweep") == ["refused", "done"]
    assert not (tmp_path / "sweep" / "1" / "error.txt").exists()
    assert "2 jobs in sweep" in stdout
    code, stdout, _ = call(program(by_seed({0: 0.5})))
    assert (code, "jobs" in stdout) == (0, False)


def test_a_sweep_leaves_those_in_folders_below_alone(call, program, tmp_path):
    inner = ("-m", "hydra.sweep.dir=sweep/inner")
    assert call(program(by_seed({0: KeyError("our mistake")})), *inner, "seed=0")[0] == 1
    code, stdout, _ = call(program(by_seed({0: 0.5})), *SWEEP, "seed=0")
    assert (code, "1 jobs in sweep" in stdout) == (0, True)
    assert states(tmp_path / "sweep" / "inner") == ["failed"]


def test_errors_have_tracebacks_if_asked_for(call, program, tmp_path, monkeypatch):
    def task(cfg: dict) -> None:
        monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # which `call` takes away
        raise InputError("weights.pth: damaged")

    assert call(program(task), *SWEEP, "seed=0")[0] == 2
    assert (tmp_path / "sweep" / "0" / "error.txt").read_text().startswith("Traceback")


def test_a_run_without_the_metric_of_the_sweep_failed(call, program, tmp_path):
    code, stdout, _ = call(program(lambda cfg: train.optimized("val/PA", {"val/AP": 0.5})), *SWEEP, "seed=0")
    assert (code, states(tmp_path / "sweep")) == (1, ["failed"])
    assert "RuntimeError: optimized_metric=val/PA: the run has no such metric; did you mean 'val/AP'" in stdout


def test_a_sweep_can_be_stopped(call, program, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        call(program(by_seed({0: 0.5, 1: KeyboardInterrupt()})), *SWEEP, "seed=0,1,2")
    assert states(tmp_path / "sweep") == ["done", "stopped"]
    terminated = by_seed({0: SystemExit()})  # as Lightning ends after SIGTERM
    assert call(program(terminated), *SWEEP, "seed=0,1")[0] == 128 + signal.SIGTERM


def test_a_run_that_was_finished_before_has_no_error(call, program, tmp_path):
    """What is refused is to replace it."""
    folder = tmp_path / "sweep" / "0"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text("{}")
    assert call(program(by_seed({0: InputError("holds another run")})), *SWEEP, "seed=0")[0] == 2
    assert not (folder / "error.txt").exists()


def test_slurm_continues_jobs_that_run_out_of_time(call):
    code, stdout, _ = call(train.main, "hydra/launcher=slurm", "--cfg", "hydra", "--package", "hydra.launcher")
    assert code == 0
    launcher = yaml.safe_load(stdout)
    assert launcher["_target_"].endswith(".SlurmLauncher")
    assert launcher["max_num_timeout"] > 0


@pytest.mark.parametrize(
    ("group", "choice", "override"),
    [("sweeper", "optuna", "sweep=optuna_lr"), ("launcher", "submitit_slurm", "hydra/launcher=slurm")],
)
def test_what_is_not_installed_is_named_with_the_command(monkeypatch, group, choice, override):
    Plugins.instance()  # finds what is installed
    monkeypatch.delitem(ConfigStore.instance().repo["hydra"][group], f"{choice}.yaml")
    with pytest.raises(InputError, match=rf'hydra/{group}={choice}: is not installed; pip install "rtmo\[search\]"'):
        config.compose("train", [override])


class Searched:
    """Trains at once: the best learning rate is 0.001. Is stopped in the run of a given number."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.rates: list[float] = []
        self.stop_at = stop_at

    def __call__(self, cfg: dict) -> float:
        if (metrics := continue_run(cfg)) is not None:
            return metrics["val/AP"]
        self.rates.append(cfg["optimizer"]["lr"])
        if len(self.rates) - 1 == self.stop_at:
            raise KeyboardInterrupt
        folder = Path(cfg["paths"]["output_dir"])
        average_precision = 1 - abs(cfg["optimizer"]["lr"] - 0.001)
        (folder / "config.yaml").write_text(yaml.safe_dump(cfg))
        (folder / "summary.json").write_text(json.dumps({"metrics": {"val/AP": average_precision}}))
        return average_precision


# of SQLAlchemy, at the import of Optuna
@pytest.mark.filterwarnings(r"ignore:The ``declarative_base\(\)`` function is now available:DeprecationWarning")
class TestSearch:
    COMMAND = ("sweep=optuna_lr", "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler.n_startup_trials=2")

    def test_goes_on_where_it_stopped(self, call, program, tmp_path):
        whole, first, second = Searched(), Searched(stop_at=4), Searched()
        assert call(program(whole), *self.COMMAND, "hydra.sweep.dir=whole")[0] == 0
        with pytest.raises(KeyboardInterrupt):
            call(program(first), *self.COMMAND, "hydra.sweep.dir=parts")
        assert call(program(second), *self.COMMAND, "hydra.sweep.dir=parts")[0] == 0

        assert len(set(whole.rates)) == 6
        assert [*first.rates[:4], *second.rates] == whole.rates
        result, other = (tmp_path / name / "optimization_results.yaml" for name in ("whole", "parts"))
        assert result.read_text() == other.read_text()
        best = min(whole.rates, key=lambda rate: abs(rate - 0.001))
        assert yaml.safe_load(result.read_text())["best_params"]["optimizer.lr"] == best

    def test_goes_on_without_runs_that_fail(self, call, program, tmp_path):
        outcomes = iter([KeyError("our mistake"), 0.25, InputError("damaged"), 0.5])
        four = ("sweep=optuna_lr", "hydra.sweeper.n_trials=4", "hydra.sweep.dir=sweep")
        code, _, _ = call(program(lambda cfg: by_seed({cfg["seed"]: next(outcomes)})(cfg)), *four)
        assert code == 1
        assert yaml.safe_load((tmp_path / "sweep" / "optimization_results.yaml").read_text())["best_value"] == 0.5

    def test_a_copy_that_searches_something_else_has_folders_of_its_own(self, call, program, tmp_path):
        file = tmp_path / "conf" / "sweep" / "optuna_lr.yaml"
        copy = yaml.safe_load(file.read_text())
        copy["hydra"]["sweeper"]["params"] = {"seed": "range(0, 100)"}
        file.with_name("seeds.yaml").write_text("# @package _global_\n" + yaml.safe_dump(copy))
        two = ("sweep=seeds", "name=other", "hydra.sweeper.n_trials=2")
        assert call(program(lambda cfg: float(cfg["seed"])), *two)[0] == 0
        folders = [file.parent for file in tmp_path.rglob("job.json")]
        assert len(folders) == 2
        for folder in folders:
            seed = json.loads((folder / "job.json").read_text())["value"]
            assert folder == tmp_path / "outputs" / "sweeps" / "optuna_lr_one_none" / f"seed={seed:.0f}"

    def test_says_so_if_every_run_fails(self, call, program):
        two = ("sweep=optuna_lr", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep")
        code, stdout, _ = call(program(by_seed({0: InputError("damaged")})), *two)
        assert (code, "2 jobs in sweep" in stdout) == (2, True)

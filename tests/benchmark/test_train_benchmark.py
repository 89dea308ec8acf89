"""python -m rtmo.benchmark train: steps of a real run, tables, JSON and picture, faults."""

import json
import sys
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rtmo.benchmark import series, train
from rtmo.benchmark.series import Case
from rtmo.benchmark.training import PARTS, STEP, WORK, Losses, step_gflop
from rtmo.benchmark.workers import Worker
from rtmo.hub import load_model

SMALL = ["model=rtmo_n", "data=synthetic", "image_size=[64,64]", "data.num_workers=0", "trainer=cpu"]


def program(**answers: object) -> tuple[str, ...]:
    """A worker that gives these answers, as any program may."""
    lines = {do: json.dumps(answer) for do, answer in answers.items()}
    script = f"import sys, json\nfor line in sys.stdin: print({lines!r}[json.loads(line)['do']], flush=True)"
    return (sys.executable, "-c", script)


@pytest.mark.slow
def test_steps_of_a_real_run_by_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Worker() as worker:
        said = worker.ask("prepare", kind="training", overrides=[*SMALL, "trainer.precision=bf16-mixed"], people=3)
        assert said == {"description": "torch bfloat16 on cpu"}
        for _ in range(3):
            answer = worker.ask("run", batch=2)
            times = answer["milliseconds"]
            assert times.keys() == {*PARTS, WORK, STEP}
            assert min(times.values()) > 0
            assert times[STEP] == pytest.approx(sum(times[part] for part in PARTS))
            assert times[WORK] == pytest.approx(times[STEP] - times["data"])
            assert answer["people"] == 6
    assert not list(tmp_path.iterdir())


def test_losses_of_so_many_people():
    losses = Losses(overrides=SMALL, batch=2)
    for people in (1, 3):
        answer = losses.run(people)
        assert answer["people"] == 2 * people
        assert answer["milliseconds"].keys() == {"assignment", "losses", "step"}


@pytest.mark.slow
def test_a_step_computes_three_times_what_a_forward_pass_does():
    """Gradients of activations and of weights cost what the outputs do; only those of the images are not needed."""
    model = load_model("rtmo_n").train()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(2, 3, 64, 64), with_proxy=True)
    assert step_gflop(SMALL) == pytest.approx(3 * counter.get_total_flops() / 2 / 1e9, rel=0.1)


def test_tables_numbers_and_picture(call, tmp_path, monkeypatch):
    times = {**dict.fromkeys(PARTS, 2.0), WORK: 14.0, STEP: 16.0, "product": 10.0}
    said = {"prepare": {"description": "x float32", "gflop": 1.0}, "run": {"milliseconds": times, "people": 2}}
    command = program(**said, memory={"mib": 7.0})
    monkeypatch.setattr(train, "Case", partial(Case, command=command))
    monkeypatch.setattr(train, "step_gflop", lambda _: 0.1)
    monkeypatch.setattr(series, "PAUSE", 0)
    alone = [f"cases.{name}=null" for name in ("compiled", "bfloat16", "bfloat16_compiled", "checkpointed")]
    small = ['train=["model=rtmo_n","data=synthetic"]', "rounds=2"]
    code, stdout, stderr = call(train.main, *small, *alone, "people=[1,4]", "output=new/speed.json")
    assert (code, stderr) == (0, "")
    assert "rtmo_n, 4 images of 640 x 640 px a step" in stdout
    assert "peak: 100 GFLOP/s in float32" in stdout
    assert (tmp_path / "new/speed.png").is_file()
    record = json.loads((tmp_path / "new/speed.json").read_text())
    assert [row["name"] for row in record["steps"]] == ["nchw", "float32"]
    assert record["steps"][0]["share_of_peak"] == pytest.approx(1.0)  # .4 GFLOP in 4 ms
    assert record["steps"][0]["milliseconds"]["EMA"]["median_ms"] == 2
    assert [row["name"] for row in record["losses_by_people"]] == ["1", "4"]
    assert record["environment"]["threads"] >= 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rounds=0", "rounds: expected a whole number from 1 on, got 0"),
        ("batch_size=two", "batch_size: expected a whole number from 1 on, got 'two'"),
        ("train=null", "train: expected a list of overrides of rtmo.train, got None"),
        ("cases.float32=fast", "cases.float32: expected a list of overrides of rtmo.train, got 'fast'"),
        ('train=["modell=rtmo_s"]', "modell"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, option, message):
    code, _, stderr = call(train.main, option)
    assert code == 2
    assert stderr.startswith("error: ")
    assert message in stderr
    assert len(stderr.splitlines()) == 1

"""python -m rtmo.benchmark predict: worker processes, faults, tables, JSON and picture."""

import json
import sys
from functools import partial

import numpy as np
import pytest
from exported_files import save_exported
from networks import SMALL, small_rtmo

from rtmo.benchmark import predict, series
from rtmo.benchmark.latency import Latency
from rtmo.benchmark.predict_report import growth
from rtmo.benchmark.prediction import PARTS, Prediction
from rtmo.benchmark.series import Case, Row, measure_cases, measure_people
from rtmo.benchmark.worker import answered
from rtmo.benchmark.workers import Worker, WorkerError
from rtmo.benchmark.workload import image_file
from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.weights.file import write_file


def program(**answers: object) -> tuple[str, ...]:
    """A worker that gives these answers, as any program may."""
    lines = {do: json.dumps(answer) for do, answer in answers.items()}
    script = f"import sys, json\nfor line in sys.stdin: print({lines!r}[json.loads(line)['do']], flush=True)"
    return (sys.executable, "-c", script)


def test_what_a_worker_cannot_do_is_an_error_with_its_reason():
    with Worker(program(run={"error": "out of paper"})) as worker, pytest.raises(WorkerError, match="out of paper"):
        worker.ask("run")


def test_a_worker_that_ends_is_an_error():
    with Worker((sys.executable, "-c", "raise SystemExit(3)")) as worker:
        for _ in range(2):
            with pytest.raises(WorkerError, match="ended with exit code 3"):
                worker.ask("run", batch=1)


def test_others_go_on_when_a_case_fails():
    times = {"pre-process": 1.0, "network": 8.0, "decode": 2.0, "draw": 0.5}
    works = {"prepare": {"description": "x float32"}, "memory": {"mib": 7.0}}
    cases = {
        "good": Case({}, program(**works, run={"milliseconds": times, "people": 2}), gflop=0.4),
        "unbuilt": Case({}, program(prepare={"error": "no such file"})),
        "broken": Case({}, program(**works, run={"error": "no memory"})),
    }
    peak = Case({}, program(prepare={"gflop": 1.0}, run={"milliseconds": {"product": 10.0}}))
    (good, unbuilt, broken), rates = measure_cases(cases, {"float32": peak}, rounds=2)
    assert rates == {"float32": 100}
    assert (good.people, good.memory_mib, good.share_of_peak) == (2, 7, pytest.approx(0.5))  # 50 of 100 GFLOP/s
    sums = {name: good.milliseconds[name].median_ms for name in ("network and decode", "prediction", "total")}
    assert sums == {"network and decode": 10, "prediction": 11, "total": 11.5}
    assert (unbuilt.error, broken.error) == ("no such file", "no memory")
    assert unbuilt.to_plain() == {"name": "unbuilt", "batch": 1, "description": "", "error": "no such file"}


def test_people_come_out_of_one_process_by_threshold():
    cuts = [{"people": 1, "score_thr": 0.5}, {"people": 4, "score_thr": 0.2}]
    run = {"milliseconds": {"pre-process": 1, "network": 8, "decode": 2}, "people": 1}
    works = {"prepare": {"description": "x"}, "run": run}
    rows = measure_people(Case({}, program(**works, cuts={"cuts": cuts})), [4, 1], rounds=1)
    assert [(row.name, row.milliseconds["network and decode"].median_ms) for row in rows] == [("1", 10), ("4", 10)]
    rows = measure_people(Case({}, program(**works, cuts={"error": "too few"})), [1, 4], rounds=1)
    assert [(row.name, row.error) for row in rows] == [("1", "too few"), ("4", "too few")]


@pytest.mark.parametrize("plain", [True, False])
def test_a_prediction_finds_as_many_people_as_its_threshold_says(tmp_path, plain):
    record = {"model": {"_target_": "rtmo.models.rtmo.RTMO", **SMALL}, "skeleton": COCO17.to_plain()}
    write_file(tmp_path / "small.pth", small_rtmo().state_dict(), {"rtmo": record})
    image = image_file(None, tmp_path)
    prediction = Prediction(checkpoint=str(tmp_path / "small.pth"), image=str(image), plain=plain, image_size=[64, 64])
    for cut in prediction.cuts([1, 2])["cuts"]:
        answer = prediction.run(batch=2, score_thr=cut["score_thr"])
        assert answer["people"] == cut["people"]
        assert answer["milliseconds"].keys() == set(PARTS)
    drawn = {"num_images": 2, "seed": 0, "image_size": [64, 64]}
    people = {"_target_": "rtmo.data.synthetic.source.SyntheticPeople", **drawn}
    metric = {"_target_": "rtmo.evaluation.coco.CocoKeypointAP"}
    assert 0 <= prediction.score(people, metric)["AP"] < 0.2  # of random weights


def test_a_prediction_of_an_exported_file(tmp_path):
    file = save_exported(tmp_path / "pair.onnx")
    prediction = Prediction(checkpoint=str(file), image=str(image_file(None, tmp_path)), backend="onnxruntime")
    assert prediction.describe() == {"description": "ONNX Runtime float32 on CPU", "image_size": (64, 96)}
    answer = prediction.run(batch=2)
    assert (answer["people"], answer["milliseconds"].keys()) == (3, set(PARTS))  # who score above .3
    with pytest.raises(InputError, match="people: an exported network has one threshold"):
        prediction.cuts([1])


def test_growth_is_that_of_network_and_decoding():
    rows = [Row(str(n), 1, milliseconds={"network and decode": Latency(100 + n, 200)}) for n in (1, 5, 20)]
    assert growth(rows) == pytest.approx(120 / 101 - 1)
    assert growth([rows[0], Row("5", 1, error="scores tie")]) is None


def test_memory_is_that_of_the_worker_not_of_its_parent():
    ballast = np.ones(2**30, np.uint8)
    script = "import sys; sys.modules['rtmo.benchmark.prediction'] = __import__('unittest.mock').mock.Mock()\n"
    command = (sys.executable, "-c", f"{script}from rtmo.benchmark.worker import main; main()")
    with Worker(command) as worker:
        assert 5 < worker.ask("memory")["mib"] < ballast.nbytes / 2**20


def test_answers_of_our_worker_when_something_goes_wrong(capsys):
    requests = [
        {"do": "prepare", "kind": "prediction", "checkpoint": "nowhere.ckpt", "image": "nowhere.jpg"},
        {"do": "run"},
        {"do": "prepare", "kind": "product", "precision": "float32", "device": "cpu"},
    ]
    unbuilt, unprepared, product = map(json.loads, answered(map(json.dumps, requests)))
    assert unbuilt["error"].startswith("checkpoint=nowhere.ckpt: no such file")
    assert "AttributeError" in unprepared["error"]
    assert "Traceback" in capsys.readouterr().err  # a mistake of the parent, not of the user
    assert product["gflop"] > 1


def test_tables_numbers_and_picture_of_all_series(call, tmp_path, monkeypatch):
    times = {**dict.fromkeys(PARTS, 2.0), "product": 10.0}
    said = {"prepare": {"description": "x float32", "gflop": 1.0}, "run": {"milliseconds": times, "people": 2}}
    cuts = {"cuts": [{"people": count, "score_thr": 1 / count} for count in (2, 4)]}
    command = program(**said, memory={"mib": 7.0}, cuts=cuts)
    monkeypatch.setattr(predict, "Case", partial(Case, command=command))
    monkeypatch.setattr(series, "PAUSE", 0)
    counts = ["image_size=[64,64]", "rounds=1", "batch_sizes=[1,2]", "sides=[32,64]", "people=[2,4]", "models=[rtmo_n]"]
    code, stdout, stderr = call(predict.main, "checkpoint=rtmo_n", *counts, "output=new/speed.json")
    assert (code, stderr) == (0, "")
    assert "rtmo_n by people found, 64 x 64 px, fused: network and decode +0.0%" in stdout
    assert "peak: 100 GFLOP/s in float32" in stdout
    assert (tmp_path / "new/speed.png").is_file()
    record = json.loads((tmp_path / "new/speed.json").read_text())
    assert [(row["name"], row["batch"]) for row in record["cases"]][::5] == [("plain", 1), ("plain", 2)]
    names = {name: [row["name"] for row in record[name]] for name in ("sides", "people", "models")}
    assert names == {"sides": ["32", "64"], "people": ["2", "4"], "models": ["rtmo_n"]}


@pytest.mark.slow
def test_it_measures_and_writes(call, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "PRECISIONS", ())  # fewer processes
    alone = [f"cases.{name}=null" for name in ("compiled", "bfloat16", "bfloat16_compiled")]
    small = ["checkpoint=rtmo_n", "image_size=[64,64]", "rounds=1", "sides=[]", "models=[]", "people=[]"]
    code, stdout, stderr = call(predict.main, *small, *alone, "output=new/speed.json")
    assert (code, stderr) == (0, "")
    assert "rtmo_n, 2.9 M parameters, 0.1 GFLOP, 64 x 64 px" in stdout
    assert (tmp_path / "new/speed.png").is_file()
    record = json.loads((tmp_path / "new/speed.json").read_text())
    plain, fused = record["cases"]
    for row in (plain, fused):
        medians = {name: latency["median_ms"] for name, latency in row["milliseconds"].items()}
        assert min(medians.values()) > 0
        assert medians["total"] == pytest.approx(sum(medians[part] for part in PARTS))
    assert fused["memory_mib"] > 50
    assert fused["parameters"] < 4e6
    assert record.keys().isdisjoint(("people", "sides", "models"))
    assert record["environment"]["threads"] >= 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("rounds=0", "rounds: expected a whole number from 1 on, got 0"),
        ("people=[1,0]", "people: expected a list of whole numbers from 1 on, got [1, 0]"),
        ("series_case=fast", "series_case=fast: no such case; known: bfloat16,"),
        ("models=[rtmo_x]", "models: rtmo_x: no such size; did you mean"),
        ("image=nowhere.jpg", "image=nowhere.jpg: no such file"),
        ("image=text.jpg", "text.jpg: not an image"),
        ("image_size=64", "image_size: expected a list of whole numbers from 1 on, got 64"),
        ("image_size=[64]", "image_size: expected [height,width], got [64]"),
        ("sides=[64,100]", "image_size must be (height, width) in multiples of 32, got 100 x 100"),
        ("batch_sizes=8", "batch_sizes: expected a list of whole numbers from 1 on, got 8"),
        ("exported=nowhere.onnx", "exported: expected a list, got 'nowhere.onnx'; write [nowhere.onnx]"),
        ("exported=[nowhere.onnx]", "exported: nowhere.onnx: no such file"),
        ("series_case=null", "series_case=None: no such case; known: bfloat16,"),
        ("cases=null", "cases: expected cases by name, got None"),
        ("checkpoint=nowhere.ckpt", "checkpoint=nowhere.ckpt: no such file"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, tmp_path, option, message):
    (tmp_path / "text.jpg").write_text("no image")
    code, _, stderr = call(predict.main, "checkpoint=rtmo_n", option)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1

"""An offline W&B run of a small training, read back from the file that would be synced, holds all that pages show."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest
import torch
import wandb
from wandb_dashboard import load_dashboard
from wandb_file import WandbFile

from rtmo.config import compose, validate
from rtmo.skeletons import COCO17
from rtmo.train import KEYS, main, train

pytestmark = [
    pytest.mark.slow,
    # of wandb itself
    pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb", "ignore::pydantic.PydanticDeprecationWarning"),
]

SMALL = (
    *("experiment=demo", "logger=wandb", "trainer=cpu", "image_size=[64,64]", "model.widen_factor=0.125"),
    *("model.hidden_dim=32", "model.ffn_dim=64", "model.dcc_dim=16", "model.attention_dim=16"),
    *(
        "data.train.num_images=12",
        "data.val.num_images=10",
        "data.batch_size=4",
        "nominal_batch=null",
        "data.num_workers=0",
    ),
    *("trainer.max_epochs=3", "trainer.log_every_n_steps=1", "phases.refine_start=0.34", "phases.light_start=0.67"),
    *("callbacks.images.num_images=4", "callbacks.worst.num_images=6", "module.score_thr=0.001"),
)
FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
LOSSES = ("loss", "loss_cls", "loss_bbox", "loss_vis", "loss_mle", "loss_oks")
DIAGNOSTICS = (
    "positives_per_image",
    "pred_sigma",
    "grad_norm",
    "images_per_second",
    "data_wait",
    "memory_mib",
    "phase",
)


def run(folder: Path, *overrides: str, changes: tuple[str, ...] = (), sweep: str | None = None) -> WandbFile:
    cfg = validate(compose("train", [*SMALL, f"paths.output_dir={folder}", *overrides]), "train", KEYS)
    with offline(folder):
        train(cfg, overrides=changes, sweep=sweep)
    return WandbFile(folder)


@contextmanager
def offline(folder: Path) -> Iterator[None]:
    """No account is asked for, and nothing is written outside of the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_DATA_DIR", str(folder / "staging"))
        yield
        wandb.teardown()  # its service has written everything when it has ended, not before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wandb")


@pytest.fixture(scope="module")
def logged(folder: Path) -> WandbFile:
    return run(folder, changes=("seed=0", "ablation=[dcc,no_ema]"), sweep="2026-01-01_sweep")


def values(logged: WandbFile, name: str) -> list[float]:
    return [row[name] for row in logged.history if name in row]


def test_losses_and_diagnostics_of_every_step(logged: WandbFile) -> None:
    for name in (*LOSSES, *DIAGNOSTICS):
        assert len(values(logged, f"train/{name}")) == 9, name
    assert values(logged, "train/phase") == [0] * 3 + [1] * 3 + [2] * 3
    assert min(values(logged, "train/grad_norm")) > 0.1  # where it would be cut off
    assert min(values(logged, "train/images_per_second")) > 0
    assert all(0 < share < 1 for share in values(logged, "train/data_wait"))
    assert min(values(logged, "train/memory_mib")) > 100
    assert max(values(logged, "train/pred_sigma")) > 0
    rates = {name for row in logged.history for name in row if name.startswith("lr-")}
    assert {"lr-MuonAdamW/base", "lr-MuonAdamW/backbone.", "lr-MuonAdamW/dcc."} <= rates
    per_image = [number / 4 for number in values(logged, "train/num_positives")]
    assert values(logged, "train/positives_per_image") == pytest.approx(per_image)


def test_losses_of_each_phase_are_a_curve_of_their_own(logged: WandbFile) -> None:
    for name in LOSSES:
        of_phases = [values(logged, f"phase_{phase}/{name}") for phase in "ABC"]
        assert [len(of_phase) for of_phase in of_phases] == [3, 3, 3]
        assert [value for of_phase in of_phases for value in of_phase] == values(logged, f"train/{name}")


def test_losses_are_logged_once_a_step_where_batches_add_up_to_it(tmp_path: Path) -> None:
    logged = run(tmp_path, "data.batch_size=2", "nominal_batch=4", "trainer.max_epochs=2")
    by_name = {
        name: [row["trainer/global_step"] for row in logged.history if name in row]
        for name in ("train/loss", "phase_A/loss", "phase_B/loss", "phase_C/loss")
    }
    assert by_name.pop("train/loss") == [0, 1, 2, 3, 4, 5]
    assert sorted(step for steps in by_name.values() for step in steps) == [0, 1, 2, 3, 4, 5]


def test_the_summary_keeps_the_best_of_the_ap_family(logged: WandbFile) -> None:
    told = {metric.name: metric for metric in logged.of("metric")}
    for name in FIGURES:
        assert told[f"val/{name}"].summary.max, name
        history = values(logged, f"val/{name}")
        assert len(history) == 3
        assert logged.summary[f"val/{name}"] == {"max": pytest.approx(max(history))}


def test_the_run_can_be_found(logged: WandbFile) -> None:
    (of_run,) = logged.of("run")
    assert of_run.project == "rtmo"
    assert of_run.display_name == "demo"
    assert of_run.run_group == "2026-01-01_sweep"
    assert list(of_run.tags) == ["rtmo_n", "synthetic", "fast", "dcc", "no_ema"]
    assert logged.config["model"]["widen_factor"] == 0.125
    assert logged.config["seed"] == 0


def test_the_same_validation_images_every_time(logged: WandbFile, folder: Path) -> None:
    sheets = [name for names in values(logged, "val/predictions.filenames") for name in names]
    assert len(sheets) == 3
    sizes = set()
    for number, name in enumerate(sheets):
        logged_sheet, written = (
            cv2.imread(str(logged.file(name))),
            cv2.imread(f"{folder}/images/epoch_{number:03d}.png"),
        )
        assert (logged_sheet == written).all()
        sizes.add(written.shape)
    assert len(sizes) == 1


def test_the_first_batch(logged: WandbFile, folder: Path) -> None:
    ((name,),) = values(logged, "train/batch.filenames")
    first_loss = next(number for number, row in enumerate(logged.history) if "train/loss" in row)
    assert any("train/batch._type" in row for row in logged.history[:first_loss])
    assert (cv2.imread(str(logged.file(name))) == cv2.imread(f"{folder}/images/train_batch.png")).all()


def test_the_prediction_table_is_that_of_the_folder(logged: WandbFile, folder: Path) -> None:
    assert len(values(logged, "val/worst.path")) == 1
    (artifact,) = (artifact for artifact in logged.of("artifact") if artifact.type == "run_table")
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    table = json.loads(files["val/worst.table.json"].read_text())
    assert table["columns"] == ["image", "image id", "people", "found", "OKS", "missed", "false positives"]
    listed = json.loads((folder / "images" / "worst.json").read_text())
    assert len(listed) == 6
    fields = ("image_id", "people", "found", "oks", "missed", "false_positives")
    for (image, *numbers), entry in zip(table["data"], listed, strict=True):
        assert numbers == [entry[field] for field in fields]
        assert files[image["path"]].read_bytes() == (folder / "images" / entry["file"]).read_bytes()


def test_checkpoints_are_artifacts_with_config_and_skeleton(logged: WandbFile, folder: Path) -> None:
    found = [artifact for artifact in logged.of("artifact") if artifact.type == "model"]
    models = {alias: artifact for artifact in found for alias in artifact.aliases if alias != "latest"}
    assert set(models) == {"best", "last"}
    for alias, artifact in models.items():
        (entry,) = artifact.manifest.contents
        assert Path(entry.local_path) == folder / "checkpoints" / f"{alias}.ckpt"
        metadata = json.loads(artifact.metadata)
        assert metadata["config"]["model"]["widen_factor"] == 0.125
        assert metadata["skeleton"] == json.loads(json.dumps(COCO17.to_plain()))
    best = json.loads(models["best"].metadata)["val/AP"]
    assert best == pytest.approx(max(values(logged, "val/AP")))


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
def test_the_dashboard_shows_what_runs_log(logged: WandbFile) -> None:
    dashboard = load_dashboard()
    names = {name for row in logged.history for name in row}
    curves = [name for panels in dashboard.CURVES.values() for of_panel in panels.values() for name in of_panel]
    assert not set(curves) - names
    for pattern in (pattern for panels in dashboard.PATTERNS.values() for pattern in panels.values()):
        assert any(re.search(pattern, name) for name in names), pattern
    for name in (*dashboard.PICTURES.values(), dashboard.TABLE):
        assert f"{name}._type" in names
    assert dashboard.STEP in names


def test_a_resumed_run_is_the_same_run(logged: WandbFile, folder: Path, tmp_path: Path) -> None:
    (of_run,) = logged.of("run")
    last = folder / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["rtmo"]["wandb_id"] == of_run.run_id
    again = run(tmp_path, f"ckpt_path={last}", "trainer.max_epochs=4", "logger.wandb.log_model=false")
    assert again.of("run")[0].run_id == of_run.run_id
    assert [row["trainer/global_step"] for row in again.history if "train/loss" in row] == [9, 10, 11]
    assert not [artifact for artifact in again.of("artifact") if artifact.type == "model"]
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["rtmo"]["wandb_id"] == of_run.run_id


def test_the_jobs_of_a_sweep_are_runs_of_one_group(call, tmp_path: Path) -> None:
    short = ("trainer.max_epochs=1", "ablation=no_ema,[no_ema,mle_fixed_spread]")
    with offline(tmp_path):
        code, _, err = call(main, "-m", *SMALL, *short, "seed=1", f"hydra.sweep.dir={tmp_path}/ours")
    assert code == 0, err
    of_runs = [WandbFile(tmp_path / "ours" / str(job)).of("run")[0] for job in range(2)]
    assert [of_run.run_group for of_run in of_runs] == ["ours", "ours"]
    assert [list(of_run.tags)[3:] for of_run in of_runs] == [["no_ema"], ["no_ema", "mle_fixed_spread"]]
    assert of_runs[0].run_id != of_runs[1].run_id


def test_jobs_that_start_from_one_checkpoint_are_runs_of_their_own(
    logged: WandbFile, folder: Path, tmp_path: Path
) -> None:
    last = folder / "checkpoints" / "last.ckpt"
    job = run(tmp_path, f"ckpt_path={last}", "trainer.max_epochs=4", "logger.wandb.log_model=false", sweep="ours")
    assert job.of("run")[0].run_id != logged.of("run")[0].run_id

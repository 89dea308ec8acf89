"""From weights of one set of joints to a training with another, through the commands' own code."""

from pathlib import Path

import pytest
import torch
from networks import SMALL, reference_state, save_reference, small_rtmo

import rtmo
from rtmo.config import compose, validate
from rtmo.errors import InputError
from rtmo.evaluate import KEYS as EVALUATE_KEYS
from rtmo.evaluate import evaluate, take_from_checkpoint
from rtmo.train import KEYS, train
from rtmo.weights.checkpoint import read_checkpoint

JOINTS = """
joints: [nose, left_wrist, right_wrist, top_head]
limbs: [[nose, top_head]]
"""
TINY = (
    *("experiment=finetune", "model=rtmo_s", "data=synthetic", "image_size=[64,64]", "trainer=cpu"),
    *(f"model.{name}={value}" for name, value in SMALL.items()),
    *(
        "data.train.num_images=4",
        "data.val.num_images=2",
        "data.batch_size=2",
        "nominal_batch=null",
        "data.num_workers=0",
    ),
    *("trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1", "callbacks.images=null"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("finetuning")


@pytest.fixture(scope="module")
def published(folder) -> Path:
    return save_reference(folder / "published.pth", reference_state(small_rtmo()))


@pytest.fixture(scope="module")
def finetuned(folder, published) -> Path:
    (folder / "four.yaml").write_text(JOINTS)
    overrides = (f"pretrained={published}", f"skeleton={folder / 'four.yaml'}", f"paths.output_dir={folder / 'run'}")
    train(validate(compose("train", [*TINY, *overrides]), "train", KEYS))
    return folder / "run" / "checkpoints" / "best.ckpt"


def test_the_checkpoint_knows_the_new_joints_without_their_file(folder, finetuned):
    (folder / "four.yaml").unlink(missing_ok=True)
    checkpoint = read_checkpoint(finetuned)
    assert checkpoint.skeleton.joints == ("nose", "left_wrist", "right_wrist", "top_head")
    assert checkpoint.skeleton.flip_pairs == (("left_wrist", "right_wrist"),)
    assert rtmo.load_model(finetuned).num_keypoints == 4
    assert checkpoint.num_keypoints == 4


def test_training_moved_every_part_from_where_it_started(published, finetuned):
    start, end = read_checkpoint(published).state_dict, read_checkpoint(finetuned).state_dict
    for name in ("backbone.stem.conv.conv.weight", "neck.encoder.self_attn.in_proj_weight", "dcc.x_fc.weight"):
        moved = (end[name] - start[name]).abs().max()
        assert 0 < moved < 0.01, name
    kept = start["dcc.pos_enc"][[0, 9, 10]]  # nose and wrists of COCO
    torch.testing.assert_close(end["dcc.pos_enc"][:3], kept, atol=0.01, rtol=0)


def test_the_log_says_which_joints_were_kept(folder, published, capsys):
    (folder / "four.yaml").write_text(JOINTS)
    overrides = (f"pretrained={published}", f"skeleton={folder / 'four.yaml'}", f"paths.output_dir={folder / 'again'}")
    train(validate(compose("train", [*TINY, *overrides, "trainer.fast_dev_run=true"]), "train", KEYS))
    assert "joints kept: nose, left_wrist, right_wrist; fresh: top_head" in " ".join(capsys.readouterr().out.split())


def test_published_weights_are_evaluated_without_a_run_of_ours(folder, published, monkeypatch):
    overrides = (f"checkpoint={published}", "data=synthetic", "data.val.num_images=2", "num_workers=0", "trainer=cpu")
    cfg = compose("evaluate", [*overrides, f"paths.output_dir={folder / 'scored'}", "image_size=[64,64]"])
    take_from_checkpoint(cfg)
    assert (cfg.skeleton, cfg.score_thr, cfg.nms_thr) == ("coco17", 0.1, 0.65)
    scores = evaluate(validate(cfg, "evaluate", EVALUATE_KEYS))
    assert set(scores) >= {"AP", "AP50", "AR"}
    assert (folder / "scored" / "results.json").is_file()


def resume(folder: Path, checkpoint: Path, *overrides: str) -> None:
    paths = (f"ckpt_path={checkpoint}", f"paths.output_dir={folder / 'resumed'}", "pretrained=null")
    train(validate(compose("train", [*TINY, *paths, *overrides]), "train", KEYS))


def test_a_run_goes_on_with_its_own_joints_only(folder, finetuned, published, capsys):
    """Others in the file than when it was trained, though as many: weights would come to mean other joints."""
    last = finetuned.with_name("last.ckpt")
    (folder / "four.yaml").write_text(
        JOINTS.replace("[nose, left_wrist, right_wrist,", "[nose, right_wrist, left_wrist,")
    )
    with pytest.raises(InputError, match=r"skeleton=four: differs from the one that \S+last\.ckpt was trained with"):
        resume(folder, last, f"skeleton={folder / 'four.yaml'}")
    with pytest.raises(InputError, match=r"no run can go on from it; to start from its weights say pretrained=\S+pth"):
        resume(folder, published)
    (folder / "four.yaml").write_text(JOINTS)
    resume(folder, last, f"skeleton={folder / 'four.yaml'}", "trainer.max_epochs=3")
    assert "which the run goes on from" in capsys.readouterr().out


def test_the_size_of_images_must_be_said_where_no_file_tells_it(published):
    cfg = compose("evaluate", [f"checkpoint={published}", "data=synthetic", "paths.output_dir=out"])
    with pytest.raises(InputError, match=r"image_size: \S+ does not tell; give image_size="):
        take_from_checkpoint(cfg)

import shutil

import pytest

from rtmo.config import compose, conf_dir, validate
from rtmo.errors import InputError
from rtmo.train import KEYS


def checked(*overrides: str) -> dict:
    return validate(compose("train", ["paths.output_dir=out", *overrides]), "train", KEYS)


@pytest.fixture
def own_conf(tmp_path, monkeypatch):
    """A copy of conf/ that a test may change."""
    folder = shutil.copytree(conf_dir(), tmp_path / "conf")
    monkeypatch.setenv("RTMO_CONF_DIR", str(folder))
    return folder


def test_the_environment_names_another_conf_dir(own_conf):
    (own_conf / "model" / "mine.yaml").write_text("defaults: [rtmo_n]\n")
    assert conf_dir() == own_conf
    assert checked("model=mine", "data=synthetic", "recipe=fast")["model_name"] == "rtmo_n"


def test_a_conf_dir_without_configs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("RTMO_CONF_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"RTMO_CONF_DIR=.*: no train\.yaml in that folder"):
        conf_dir()


def test_the_result_is_plain_and_resolved():
    cfg = checked("data=synthetic", "seed=7")
    assert cfg["data"]["seed"] == 7
    assert type(cfg["data"]["image_size"]) is list


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modell=rtmo_s", r"^modell: no such key; did you mean 'model'\?$"),
        ("optimizer.lrr=1", r"^optimizer.lrr: no such key; did you mean 'lr'\?"),
        ("criterion.phases.A.cls_wieght=1", r"criterion.phases.A.cls_wieght: .* did you mean 'cls_weight'\?"),
        ("+optimizer.lrr=1", r"optimizer.lrr: AdamW has no such argument; did you mean 'lr'\?"),
        ("+paths.dta_dir=x", r"paths.dta_dir: no such key; did you mean 'data_dir'\?"),
        ("+sed=1", r"sed: train has no such key; did you mean 'seed'\?"),
        ("model=8", r"^model=8: no such choice; model may be rtmo_l, "),
        (
            "model=rtmo_x",
            r"^model=rtmo_x: no such choice; model may be rtmo_l, rtmo_m, rtmo_n, rtmo_r50, rtmo_s, rtmo_t",
        ),
        ("recipe=quick", r"say recipe=fast .* or recipe=published"),
        ("optimizer.lr=quick", "optimizer.lr: expected a number such as"),
        ("seed=[1", r"^seed=\[1: not an override"),
        ("data=custom", r"data.root: has no value; give data.root=..., the folder of your images"),
        ("image_size=${size}", "image_size: Interpolation key 'size' not found"),
        ("~optimizer", "optimizer: missing"),
    ],
)
def test_a_wrong_override_is_explained(override, message):
    with pytest.raises(InputError, match=message):
        checked(override)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("sed: 1", r"sed: train has no such key; did you mean 'seed'\?"),
        ("paths: {dta_dir: x}", r"paths.dta_dir: no such key; did you mean 'data_dir'\?"),
        ("optimizer: {lrr: 1}", r"optimizer.lrr: AdamW has no such argument; did you mean 'lr'\?"),
        ("callbacks: {emma: null}", r"callbacks.emma: no such key; did you mean 'ema'\?"),
        ("callbacks: {emma: {ramp: 1}}", r"callbacks.emma: no such key; did you mean 'ema'\?"),
        ("callbacks: {ema: {rampp: 1}}", r"callbacks.ema.rampp: EMA has no such argument; did you mean 'ramp'\?"),
        ("augment: {main: {flipp: null}}", r"augment.main.flipp: no such key; did you mean 'flip'\?"),
        ("published: {rtmo_s: {mle_wieght: 1}}", r"published.rtmo_s.mle_wieght: .* did you mean 'mle_weight'\?"),
        ("lr_factors: {dc: 1}", r"lr_factors.dc: no such key; did you mean 'dcc'\?"),
        ("seed: [", "own.yaml"),
    ],
)
def test_a_misspelt_key_in_a_file_is_an_error_at_every_level(own_conf, yaml, message):
    (own_conf / "experiment" / "own.yaml").write_text(f"# @package _global_\n{yaml}\n")
    with pytest.raises(InputError, match=message):
        checked("experiment=own")


def test_nodes_of_ones_own_may_have_any_name(own_conf):
    (own_conf / "experiment" / "own.yaml").write_text(
        "# @package _global_\n"
        "callbacks: {stop: {_target_: lightning.pytorch.callbacks.EarlyStopping, monitor: val/AP}, ema: null}\n"
        "augment: {main: {blur: {_target_: rtmo.data.photometric.Albumentations,"
        " transforms: {blur: {_target_: albumentations.Blur, p: 0.5}}}}}\n"
    )
    cfg = checked("experiment=own")
    assert cfg["callbacks"]["ema"] is None
    assert list(cfg["augment"]["main"])[-1] == "blur"


def test_a_key_that_no_file_sets_any_more_is_missed(own_conf):
    text = (own_conf / "train.yaml").read_text()
    (own_conf / "train.yaml").write_text(text.replace("\nseed: 0", "\nsede: 0"))
    with pytest.raises(
        InputError, match=r"^(sede: train has no such key; did you mean 'seed'|\S+: Interpolation key 'seed' not found)"
    ):
        checked()

import functools

import numpy as np
import pytest
import torch

from rtmo.data.transforms import Draw, Transform
from rtmo.errors import InputError
from rtmo.phases import Phases
from rtmo.skeletons import COCO17, CROWDPOSE14
from rtmo.targets import build, check_targets, refuse_foreign_packages
from rtmo.types import Sample

SIMOTA = {"_target_": "rtmo.assigners.simota.SimOTA"}
PHASES = {"_target_": "rtmo.phases.Phases"}


class Identity(Transform):
    """A user's own step."""

    def __init__(self, *, fails_with: str | None = None) -> None:
        if fails_with == "RuntimeError":
            raise RuntimeError("a mistake of the class")
        if fails_with == "FileNotFoundError":
            raise FileNotFoundError("no such file: people.json")

    def __call__(self, sample: Sample, rng: np.random.Generator, draw: Draw) -> Sample:
        return sample


IDENTITY = {"_target_": f"{__name__}.Identity"}


def test_containers_are_built_from_the_inside_out():
    built = build({"phases": {**PHASES, "refine_start": 0.1}, "sizes": [1, [2, 3]], "off": None})
    assert built == {"phases": Phases(refine_start=0.1), "sizes": (1, (2, 3)), "off": None}


def test_an_optimizer_may_be_partial():
    optimizer = build({"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 0.5})
    assert isinstance(optimizer, functools.partial)
    assert optimizer([torch.nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5


def test_given_arguments_reach_the_outer_target():
    averaged = build({"_target_": "torch.optim.swa_utils.AveragedModel"}, model=torch.nn.Linear(2, 2))
    assert isinstance(averaged.module, torch.nn.Linear)


@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14], ids=lambda skeleton: skeleton.name)
def test_the_skeleton_fills_what_follows_from_it_at_every_level(skeleton):
    criterion = build({"_target_": "rtmo.losses.criterion.Criterion", "assigner": SIMOTA}, "criterion", skeleton)
    assert len(criterion.oks_sigmas) == len(criterion.assigner.oks_sigmas) == skeleton.num_keypoints


def test_the_number_of_keypoints_is_never_written_twice():
    node = {"_target_": "rtmo.models.rtmo.RTMO", "widen_factor": 0.125, "deepen_factor": 0.33, "num_keypoints": 5}
    with pytest.raises(InputError, match=r"model.num_keypoints: follows from the rest of the config"):
        build(node, "model", COCO17)


@pytest.mark.parametrize(
    "target",
    [
        "torch.hub.load",
        "torch.load",
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "pathlib.Path",
        "functools.partial",
        "lightning.LightningModule.load_from_checkpoint",
        "rtmo.data.coco_json.read_coco",  # ours, but a function
        "rtmo.config.os.system",
        "rtmo.benchmark.workers.Worker",  # ours and a class, which starts the program that it is given
        "rtmo.download.DownloadError",
        "rtmo.train.WandbLogger",  # another's, by way of ours
        "rtmo.models.rtmo.RTMO.training_only",
        "rtmo.figures.__main__.main",
        "unittest.__main__.main",  # whose import runs tests of the current folder
        "torch.nn.Module.__class__",
        "torch.utils.data.DataLoader",
        "ｔorch.nn.Linear",  # noqa: RUF001 (a letter of another alphabet)
    ],
)
def test_targets_outside_the_allow_list_are_refused(target):
    for refuse in (build, check_targets):
        with pytest.raises(InputError, match=r"data\.train\._target_"):
            refuse({"train": {"_target_": target}}, "data")


@pytest.mark.parametrize("name", ["environments.SLURMEnvironment", "precision.MixedPrecision"])
def test_plugins_of_the_trainer_are_allowed(name):
    check_targets({"plugins": [{"_target_": f"lightning.pytorch.plugins.{name}"}]}, "trainer")


def test_what_derives_from_a_class_of_ours_is_allowed():
    check_targets(IDENTITY)
    assert isinstance(build(IDENTITY), Identity)


@pytest.mark.parametrize("target", ["rtmo.phases.Fases", "no_such_module.Thing", "Phases", "", ".x"])
def test_a_target_that_does_not_exist_is_named(target):
    with pytest.raises(InputError, match=f"phases._target_: cannot import '{target}'"):
        check_targets({"phases": {"_target_": target}})


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({**SIMOTA, "top_k": 3}, r"assigner.top_k: SimOTA has no such argument; did you mean 'topk'\?"),
        ({**SIMOTA, "topk": "ten"}, "assigner.topk: expected a number such as 10, got 'ten'"),
        ({**SIMOTA, "_partial_": True}, "assigner._partial_: only an optimizer or a schedule"),
        ({**SIMOTA, "_recursive_": False}, "assigner._recursive_: unknown"),
        ({**SIMOTA, "_convert_": "none"}, "assigner._convert_: constructors get plain containers"),
    ],
)
def test_arguments_are_checked_before_anything_is_built(node, message):
    with pytest.raises(InputError, match=message):
        check_targets({"criterion": {"steps": [{"assigner": node}]}})


def test_a_missing_argument_is_named():
    with pytest.raises(InputError, match="assigner: SimOTA: missing a required argument: 'oks_sigmas'"):
        build(SIMOTA, "assigner")


def test_a_value_that_a_constructor_refuses_is_the_users_error():
    with pytest.raises(InputError, match="phases: phases must satisfy") as caught:
        build({**PHASES, "refine_start": 2.0}, "phases")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(InputError, match=r"^augment\.own: no such file: people\.json$"):
        build({"own": {**IDENTITY, "fails_with": "FileNotFoundError"}}, "augment")


def test_a_mistake_of_a_constructor_is_not_the_users_error():
    with pytest.raises(RuntimeError, match="a mistake of the class"):
        build({**IDENTITY, "fails_with": "RuntimeError"})


@pytest.mark.parametrize("target", [None, 3, ["torch.nn.Linear"], {"a": 1}])
def test_a_target_that_is_no_text_is_refused(target):
    for refuse in (build, check_targets):
        with pytest.raises(InputError, match=r"data\._target_"):
            refuse({"_target_": target}, "data")


@pytest.mark.parametrize(
    "config",
    [
        {"metric": {"_target_": "torchmetrics.image.fid.FrechetInceptionDistance"}},  # loads a pickle that it is given
        {"criterion": {"assigner": {"_target_": "torch.distributed.nn.RemoteModule"}}},
        {"data": {"val": {"sources": [{"_target_": "lightning.pytorch.loggers.mlflow.MLFlowLogger"}]}}},
        {"data": {"val": {"_target_": "torch.utils.data.TensorDataset"}}},  # imported already, of a library
        {"callbacks": {"x": {"_target_": "this.x"}}},  # would be imported
        {"model": {"_target_": ".x"}},
    ],
)
def test_what_a_file_may_not_have_built(config, monkeypatch):
    for trusted in ("", ",", "other"):
        monkeypatch.setenv("RTMO_TRUSTED_PACKAGES", trusted)
        with pytest.raises(InputError, match=r"^last\.ckpt: \w.* and a file does not decide"):
            refuse_foreign_packages(config, "last.ckpt")
    monkeypatch.setenv("RTMO_TRUSTED_PACKAGES", "this,torchmetrics,torch,lightning,")
    if "model" not in config:
        refuse_foreign_packages(config, "last.ckpt")


def test_what_a_file_of_a_run_names_is_no_fault():
    refuse_foreign_packages(
        {
            "model": {"_target_": "rtmo.models.rtmo.RTMO"},
            "optimizer": {"_target_": "torch.optim.AdamW"},
            "criterion": IDENTITY,  # imported already
            "callbacks": {"x": {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint"}},
            "augment": {"blur": {"_target_": "albumentations.GaussianBlur"}},
        },
        "last.ckpt",
    )

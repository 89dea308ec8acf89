"""What is fuzzed: a folder of valid input for each kind, and how a user's command reads it."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import own_data
import small_coco
import torch
import yaml
from exported_files import save_exported
from networks import SMALL, reference_state, save_reference, small_rtmo
from omegaconf import OmegaConf
from PIL import Image

from fuzzing.data_sets import DATA_SETS
from fuzzing.subject import Subject, in_turn
from rtmo.config import compose, validate
from rtmo.data.archive import unpack, unpacked_beside
from rtmo.data.coco_pose import CocoPose
from rtmo.inference.exported import read_record
from rtmo.inference.images import read_any
from rtmo.inference.onnx_backend import OnnxRuntimeBackend
from rtmo.skeletons import COCO17, read_keypoint_set
from rtmo.train import KEYS, check_values
from rtmo.training.earlier_run import check_resumable
from rtmo.weights.checkpoint import read_checkpoint
from rtmo.weights.file import write_file
from rtmo.weights.load import load_pretrained, load_weights

_FORMATS = ("jpg", "png", "bmp", "webp", "tiff", "gif", "ppm", "avif")


def _write_images(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for suffix in _FORMATS:
        image = Image.fromarray(noise)
        image.save(folder / f"image.{suffix}", **({"exif": exif} if suffix in ("jpg", "png", "webp") else {}))
    Image.fromarray(noise.astype(np.uint16)[..., 0] * 200).save(folder / "deep.png")


def _read_images(folder: Path) -> None:
    """Each as prediction, and as training reads it."""
    files = sorted(folder.iterdir())
    in_turn(*(functools.partial(read, file) for file in files for read in (read_any, _as_in_training)))


def _as_in_training(file: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": file.name}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, **small_coco.standing(2, 2, 20)}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
    described = file.parent / "described.txt"
    described.write_text(json.dumps(content))
    try:
        source = CocoPose(name="one", annotation_file=described, image_dir=file.parent, skeleton=COCO17)
        source.load(0)
        source.load_undrawn(0).image.resized((12, 16)).draw()
    finally:
        described.unlink()


def _record(config: bool) -> dict:
    parts = ("name", "image_size", "model", "data", "module", "criterion", "optimizer", "schedule", "metric")
    described = {"model": {"_target_": "rtmo.models.rtmo.RTMO", **SMALL}, "skeleton": COCO17.to_plain()}
    if not config:
        return described
    composed = compose("train", ["model=rtmo_n", "data=synthetic", "paths.output_dir=x"])
    whole = OmegaConf.to_container(composed, resolve=True)
    return {**described, "config": {name: whole[name] for name in parts} | {"model": described["model"]}}


def _write_checkpoints(folder: Path) -> None:
    model = small_rtmo()
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    run = {"state_dict": state, "optimizer_states": [{}], "global_step": 3, "epoch": 1, "rtmo": _record(config=True)}
    torch.save(run, folder / "last.ckpt")
    meta = {"dataset_meta": {"num_keypoints": 17}}
    save_reference(folder / "reference.pth", reference_state(model), meta=meta)
    write_file(folder / "weights.safetensors", model.state_dict(), {"rtmo": _record(config=False)})


def _read_checkpoints(folder: Path) -> None:
    in_turn(*(functools.partial(_read_weights, file) for file in sorted(folder.iterdir())))


def _read_weights(file: Path) -> None:
    checkpoint = read_checkpoint(file)
    load_weights(checkpoint.build_model(), checkpoint)
    load_pretrained(small_rtmo(), str(file), COCO17)
    if file.suffix == ".ckpt":
        check_resumable(file, COCO17)


def _read_onnx(folder: Path) -> None:
    read_record(folder / "model.onnx")
    backend = OnnxRuntimeBackend(folder / "model.onnx", device="cpu")
    backend.decode(backend.network(np.zeros((1, 64, 96, 3), np.uint8)))


def _write_archives(folder: Path) -> None:
    content = folder / "content"
    own_data.write_labelme(content)
    for path in sorted(content.iterdir())[4:]:
        path.unlink()
    shutil.make_archive(str(folder / "set"), "zip", content)
    shutil.make_archive(str(folder / "set"), "gztar", content)
    shutil.rmtree(content)


def _read_archives(folder: Path) -> None:
    before = set(folder.parent.iterdir())
    zipped, tarred = folder / "set.zip", folder / "set.tar.gz"
    try:
        in_turn(
            lambda: unpack(zipped, folder / "zip" / "out"),
            lambda: unpack(tarred, folder / "tar" / "out"),
            lambda: unpacked_beside(zipped),
        )
    finally:
        allowed = (folder / "zip" / "out", folder / "tar" / "out", folder / "set", folder / ".set.part")
        written = [path for path in folder.rglob("*") if path.is_file() and path not in (zipped, tarred)]
        stray = [path for path in written if not any(path.is_relative_to(place) for place in allowed)]
        links = [path for path in folder.rglob("*") if path.is_symlink()]
        stray += set(folder.parent.iterdir()) - before
        assert not stray + links, f"left the folder: {stray} {links}"


_OVERRIDES = (
    "model=rtmo_n data=synthetic recipe=fast paths.output_dir=x seed=3 image_size=[96,128] trainer.max_epochs=2 "
    "data.train.num_images=8 optimizer.lr=0.001 phases.refine_start=0.5 criterion.assigner.topk=5 nominal_batch=16 "
    "module.score_thr=0.2 augment=mosaic augment.main.affine.scale=[0.5,1] "
    "callbacks.ema=null +trainer.limit_train_batches=2"
)


def _read_overrides(folder: Path) -> None:
    text = (folder / "overrides.txt").read_text(encoding="utf-8", errors="replace")
    check_values(validate(compose("train", text.split(" ")), "train", KEYS))


def _write_yaml(folder: Path) -> None:
    fields = {"joints": list(own_data.JOINTS), "limbs": [["nose", "tail"]], "oks_sigmas": [0.1] * 5}
    (folder / "animal.yaml").write_text(yaml.safe_dump(fields))


SUBJECTS: dict[str, Subject] = {
    **DATA_SETS,
    "images": Subject(_write_images, _read_images, "*"),
    "checkpoints": Subject(_write_checkpoints, _read_checkpoints, "*"),
    "onnx": Subject(lambda folder: save_exported(folder / "model.onnx"), _read_onnx, "*"),
    "archives": Subject(_write_archives, _read_archives, "set.*"),
    "keypoint_set": Subject(_write_yaml, lambda folder: read_keypoint_set(folder / "animal.yaml"), "*"),
    "overrides": Subject(
        lambda folder: (folder / "overrides.txt").write_text(_OVERRIDES), _read_overrides, "overrides.txt"
    ),
}

"""What is fuzzed: a folder of valid input for each kind, and how a user's command reads it."""

import functools
import gzip
import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import own_data
import small_coco
import torch
import yaml
from exported_files import save_exported
from networks import SMALL, reference_state, save_reference, small_rtmo
from omegaconf import OmegaConf
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from rtmo.config import compose, validate
from rtmo.data.archive import unpack, unpacked_beside
from rtmo.data.coco_json import read_coco
from rtmo.data.coco_pose import AnnotatedImages, CocoPose
from rtmo.data.coco_results import read_results
from rtmo.data.converters import posetrack18
from rtmo.data.doctor.examine import DataSet, examine
from rtmo.data.doctor.images import open_images, wanted_images
from rtmo.data.doctor.repair import repaired
from rtmo.data.folder import FolderPose
from rtmo.data.packing import pack
from rtmo.data.raw_pose import RawPose
from rtmo.data.shards import ShardedImages
from rtmo.errors import InputError
from rtmo.evaluate_results import read_ground_truth
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.inference.exported import read_record
from rtmo.inference.images import read_any
from rtmo.inference.onnx_backend import OnnxRuntimeBackend
from rtmo.skeletons import COCO17, KEYPOINT_SETS, read_keypoint_set
from rtmo.train import KEYS, check_values
from rtmo.training.earlier_run import check_resumable
from rtmo.weights.checkpoint import read_checkpoint
from rtmo.weights.file import write_file
from rtmo.weights.load import load_pretrained, load_weights


@dataclass(frozen=True)
class Subject:
    """A kind of input.

    Attributes:
        write: Puts valid input into a folder.
        read: Reads a folder as commands do.
        files: Pattern of what is mutated.
    """

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    files: str


def _use(source: AnnotatedImages) -> None:
    """Everything that training, validation and ``rtmo.data check`` ask of a data set."""
    for index in range(len(source)):
        source.load(index, with_ignore_mask=True)
    metric = CocoKeypointAP(skeleton=source.skeleton, ground_truth=source.ground_truth())
    metric.update([], [])
    metric.compute()


def _in_turn(*reads: Callable[[], object]) -> None:
    """Reads several files; whatever one is refused for, the others are read too."""
    refused = None
    for read in reads:
        try:
            read()
        except InputError as error:
            refused = error
    if refused is not None:
        raise refused


def _examine(folder: Path) -> None:
    raw = read_coco(folder / "people.json", folder / "images")
    data = DataSet(raw, COCO17, None, open_images(raw, wanted_images(raw.content), "decode", lambda: None))
    examine(data)
    repaired(data)


def _coco(folder: Path) -> CocoPose:
    return CocoPose(
        name="people",
        annotation_file=folder / "people.json",
        image_dir=folder / "images",
        skeleton=COCO17,
        drop_empty=False,
    )


def _coco_content() -> dict:
    content = small_coco.content(2)
    content["annotations"][1] |= {"keypoints": [0] * 51, "segmentation": [[5, 5, 30, 5, 30, 40]]}
    size = [small_coco.HEIGHT, small_coco.WIDTH]
    rle = {"size": size, "counts": [100, 50, size[0] * size[1] - 150]}
    mask = np.zeros(size, dtype=np.uint8, order="F")
    mask[5:40, 7:60] = 1
    counts = coco_mask.encode(mask)["counts"].decode()
    content["annotations"][2] |= {"keypoints": [0] * 51, "segmentation": {"size": size, "counts": counts}}
    content["annotations"][3] |= {"keypoints": [0] * 51, "segmentation": rle, "iscrowd": 1}
    return content


def _write_coco(folder: Path) -> None:
    small_coco.write(folder, _coco_content())


def _write_shards(folder: Path) -> None:
    """A shard set whose files are as valid JSON beside it, so that checksums can be made to fit."""
    small_coco.write(folder / "files", _coco_content())
    pack({"people": _coco(folder / "files")}, folder / "set", shard_mb=1)
    shutil.rmtree(folder / "files")
    (folder / "manifest.json").write_bytes((folder / "set" / "shards.json").read_bytes())
    packed = folder / "set" / "people"
    (folder / "annotations.json").write_bytes(gzip.decompress((packed / "annotations.json.gz").read_bytes()))
    with np.load(packed / "index.npz") as index:
        (folder / "index.json").write_text(json.dumps({name: index[name].tolist() for name in index}))


def _read_shards(folder: Path) -> None:
    packed = folder / "set" / "people"
    content = {"annotations.json.gz": gzip.compress((folder / "annotations.json").read_bytes()), "index.npz": b""}
    with suppress(ValueError, TypeError, OverflowError, RecursionError, AttributeError):
        index = json.loads((folder / "index.json").read_bytes())
        np.savez(packed / "index.npz", **{name: np.array(value) for name, value in index.items()})
        content["index.npz"] = (packed / "index.npz").read_bytes()
    for name, data in content.items():
        (packed / name).write_bytes(data)
    manifest = (folder / "manifest.json").read_bytes()
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        described = json.loads(manifest)
        described["sources"]["people"]["sha256"] |= {
            name: hashlib.sha256(data).hexdigest() for name, data in content.items()
        }
        manifest = json.dumps(described).encode()
    (folder / "set" / "shards.json").write_bytes(manifest)
    given = {"name": "people", "skeleton": COCO17, "drop_empty": False, "cache_dir": folder / "cache"}
    _use(ShardedImages(shards=str(folder / "set"), **given))


def _own(form: str, folder: Path) -> None:
    joints = FolderPose.named_keypoint_set(root=folder, format=form)
    for split in ("train", "val"):
        _use(FolderPose(root=folder, split=split, format=form, name="own", skeleton=joints, drop_empty=False))


def _raw(form: str, skeleton: str, file: str, folder: Path) -> None:
    given = {"name": form, "annotation_format": form, "skeleton": KEYPOINT_SETS[skeleton], "drop_empty": False}
    _use(RawPose(annotation_file=folder / file, image_dir=folder / "images", **given))


def _write_raw(file: str, content: object, folder: Path) -> None:
    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "a.jpg"), np.zeros((64, 96, 3), np.uint8))
    (folder / file).write_text(json.dumps(content))


def _triples(count: int) -> list[float]:
    return [value for number in range(count) for value in (5 + number / 4, 60 - number / 4, 1)]


_BOX = {"bbox": [1, 2, 50, 40], "category_id": 1, "image_id": 7}
_IMAGE = {"id": 7, "file_name": "a.jpg", "height": 64, "width": 96}
_AIC = [{"image_id": "a", "human_annotations": {"h": [1, 2, 50, 40]}, "keypoint_annotations": {"h": _triples(14)}}]
_HALPE = {
    "images": [_IMAGE],
    "annotations": [{"id": 1, **_BOX, "keypoints": _triples(136), "area": 9.5}],
    "categories": [{"id": 1, "name": "person"}],
}
_MPII = [
    {"image": "a.jpg", "center": [30.0, 20.0], "scale": 0.2, "joints": [[3.5, 4]] * 16, "joints_vis": [1, 0] * 8},
]
_POSETRACK = {
    "images": [{**_IMAGE, "is_labeled": True, "ignore_regions_x": [[1, 9, 9]], "ignore_regions_y": [[1, 1, 9]]}],
    "annotations": [{"id": 1, "track_id": 0, **_BOX, "keypoints": _triples(17)}],
    "categories": [{"id": 1, "name": "person", "keypoints": list(posetrack18._JOINTS)}],
}


def _write_jhmdb(folder: Path) -> None:
    place = folder / "joint_positions" / "catch" / "ball"
    place.mkdir(parents=True)
    savemat(place / "joint_positions.mat", {"pos_img": np.random.default_rng(0).uniform(5, 60, (2, 15, 1))})
    image = folder / "Rename_Images" / "catch" / "ball" / "00001.png"
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image), np.zeros((64, 96, 3), np.uint8))
    (folder / "splits").mkdir()
    (folder / "splits" / "catch_test_split1.txt").write_text("ball.avi 1\n")


def _read_jhmdb(folder: Path) -> None:
    given = {"name": "jhmdb", "annotation_format": "jhmdb", "skeleton": KEYPOINT_SETS["jhmdb15"]}
    _use(RawPose(annotation_file=folder, image_dir=folder, **given))


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
    _in_turn(*(functools.partial(read, file) for file in files for read in (read_any, _as_in_training)))


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
    _in_turn(*(functools.partial(_read_weights, file) for file in sorted(folder.iterdir())))


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
        _in_turn(
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


def _write_results(folder: Path) -> None:
    small_coco.write(folder, small_coco.content(2))
    entry = {"image_id": 0, "category_id": 1, "keypoints": _triples(17), "score": 0.5, "bbox": [1, 2, 30, 40]}
    (folder / "results.json").write_text(json.dumps([entry, {**entry, "image_id": 1}]))


def _read_results(folder: Path) -> None:
    skeleton, truth = read_ground_truth(folder / "people.json", None)
    metric = CocoKeypointAP(skeleton=skeleton, ground_truth=truth)
    image_ids = [image["id"] for image in truth["images"]]
    categories = [category["id"] for category in truth["categories"]]
    found = read_results(
        folder / "results.json", image_ids=image_ids, category_ids=categories, num_keypoints=skeleton.num_keypoints
    )
    metric.update(image_ids, found.poses, found.areas)
    metric.compute()


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


def _raw_subject(form: str, skeleton: str, content: object, file: str = "raw.json") -> Subject:
    write = functools.partial(_write_raw, file, content)
    return Subject(write, functools.partial(_raw, form, skeleton, file), file)


SUBJECTS: dict[str, Subject] = {
    "coco": Subject(_write_coco, lambda folder: _use(_coco(folder)), "*.json"),
    "doctor": Subject(_write_coco, _examine, "*.json"),
    "results": Subject(_write_results, _read_results, "*.json"),
    **{
        form: Subject(own_data.WRITERS[form], functools.partial(_own, form), files)
        for form, files in {
            "yolo_pose": "**/*.[ty][xa]*",
            "cvat": "*.xml",
            "label_studio": "*.json",
            "labelme": "*.json",
        }.items()
    },
    "aic": _raw_subject("aic", "aic14", _AIC),
    "halpe": _raw_subject("halpe", "halpe136", _HALPE),
    "mpii": _raw_subject("mpii", "mpii16", _MPII),
    "posetrack18": _raw_subject("posetrack18", "posetrack18", _POSETRACK),
    "jhmdb": Subject(_write_jhmdb, _read_jhmdb, "**/*.[mt]*t"),
    "images": Subject(_write_images, _read_images, "*"),
    "checkpoints": Subject(_write_checkpoints, _read_checkpoints, "*"),
    "onnx": Subject(lambda folder: save_exported(folder / "model.onnx"), _read_onnx, "*"),
    "shards": Subject(_write_shards, _read_shards, "*.json"),
    "archives": Subject(_write_archives, _read_archives, "set.*"),
    "keypoint_set": Subject(_write_yaml, lambda folder: read_keypoint_set(folder / "animal.yaml"), "*"),
    "overrides": Subject(
        lambda folder: (folder / "overrides.txt").write_text(_OVERRIDES), _read_overrides, "overrides.txt"
    ),
}

"""Data sets that are fuzzed: annotations of all formats, results, shard sets."""

import functools
import gzip
import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import own_data
import small_coco
from pycocotools import mask as coco_mask
from scipy.io import savemat

from fuzzing.subject import Subject
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
from rtmo.evaluate_results import read_ground_truth
from rtmo.evaluation.coco import CocoKeypointAP
from rtmo.skeletons import COCO17, KEYPOINT_SETS


def _use(source: AnnotatedImages) -> None:
    """Everything that training, validation and ``rtmo.data check`` ask of a data set."""
    for index in range(len(source)):
        source.load(index, with_ignore_mask=True)
    metric = CocoKeypointAP(skeleton=source.skeleton, ground_truth=source.ground_truth())
    metric.update([], [])
    metric.compute()


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


def _raw_subject(form: str, skeleton: str, content: object, file: str = "raw.json") -> Subject:
    write = functools.partial(_write_raw, file, content)
    return Subject(write, functools.partial(_raw, form, skeleton, file), file)


DATA_SETS: dict[str, Subject] = {
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
    "shards": Subject(_write_shards, _read_shards, "*.json"),
}

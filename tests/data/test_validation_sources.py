"""Sets to validate on, as conf/source describes them, on samples of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from rtmo.config import conf_dir
from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.targets import build

# Name in conf/source -> annotation file and folder of the samples.
SAMPLES = {
    "aic_val": ("aic/test_aic.json", "aic"),
    "halpe_val": ("halpe/test_halpe.json", "coco"),
    "humanart_val": ("humanart/test_humanart.json", "humanart"),
    "jhmdb_test": ("jhmdb/test_jhmdb_sub1.json", "jhmdb"),
    "mpii_val": ("mpii/test_mpii.json", "mpii"),
    "ochuman_test": ("ochuman/test_ochuman.json", "ochuman"),
    "ochuman_val": ("ochuman/test_ochuman.json", "ochuman"),
    "posetrack18_val": ("posetrack18/annotations/test_posetrack18_val.json", "posetrack18"),
}


def described(name):
    return yaml.safe_load((conf_dir() / "source" / f"{name}.yaml").read_text())


def loaded(shared_dir, tmp_path, name):
    file, folder = SAMPLES[name]
    samples = shared_dir / "data" / "samples"
    images = samples / folder
    if name == "humanart_val":  # its file names begin with folders that the sample lacks
        images = tmp_path
        (images / "HumanArt").mkdir()
        (images / "HumanArt" / "images").symlink_to(samples / folder)
    return build({**described(name), "annotation_file": str(samples / file), "image_dir": str(images)}, skeleton=COCO17)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_image_loads_with_its_people_inside(shared_dir, tmp_path, name):
    source = loaded(shared_dir, tmp_path, name)
    assert source.name == name
    labeled = 0
    for index in range(len(source)):
        sample = source.load(index)
        height, width = sample.image_size
        seen = sample.visibility > 0
        labeled += seen.sum()
        inside = sample.keypoints[seen] >= -0.05 * max(height, width)
        inside &= sample.keypoints[seen] <= [1.05 * width, 1.05 * height]
        assert inside.mean() > 0.98
        assert (sample.bboxes[:, 2:] >= sample.bboxes[:, :2]).all()
    assert labeled > 15


@pytest.mark.parametrize("name", ["ochuman_val", "humanart_val"])
def test_sets_with_the_joints_of_coco_are_read_as_they_stand(shared_dir, tmp_path, name):
    source = loaded(shared_dir, tmp_path, name)
    entries = json.loads((shared_dir / "data" / "samples" / SAMPLES[name][0]).read_text())["annotations"]
    given = np.array([entry["keypoints"] for entry in entries]).reshape(-1, 17, 3)
    samples = [source.load(index) for index in range(len(source))]
    read = np.concatenate([sample.keypoints for sample in samples])
    flags = np.concatenate([sample.visibility for sample in samples])
    assert len(read) == len(given)
    for keypoints, visibility in zip(read, flags, strict=True):  # which may come in another order
        distance = np.abs(given[..., :2] - keypoints).sum((1, 2)) + np.abs(given[..., 2] - visibility).sum(1)
        assert distance.min() < 0.1


def test_test_dev_has_images_and_nobody_in_them(shared_dir, tmp_path):
    validation = json.loads((shared_dir / "data/coco/annotations/person_keypoints_val2017.json").read_text())
    categories = [{"id": number, "name": f"thing {number}", "supercategory": "thing"} for number in (1, 2, 90)]
    file = tmp_path / "image_info_test-dev2017.json"
    file.write_text(json.dumps({"info": {}, "images": validation["images"][:3], "categories": categories}))
    files = {"annotation_file": str(file), "image_dir": str(shared_dir / "data/coco/val2017")}
    source = build({**described("coco_test_dev"), **files}, skeleton=COCO17)
    assert [len(source.load(index).bboxes) for index in range(len(source))] == [0, 0, 0]
    truth = source.ground_truth()
    assert (truth["annotations"], truth["categories"][0]["id"]) == ([], 1)  # a person, in COCO
    with pytest.raises(InputError, match="no list 'annotations'"):
        build({**described("coco_val"), **files}, skeleton=COCO17)


def test_every_source_of_a_file_says_where_it_belongs():
    files = {}
    for path in conf_dir().glob("source/*.yaml"):
        node = described(path.stem)
        if path.stem not in ("custom", "synthetic"):
            assert node["image_dir"].startswith("${paths.data_dir}")
            assert Path(node["annotation_file"]).parts[0] == "${paths.data_dir}"
            files[node["annotation_file"]] = path.stem
    assert len(files) == 18
    assert files.keys() >= {described(name)["annotation_file"] for name in SAMPLES}

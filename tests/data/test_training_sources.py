"""The data sets of the published recipes, as conf/ describes them, on samples: against the reference's loading."""

import json

import numpy as np
import pytest

from rtmo.config import compose
from rtmo.data.raw_pose import RawPose
from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.targets import build

# Name in body7 -> name in the golden file, annotation file and folder of the samples.
SAMPLES = {
    "coco": ("coco", "coco/test_coco.json", "coco"),
    "aic": ("aic", "aic/test_aic.json", "aic"),
    "crowdpose": ("crowdpose", "crowdpose/test_crowdpose.json", "crowdpose"),
    "mpii": ("mpii", "mpii/test_mpii.json", "mpii"),
    "jhmdb": ("jhmdb", "jhmdb/test_jhmdb_sub1.json", "jhmdb"),
    "halpe": ("halpe", "halpe/test_halpe.json", "coco"),
    "posetrack18": ("posetrack", "posetrack18/annotations/test_posetrack18_val.json", "posetrack18"),
}


def loaded(shared_dir, name):
    """The source of that name in data=body7, with the samples' files."""
    cfg = compose("train", ["data=body7", "recipe=fast", "paths.output_dir=out"])
    _, file, folder = SAMPLES[name]
    samples = shared_dir / "data" / "samples"
    given = {"annotation_file": str(samples / file), "image_dir": str(samples / folder)}
    return build({**cfg.data.train.sources[name], **given}, skeleton=COCO17)


@pytest.mark.parametrize("name", SAMPLES)
def test_people_are_those_the_reference_loads(shared_dir, name):
    golden_name = SAMPLES[name][0]
    golden = np.load(shared_dir / "golden" / "datasets.npz")
    items = json.loads((shared_dir / "golden" / "datasets.json").read_text())[golden_name]["items"]
    source = loaded(shared_dir, name)
    assert len(source) == len(items)
    order = sorted(items, key=lambda item: item["path"]) if name == "mpii" else items
    for index, item in enumerate(order):
        expected = {
            field: golden[f"{golden_name}/{items.index(item)}/{field}"]
            for field in ("bbox", "area", "keypoints", "keypoints_visible")
        }
        sample = source.load(index)
        labeled = sample.visibility > 0
        np.testing.assert_array_equal(labeled, expected["keypoints_visible"][..., 0] > 0)
        keypoints, height, width = expected["keypoints"], *sample.image_size
        if name == "mpii":
            keypoints = keypoints - 1  # the reference counts from 0 in MPII's boxes only, and leaves those unclipped
            expected["bbox"] = expected["bbox"].clip(0, [width - 1, height - 1] * 2)
            expected["area"] = 0.53 * np.prod(expected["bbox"][:, 2:] - expected["bbox"][:, :2], axis=1)
        np.testing.assert_allclose(sample.keypoints[labeled], keypoints[labeled], atol=1e-4)
        np.testing.assert_allclose(sample.bboxes, expected["bbox"], atol=1e-3)
        np.testing.assert_allclose(sample.area, expected["area"], rtol=1e-5)


def test_what_a_set_does_not_annotate_carries_no_loss(shared_dir):
    def annotated(name):
        return [
            joint
            for joint, known in zip(COCO17.joints, loaded(shared_dir, name).load(0).annotated[0], strict=True)
            if known
        ]

    limbs = list(COCO17.joints[5:])
    assert annotated("halpe") == list(COCO17.joints)
    assert annotated("mpii") == annotated("aic") == annotated("jhmdb") == annotated("crowdpose") == limbs
    assert annotated("posetrack18") == ["nose", *limbs]  # its files list ears, which nobody has labeled


def test_a_coco_file_is_no_list_of_mpii(shared_dir):
    folder = shared_dir / "data" / "samples"
    given = {"name": "mpii", "image_dir": folder / "coco", "skeleton": COCO17}
    with pytest.raises(InputError, match="not a list of people each with center, image"):
        RawPose(annotation_file=folder / "coco/test_coco.json", annotation_format="mpii", **given)

import pytest
from small_coco import content, write

from rtmo.data.described import joint_names, read
from rtmo.errors import InputError
from rtmo.skeletons import AIC14, COCO17


def test_a_set_is_read_with_those_arguments_that_reading_takes(tmp_path):
    file = write(tmp_path, content(1))
    node = {"_target_": "rtmo.data.coco_pose.CocoPose", "annotation_file": str(file), "image_dir": "x", "max_images": 1}
    raw = read(node, "data.train", COCO17)
    assert raw is not None
    assert (raw.file, str(raw.image_dir), len(raw.content["annotations"])) == (file, "x", 2)
    with pytest.raises(InputError, match="annotation_format=b: no such format"):
        read({**node, "_target_": "rtmo.data.raw_pose.RawPose", "annotation_format": "b"}, "data.train", COCO17)
    assert read({"_target_": "rtmo.data.synthetic.source.SyntheticPeople"}, "data.train", COCO17) is None


def test_joint_names_of_a_node():
    assert joint_names({"joints": "aic14"}) == AIC14.joints
    assert joint_names({"joints": ["a", "b"]}) == ["a", "b"]
    assert joint_names({}) is None

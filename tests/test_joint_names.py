import pytest

from rtmo.joint_names import known_joint, mirror_pairs, split_side


@pytest.mark.parametrize(
    "name",
    ["left_eye", "Left Eye", "leftEye", "eye-left", "LEye", "l_eye", "eye.L", "EyeL", "LEFT_EYE", "leftEYE", "lefteye"],
)
def test_a_left_eye_in_any_spelling(name):
    assert split_side(name) == ("left", "eye")
    assert known_joint(name, ["nose", "left_eye"]) == "left_eye"


@pytest.mark.parametrize("name", ["nose", "rear", "lip", "roof", "upper_lip", "L", "keypoint_3", "鼻"])
def test_names_without_a_side(name):
    assert split_side(name) == (None, name.lower())


def test_pairs_differ_by_side_alone():
    names = ["tail", "R_paw", "L_paw", "ear left", "ear right", "left_horn", "frontRightHoof", "frontLeftHoof"]
    assert mirror_pairs(names) == [("L_paw", "R_paw"), ("ear left", "ear right"), ("frontLeftHoof", "frontRightHoof")]
    assert mirror_pairs(["Left", "Right"]) == [("Left", "Right")]


def test_joints_that_nobody_knows():
    assert known_joint("left_horn", ["left_eye"]) is None
    assert known_joint("eye", ["left_eye"]) is None
    assert known_joint("Odd_Name", ["Odd_Name"]) == "Odd_Name"

import json

import pytest

from rtmo.errors import InputError
from rtmo.skeletons import COCO17, CROWDPOSE14, KEYPOINT_SETS, KeypointSet, keypoint_set

# Name of a set in the golden file, and here.
SOURCES = {
    **{"coco": "coco17", "aic": "aic14", "crowdpose": "crowdpose14", "mpii": "mpii16", "jhmdb": "jhmdb15"},
    **{"halpe": "halpe136", "posetrack": "posetrack18"},
}
LIMBS_OF_COCO = {5 + joint: joint for joint in range(12)}
# What the published recipe for CrowdPose learns from which joint: index in the source -> in CrowdPose.
ONTO_CROWDPOSE = {
    "coco17": LIMBS_OF_COCO,
    "halpe136": LIMBS_OF_COCO,
    "posetrack18": {**LIMBS_OF_COCO, 2: 12, 1: 13},
    "aic14": {3: 0, 0: 1, 4: 2, 1: 3, 5: 4, 2: 5, 9: 6, 6: 7, 10: 8, 7: 9, 11: 10, 8: 11, 12: 12, 13: 13},
    "mpii16": {13: 0, 12: 1, 14: 2, 11: 3, 15: 4, 10: 5, 3: 6, 2: 7, 4: 8, 1: 9, 5: 10, 0: 11, 9: 12, 7: 13},
    "jhmdb15": {4: 0, 3: 1, 8: 2, 7: 3, 12: 4, 11: 5, 6: 6, 5: 7, 10: 8, 9: 9, 14: 10, 13: 11, 2: 12, 0: 13},
}


def mapped(source, target):
    return {index: joint for joint, index in enumerate(target.indices_in(source)) if index is not None}


@pytest.mark.parametrize("source", SOURCES)
def test_names_map_onto_coco_as_the_reference_does(shared_dir, source):
    golden = json.loads((shared_dir / "golden" / "datasets.json").read_text())[source]
    ours = KEYPOINT_SETS[SOURCES[source]]
    assert mapped(ours, COCO17) == dict(golden["mapping"])
    for item in golden["items"]:
        assert ours.num_keypoints == item["src_kpts"]
        assert list(ours.flip_indices) == item["flip_indices"]


@pytest.mark.parametrize("source", ONTO_CROWDPOSE)
def test_names_map_onto_crowdpose_as_published(source):
    assert mapped(KEYPOINT_SETS[source], CROWDPOSE14) == ONTO_CROWDPOSE[source]


@pytest.mark.parametrize("name", KEYPOINT_SETS)
def test_left_and_right_are_pairs(name):
    joints, flip = KEYPOINT_SETS[name].joints, KEYPOINT_SETS[name].flip_indices
    assert KEYPOINT_SETS[name].name == name
    for joint, partner in zip(joints, (joints[index] for index in flip), strict=True):
        assert flip[flip[joints.index(joint)]] == joints.index(joint)
        mirrored = {"left": "right", "right": "left"}.get(joint.partition("_")[0])
        if mirrored:
            assert partner == f"{mirrored}_{joint.partition('_')[2]}"
        else:
            assert joint == partner or {joint[:5], partner[:5]} == {"face_"}


@pytest.mark.parametrize("name", KEYPOINT_SETS)
def test_limbs_are_the_same_in_a_mirror_and_hold_the_body_together(name):
    skeleton = KEYPOINT_SETS[name]
    limbs = {frozenset(limb) for limb in skeleton.limb_indices}
    assert all(len(limb) == 2 for limb in limbs)
    assert len(limbs) == len(skeleton.limbs)
    assert {frozenset(skeleton.flip_indices[joint] for joint in limb) for limb in limbs} == limbs
    reached = {skeleton.joints.index("left_hip")}
    while more := {joint for limb in limbs if limb & reached for joint in limb} - reached:
        reached |= more
    body = {joint for joint in skeleton.joints if joint.partition("_")[2] in ("shoulder", "wrist", "ankle", "knee")}
    assert body <= {skeleton.joints[joint] for joint in reached}


@pytest.mark.parametrize("name", KEYPOINT_SETS)
def test_sigmas_are_those_of_people_and_alike_on_both_sides(name):
    skeleton = KEYPOINT_SETS[name]
    for joint, sigma in enumerate(skeleton.oks_sigmas):
        assert 0.01 <= sigma <= 0.11
        mirrored = skeleton.oks_sigmas[skeleton.flip_indices[joint]]
        assert mirrored == pytest.approx(sigma, rel=0.35 if name == "aic14" else 0)  # AI Challenger measured each


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"coco18.*aic14.*posetrack18"):
        keypoint_set("coco18")


def test_a_file_needs_joints_alone(tmp_path):
    path = tmp_path / "upper3.yaml"
    path.write_text("joints: [neck, left_wrist, right_wrist]\n")
    assert keypoint_set(str(path)) == KeypointSet(
        name="upper3",
        joints=("neck", "left_wrist", "right_wrist"),
        flip_pairs=(("left_wrist", "right_wrist"),),
        limbs=(),
        oks_sigmas=(0.079, 0.062, 0.062),
    )


def test_a_file_may_say_everything(tmp_path):
    path = tmp_path / "animal.yaml"
    path.write_text("{joints: [l, r, tail], flip_pairs: [[l, r]], limbs: [[l, tail]], oks_sigmas: [0.1, 0.1, 0.2]}")
    animal = keypoint_set(str(path))
    assert animal.flip_indices == (1, 0, 2)
    assert animal.limb_indices == ((0, 2),)
    assert KeypointSet.from_plain(json.loads(json.dumps(animal.to_plain()))) == animal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("joints: [nose", "no YAML"),
        ("limbs: []", "joints is missing; list the names"),
        ("{joints: [nose], sigmas: [1]}", "sigmas: no such field; joints, flip_pairs"),
        ("joints: [nose, horn]", r"oks_sigmas is missing, and COCO and CrowdPose have no \['horn'\]"),
        ("{joints: [nose, left_eye], oks_sigmas: [0.1]}", "2 joints but 1 oks_sigmas"),
        ("joints: []", "joints: expected a list of names"),
        ("joints: [[nose]]", "joints: expected a list of names"),
        ("{joints: [nose], limbs: [[nose]]}", "limbs: expected a list of pairs"),
        ("{joints: [nose], flip_pairs: [nose, ear]}", "flip_pairs: expected a list of pairs"),
        ("{joints: [nose], limbs: }", "limbs: expected a list of pairs .* got None"),
        ("{joints: [nose], oks_sigmas: [.nan]}", "oks_sigmas: expected a list of numbers above 0"),
        ("{joints: [nose], oks_sigmas: 0.1}", "oks_sigmas: expected a list of numbers above 0"),
        ("{joints: [nose], flip_pairs: [[nose, ear]]}", "flip_pairs names 'ear', which is not among its joints"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"mine\.yaml: .*{message}"):
        keypoint_set(str(path))


def test_a_file_that_is_missing_or_takes_a_name_that_is_taken(tmp_path):
    (tmp_path / "coco17.yaml").write_text("joints: [nose]")
    with pytest.raises(InputError, match=r"coco17\.yaml: coco17 is the name of a built-in set"):
        keypoint_set(str(tmp_path / "coco17.yaml"))
    with pytest.raises(InputError, match=r"skeleton=nowhere\.yaml: no such file"):
        keypoint_set("nowhere.yaml")


def test_a_mapping_describes_a_set_as_a_file_does():
    described = {"name": "three", "joints": ["tail", "LEye", "REye"], "oks_sigmas": [0.1, 0.2, 0.2]}
    three = keypoint_set(described)
    assert (three.name, three.flip_pairs) == ("three", (("LEye", "REye"),))
    assert keypoint_set(json.loads(json.dumps(three.to_plain()))) == three
    for wrong, message in (
        ({**described, "sigmas": []}, "skeleton: sigmas: no such field"),
        ({**described, "name": "coco17"}, "coco17 is the name of a built-in set"),
        ({"name": "none"}, "joints is missing"),
    ):
        with pytest.raises(InputError, match=message):
            keypoint_set(wrong)


def test_sigmas_are_found_under_any_spelling(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text("joints: [Left Shoulder, RShoulder]")
    assert keypoint_set(str(path)).oks_sigmas == (0.079, 0.079)
    assert keypoint_set(str(path)).flip_pairs == (("Left Shoulder", "RShoulder"),)

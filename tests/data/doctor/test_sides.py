"""Left and right that look swapped are suspected, and nothing else is."""

import math

import numpy as np
import pytest
from small_coco import content, standing

from rtmo.data.doctor.findings import Findings
from rtmo.data.doctor.people import People, read_people
from rtmo.data.doctor.sides import mixed, pair_sides, reversed_share
from rtmo.skeletons import COCO17, CROWDPOSE14


def crowd(count: int = 60) -> People:
    entries = [{"id": number, "image_id": 0, "category_id": 1, **standing(4, 10)} for number in range(count)]
    found = Findings()
    people = read_people(entries, 17, {0: content(1)["images"][0]}, {}, found)
    assert not found.in_order()
    return people


def exchanged(people: People, *parts: str, rows: slice = slice(None)) -> People:
    for part in parts:
        pair = [COCO17.joints.index(f"{side}_{part}") for side in ("left", "right")]
        people.keypoints[rows, pair] = people.keypoints[rows, pair[::-1]]
    return people


def test_people_who_face_us_are_as_they_should_be():
    sides = pair_sides(crowd(), COCO17.joints)
    assert all((sides[part] > 0).all() for part in ("eye", "shoulder", "hip"))
    assert not mixed(sides).any()
    assert reversed_share(sides) is None


@pytest.mark.parametrize("degrees", [90, 180, 250])
def test_it_does_not_matter_how_they_lie_in_the_image(degrees):
    people = crowd()
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    people.keypoints[..., :2] = people.keypoints[..., :2] @ np.array([[cos, sin], [-sin, cos]])
    sides = pair_sides(people, COCO17.joints)
    assert reversed_share(sides) is None
    assert not mixed(sides).any()


@pytest.mark.parametrize("part", ["shoulder", "hip", "eye"])
def test_one_swapped_pair_contradicts_the_others(part):
    sides = pair_sides(exchanged(crowd(), part, rows=slice(3, 5)), COCO17.joints)
    assert np.flatnonzero(mixed(sides)).tolist() == [3, 4]
    assert reversed_share(sides) is None


def test_a_set_with_all_pairs_swapped_is_suspect_by_its_eyes():
    people = exchanged(crowd(), "eye", "shoulder", "hip", rows=slice(40))
    sides = pair_sides(people, COCO17.joints)
    assert reversed_share(sides) == ("eye", pytest.approx(1 / 3), 60)
    assert not mixed(sides).any()


def test_people_seen_from_behind_are_no_fault_while_their_eyes_are_hidden():
    people = exchanged(crowd(), "eye", "shoulder", "hip", rows=slice(30))
    people.keypoints[:30, 1:3, 2] = 0
    sides = pair_sides(people, COCO17.joints)
    assert reversed_share(sides) is None
    assert not mixed(sides).any()


def test_sets_without_eyes_are_judged_by_shoulders():
    columns = [COCO17.joints.index(joint) for joint in CROWDPOSE14.joints[:12]]

    def share(swapped: int):
        people = exchanged(crowd(100), "shoulder", "hip", rows=slice(swapped))
        people = People(**{**vars(people), "keypoints": people.keypoints[:, columns]})
        return reversed_share(pair_sides(people, CROWDPOSE14.joints[:12]))

    assert share(60) is None  # 40 of 100 from the front happens
    assert share(70) == ("shoulder", pytest.approx(0.3), 100)


def test_few_people_prove_nothing():
    assert reversed_share(pair_sides(exchanged(crowd(19), "eye", "shoulder", "hip"), COCO17.joints)) is None


def test_joints_of_other_bodies_are_not_judged():
    sides = pair_sides(crowd(), [f"point_{i}" for i in range(17)])
    assert all(np.isnan(side).all() for side in sides.values())
    assert not mixed(sides).any()
    letters = [joint.replace("left_", "L ").replace("right_", "R-") for joint in COCO17.joints]
    assert (pair_sides(crowd(), letters)["eye"] > 0).all()

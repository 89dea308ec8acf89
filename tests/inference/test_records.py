"""Records of predictions: what COCO's tools read, and tables."""

import csv
import json
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from rtmo.data.coco_results import read_results
from rtmo.inference.records import ResultsFile, TableFile, describe, image_numbering
from rtmo.inference.sources import Frame, Source
from rtmo.inference.video import VideoInfo
from rtmo.skeletons import COCO17
from rtmo.types import Poses

PIXELS = np.zeros((4, 4, 3), np.uint8)


def image(name: str) -> Source:
    return Source(name, Path(name), "image")


def video_frame(number: int) -> Frame:
    return Frame(Source("clip.mp4", Path("clip.mp4"), "video"), PIXELS, number, VideoInfo(25.0, 9))


def people(count: int, seed: int = 0) -> Poses:
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(count, 17, 2, generator=generator) * 100
    corners = torch.cat([keypoints.amin(1), keypoints.amax(1)], dim=1)
    return Poses(corners, torch.linspace(0.9, 0.5, count), keypoints, torch.rand(count, 17, generator=generator))


def test_results_are_read_back_by_our_reader_and_by_pycocotools(tmp_path):
    poses = {139: people(2, seed=1), 285: people(0), 632: people(3, seed=2)}
    file = ResultsFile(tmp_path / "new" / "predictions.json")
    for image_id, found in poses.items():
        file.write(describe(Frame(image(f"{image_id:012}.jpg"), PIXELS), image_id, found))
    file.close()

    read = read_results(file.path, image_ids=list(poses), category_ids=[1], num_keypoints=17).poses
    for found, again in zip(poses.values(), read, strict=True):
        torch.testing.assert_close(again.keypoints.float(), found.keypoints, rtol=0, atol=0.0051)
        torch.testing.assert_close(again.scores.float(), found.scores, rtol=0, atol=1e-5)
        torch.testing.assert_close(again.keypoint_scores.float(), found.keypoint_scores, rtol=0, atol=1e-5)

    with redirect_stdout(None):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": image_id} for image_id in poses],
            "annotations": [],
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        loaded = truth.loadRes(str(file.path)).loadAnns([1, 2])
    left, top, right, bottom = poses[139].bboxes[0].tolist()
    assert loaded[0]["bbox"] == pytest.approx([left, top, right - left, bottom - top], abs=0.02)
    assert loaded[0]["file_name"] == "000000000139.jpg"


def test_nobody_is_an_empty_list(tmp_path):
    file = ResultsFile(tmp_path / "predictions.json")
    file.write([])
    file.close()
    assert json.loads(file.path.read_text()) == []


@pytest.mark.parametrize("close", [True, False])
def test_a_file_is_whole_or_not_there(tmp_path, close):
    file = ResultsFile(tmp_path / "predictions.json")
    file.write(describe(video_frame(3), 4, people(1)))
    assert not file.path.exists()
    if close:
        file.close()
    else:
        file.discard()
    assert [path.name for path in tmp_path.iterdir()] == (["predictions.json"] if close else [])


def test_people_in_videos_have_frames_and_identities():
    (first, second) = describe(video_frame(7), 8, people(2), [5, 0])
    assert (first["frame"], first["image_id"], first["track_id"], second["track_id"]) == (7, 8, 5, 0)
    (alone,) = describe(Frame(image("a.jpg"), PIXELS), 1, people(1))
    assert "frame" not in alone
    assert "track_id" not in alone


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["000000000139.jpg", "sub/000000000285.jpg"], [139, 285]),
        (["COCO_val2014_000000000042.jpg", "7.png"], [42, 7]),
        (["000000000139.jpg", "street.jpg"], [1, 2]),
        (["a/1.jpg", "b/1.jpg"], [1, 2]),
        (["frame_10.jpg", "frame_20.jpg"], [1, 2]),
    ],
)
def test_images_have_their_number_for_an_id_or_are_counted(names, expected):
    sources = [image(name) for name in names]
    number = image_numbering(sources)
    assert [number(Frame(source, PIXELS)) for source in sources] == expected


def test_frames_of_videos_are_counted():
    number = image_numbering([video_frame(0).source, image("000000000139.jpg")])
    assert [number(video_frame(0)), number(video_frame(1)), number(Frame(image("000000000139.jpg"), PIXELS))] == [
        1,
        2,
        3,
    ]


def test_the_table_has_a_row_for_each_person_and_columns_by_joint(tmp_path):
    poses = people(2)
    file = TableFile(tmp_path / "predictions.csv", COCO17)
    file.write(describe(video_frame(3), 4, poses, [9, 8]))
    file.write(describe(Frame(image('of "mine", 1.jpg'), PIXELS), 5, poses))
    file.write(describe(Frame(image("no text \udcff.jpg"), PIXELS), 6, people(1)))  # bytes that are not UTF-8
    file.close()
    with file.path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["file_name"], row["frame"], row["track_id"]) for row in rows] == [
        ("clip.mp4", "3", "9"),
        ("clip.mp4", "3", "8"),
        ('of "mine", 1.jpg', "", ""),
        ('of "mine", 1.jpg', "", ""),
        (r"no text \udcff.jpg", "", ""),
    ]
    wrist = COCO17.joints.index("left_wrist")
    assert float(rows[1]["left_wrist_x"]) == pytest.approx(float(poses.keypoints[1, wrist, 0]), abs=0.01)
    assert float(rows[1]["left_wrist_score"]) == pytest.approx(float(poses.keypoint_scores[1, wrist]), abs=1e-4)
    assert float(rows[0]["bbox_width"]) == pytest.approx(float(poses.bboxes[0, 2] - poses.bboxes[0, 0]), abs=0.02)
    assert len(rows[0]) == 9 + 3 * 17

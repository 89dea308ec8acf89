"""What lies in the folder of predictions."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from videos import HEIGHT, WIDTH

from rtmo.errors import InputError
from rtmo.inference.outputs import Outputs, drawn_files
from rtmo.inference.sources import Frame, Source
from rtmo.inference.video import VideoInfo, VideoReader
from rtmo.skeletons import COCO17
from rtmo.types import Poses

BLANK = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
INFO = VideoInfo(25.0, 3)


def image(name: str) -> Source:
    return Source(name, Path("photos", name), "image")


def video(name: str) -> Source:
    return Source(name, Path("photos", name), "video")


def standing(x: float) -> Poses:
    """One person whose joints lie around x."""
    keypoints = torch.tensor([x, 8.0]) + torch.rand(1, 17, 2, generator=torch.Generator().manual_seed(0)) * 30
    corners = torch.cat([keypoints.amin(1), keypoints.amax(1)], dim=1)
    return Poses(corners, torch.tensor([0.9]), keypoints, torch.full((1, 17), 0.9))


def records(folder: Path) -> list[dict]:
    return json.loads((folder / "predictions.json").read_text())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "sub/a.jpg", "B.PNG"], ["a.jpg", "sub/a.jpg", "B.PNG"]),
        (["a.gif", "b.avif", "c.ppm"], ["a.png", "b.png", "c.png"]),
        (["a.gif", "a.png"], ["a.gif.png", "a.png"]),
        (["a.gif", "A.png"], ["a.gif.png", "A.png"]),
        (["clip.avi", "clip.mp4", "clip.mov"], ["clip.avi.mp4", "clip.mp4", "clip.mov.mp4"]),
        (["b.avi"], ["b.mp4"]),
    ],
)
def test_no_two_sources_are_drawn_into_one_file(names, expected):
    sources = [(video if Path(name).suffix in (".avi", ".mp4", ".mov") else image)(name) for name in names]
    assert list(drawn_files(Path("out"), sources).values()) == [Path("out", name) for name in expected]


def test_names_that_cannot_be_told_apart_and_sources_that_would_be_lost_are_refused():
    with pytest.raises(InputError, match=r"a\.gif and a\.gif\.png would be drawn into one file"):
        drawn_files(Path("out"), [image("a.gif"), image("a.gif.png"), image("a.png")])
    with pytest.raises(InputError, match=r"output=photos: photos/a\.jpg would be drawn over"):
        drawn_files(Path("photos"), [image("a.jpg")])


def test_images_are_drawn_and_recorded(tmp_path):
    sources = [image("a.png"), image("sub/b.png")]
    outputs = Outputs(tmp_path, sources, COCO17)
    for source in sources:
        outputs.write(Frame(source, BLANK), standing(10))
    outputs.close()
    for source in sources:
        drawn = cv2.imread(str(tmp_path / source.name))
        assert drawn.shape == BLANK.shape
        assert not np.array_equal(drawn, BLANK)
    assert [person["file_name"] for person in records(tmp_path)] == ["a.png", "sub/b.png"]
    assert (outputs.num_frames, outputs.num_people) == (2, 2)


def test_videos_are_drawn_into_files_of_their_own_and_tracked_anew(tmp_path):
    sources = [video("a.mp4"), video("b.avi")]
    outputs = Outputs(tmp_path, sources, COCO17)
    for source in sources:
        for number in range(3):
            outputs.write(Frame(source, BLANK, number, INFO), standing(10 + number))
    outputs.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "predictions.json"]
    for name in ("a.mp4", "b.mp4"):
        reader = VideoReader(tmp_path / name)
        assert (reader.info.fps, len(list(reader))) == (25.0, 3)
    assert [(person["frame"], person["track_id"]) for person in records(tmp_path)] == [(0, 1), (1, 1), (2, 1)] * 2


def test_tracking_is_off_for_images_unless_asked_for(tmp_path):
    sources = [image("1/a.png"), image("1/b.png"), image("2/a.png")]
    identities = {}
    for track in (None, True, False):
        folder = tmp_path / str(track)
        outputs = Outputs(folder, sources, COCO17, track=track, draw=False)
        for source in sources:
            outputs.write(Frame(source, BLANK), standing(10))
        outputs.close()
        identities[track] = [person.get("track_id") for person in records(folder)]
        assert [path.name for path in folder.iterdir()] == ["predictions.json"]
    assert identities == {None: [None] * 3, True: [1, 1, 1], False: [None] * 3}


def test_smoothing_keeps_joints_behind_what_was_found(tmp_path):
    sources = [video("a.mp4")]
    found = {}
    for name, smooth in (("raw", None), ("smooth", {"min_cutoff": 0.1, "beta": 0.0})):
        outputs = Outputs(tmp_path / name, sources, COCO17, smooth=smooth, draw=False)
        for number in range(3):
            outputs.write(Frame(sources[0], BLANK, number, INFO), standing(10 + number))
        outputs.close()
        found[name] = [person["keypoints"][0] for person in records(tmp_path / name)]
    assert found["smooth"][0] == found["raw"][0]
    assert found["raw"][0] < found["smooth"][2] < found["raw"][2] - 1


@pytest.mark.parametrize(("sources", "track"), [([image("a.png")], None), ([video("a.mp4")], False)])
def test_smoothing_needs_people_that_are_followed(tmp_path, sources, track):
    with pytest.raises(InputError, match="smooth: is for the tracked people of a video"):
        Outputs(tmp_path, sources, COCO17, track=track, smooth={"min_cutoff": 1.0})


def test_discarded_output_leaves_finished_pictures_only(tmp_path):
    sources = [image("a.png"), video("b.mp4")]
    outputs = Outputs(tmp_path, sources, COCO17, csv=True)
    outputs.write(Frame(sources[0], BLANK), standing(10))
    outputs.write(Frame(sources[1], BLANK, 0, INFO), standing(10))
    outputs.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]

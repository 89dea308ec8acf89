"""``python -m rtmo.predict``, as a shell sees it."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from networks import reference_state, save_reference, small_rtmo
from omegaconf import OmegaConf
from videos import FPS, write_video

from rtmo import config, predict
from rtmo.data.synthetic.source import SyntheticPeople
from rtmo.errors import InputError
from rtmo.inference.sources import Frame
from rtmo.inference.video import VideoReader, VideoWriter

NETWORK = ("checkpoint=small.pth", "device=cpu", "image_size=[64,96]", "nms_thr=0.1")  # few people


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return save_reference(tmp_path_factory.mktemp("weights") / "small.pth", reference_state(small_rtmo()))


@pytest.fixture
def run(call, tmp_path, weights):
    """Predicts in an empty folder that holds only weights; gives exit code, stdout and stderr."""
    (tmp_path / "small.pth").symlink_to(weights)
    return lambda *arguments: call(predict.main, *NETWORK, *arguments)


@pytest.fixture(scope="module")
def usual() -> dict:
    cfg = config.compose("predict", ["checkpoint=x", "output=y", *predict.overrides(["source=photos/**/*.jpg"])])
    return config.validate(cfg, "predict", predict.KEYS)


def add_image(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (80, 100, 3), np.uint8))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("source=IMG (1), [x] = 2.jpg", "IMG (1), [x] = 2.jpg"),
        ('source="my photos"', "my photos"),
        ("source='a, b'", "a, b"),
        ('source=5" disk', '5" disk'),
        ("source=C:\\photos\\", "C:\\photos\\"),
        ("source=${a}.jpg", "${a}.jpg"),
        ("source=0", "0"),
    ],
)
def test_sources_have_any_name(argument, value):
    (override,) = OverridesParser.create().parse_overrides(predict.overrides([argument]))
    assert override.key_or_group == "media"
    assert OmegaConf.create({"media": override.value()}).media == value


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def people(folder: Path) -> list[dict]:
    return json.loads((folder / "predictions.json").read_text())


def test_a_folder_of_images_and_videos(run, tmp_path):
    add_image(tmp_path / "photos/000000000139.jpg", seed=1)
    add_image(tmp_path / "photos/sub/b.png", seed=2)
    write_video(tmp_path / "photos/clip.avi", num_frames=4)
    code, stdout, stderr = run("source=photos", "output=poses", "csv=true", "batch_size=2", "smooth=one_euro")
    assert (code, stderr) == (0, "")
    found = people(tmp_path / "poses")
    assert stdout.startswith(f"{len(found)} people in 6 frames, ")
    assert "(torch float32 on cpu): poses/predictions.json" in stdout
    assert files(tmp_path / "poses") == {
        *("predictions.json", "predictions.csv", "000000000139.jpg", "sub/b.png", "clip.mp4"),
    }
    assert {person["file_name"] for person in found} == {"000000000139.jpg", "clip.avi", "sub/b.png"}
    assert {person.get("frame") for person in found if person["file_name"] == "clip.avi"} == {0, 1, 2, 3}
    assert len(list(VideoReader(tmp_path / "poses/clip.mp4"))) == 4


def test_files_that_cannot_be_read_are_named_and_the_others_done(run, tmp_path):
    for number, name in enumerate(("a.png", "z.png")):
        add_image(tmp_path / "photos" / name, seed=number)
    (tmp_path / "photos/text.jpg").write_text("text")
    (tmp_path / "photos/zero.mp4").touch()
    code, stdout, stderr = run("source=photos", "output=poses")
    assert code == 2
    assert stderr == (
        "error: 2 of 4 files could not be read, or not to their end: text.jpg, zero.mp4; all else is in poses\n"
    )
    assert "WARNING: photos/text.jpg: not an image" in stdout
    assert "WARNING: photos/zero.mp4: an empty file" in stdout
    assert files(tmp_path / "poses") == {"predictions.json", "a.png", "z.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["source=text.jpg"], "text.jpg: not an image"),
        (["source=empty/*.jpg"], "source=empty/*.jpg: no file matches"),
        ([], "source: has no value; give source=..."),
        (["source=text.jpg", "smooth=one_euro"], "smooth: is for the tracked people of a video"),
        (["source=text.jpg", "checkpoint=nowhere.ckpt"], "checkpoint=nowhere.ckpt: no such file"),
    ],
)
def test_what_cannot_be_used_ends_with_one_message_and_leaves_nothing(run, tmp_path, arguments, message):
    (tmp_path / "text.jpg").write_text("text")
    (tmp_path / "empty").mkdir()
    code, _, stderr = run("output=poses", *arguments)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "poses").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"media": ["a.jpg"]}, "source: expected a path, a pattern or the number of a camera"),
        ({"media": True}, "source: expected a path"),
        ({"output": None}, "output: expected a path, got None"),
        ({"device": None}, "device: expected auto or a name, got None"),
        ({"batch_size": 0}, "batch_size: expected a whole number from 1 on, got 0"),
        ({"batch_size": None}, "batch_size: expected a whole number"),
        ({"max_frames": 1.5}, "max_frames: expected a whole number"),
        ({"keypoint_thr": 2}, "keypoint_thr: expected a number from 0 to 1, got 2"),
        ({"track": "maybe"}, "track: expected true, false or null"),
        ({"track": 0}, "track: expected true, false or null"),
        ({"draw": "yes"}, "draw: expected true or false"),
        ({"smooth": {"min_cutoff": 0, "beta": 1}}, "smooth.min_cutoff: expected a number above 0"),
        ({"smooth": {"min_cutoff": 1, "beta": "x"}}, "smooth.beta: expected a number from 0 on"),
        ({"smooth": {"min_cutoff": 1, "beta": float("nan")}}, "smooth.beta: expected a number from 0 on"),
    ],
)
def test_values_are_checked_before_a_network_is_loaded(usual, changes, message):
    assert usual["media"] == "photos/**/*.jpg"
    predict.check_values(usual)
    with pytest.raises(InputError, match=message):
        predict.check_values(usual | changes)


def test_output_is_not_overwritten_unless_that_is_said(run, tmp_path):
    add_image(tmp_path / "photos/a.png")
    (tmp_path / "poses").mkdir()
    (tmp_path / "poses/mine.txt").touch()
    refused = "error: output=poses: holds files already; choose a new folder, or say overwrite=true\n"
    assert run("source=photos", "output=poses")[::2] == (2, refused)
    assert run("source=photos", "output=poses", "overwrite=true", "draw=false", "score_thr=0.999")[0] == 0
    assert files(tmp_path / "poses") == {"mine.txt", "predictions.json"}
    assert people(tmp_path / "poses") == []
    code, _, stderr = run("source=photos/a.png", "output=photos", "overwrite=true")
    assert (code, "photos/a.png would be drawn over" in stderr) == (2, True)
    assert run("source=photos", "output=small.pth")[::2] == (
        *(2, "error: output=small.pth: a file, where a folder is expected; choose another name\n"),
    )


def test_ctrl_c_leaves_what_was_finished(run, tmp_path, monkeypatch):
    write_video(tmp_path / "clip.avi", num_frames=6)
    read_frames = predict.read_frames

    def interrupted(*arguments):
        for frame in read_frames(*arguments):
            if frame.number == 5:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(predict, "read_frames", interrupted)
    code, stdout, stderr = run("source=clip.avi", "output=poses")
    assert (code, stderr) == (130, "")
    assert "stopped; what was done by then is complete" in stdout
    assert files(tmp_path / "poses") == {"predictions.json", "clip.mp4"}
    assert len(list(VideoReader(tmp_path / "poses/clip.mp4"))) == 5
    assert {person["frame"] for person in people(tmp_path / "poses")} == set(range(5))


def test_a_disk_that_is_full_is_one_message(run, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    add_image(tmp_path / "a.png")
    monkeypatch.setattr(predict.Outputs, "write", full)
    code, _, stderr = run("source=a.png", "output=poses")
    assert code == 2
    assert stderr.startswith("error: output=poses: cannot be written ([Errno 28] No space left on device)")
    assert not (tmp_path / "poses").exists()


@pytest.mark.slow
def test_a_long_video_goes_through_in_constant_memory(run, tmp_path, monkeypatch):
    """Frames of 1080p, 6 MB each: were they kept, memory would grow by more than a gigabyte."""
    num_frames = 200
    source = SyntheticPeople(num_images=4, image_size=(540, 960), seed=0)
    scenes = [cv2.resize(source.load(index).drawn().pixels, (1920, 1080)) for index in range(4)]
    writer = VideoWriter(tmp_path / "clip.mp4", fps=FPS, image_size=(1080, 1920))
    for number in range(num_frames):
        writer.write(np.roll(scenes[number // 20 % 4], 6 * number, axis=1))
    writer.close()

    memory: list[int] = []
    write = predict.Outputs.write

    def measured(outputs, frame: Frame, poses) -> None:
        write(outputs, frame, poses)
        memory.append(psutil.Process(os.getpid()).memory_info().rss)

    monkeypatch.setattr(predict.Outputs, "write", measured)
    assert run("source=clip.mp4", "output=poses")[0] == 0
    assert len(memory) == num_frames
    assert len(people(tmp_path / "poses")) > num_frames  # there is something to draw
    growth = (max(memory[-50:]) - max(memory[50:100])) / 2**20
    assert growth < 60

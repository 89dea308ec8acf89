"""Videos are read to their end whatever happens in between, and written whole or not at all."""

import cv2
import numpy as np
import pytest
from videos import FPS, HEIGHT, WIDTH, break_frame, cut, shade, write_video

from rtmo.errors import InputError
from rtmo.inference.video import VideoReader, VideoWriter


def numbers(reader: VideoReader) -> list[int]:
    """Numbers of all frames, after a look that each frame is the one of its number."""
    found = []
    for number, image in reader:
        assert abs(float(image.mean()) - shade(number)) < 6
        found.append(number)
    return found


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v"), ("clip.mpg", "PIM1")])
def test_all_frames_in_order(tmp_path, name, codec):
    reader = VideoReader(write_video(tmp_path / name, codec=codec))
    assert reader.info.fps == FPS
    assert reader.info.num_frames == pytest.approx(30, abs=3)  # an estimate, in a program stream
    assert numbers(reader) == list(range(30))
    assert (reader.num_broken, reader.missing_seconds) == (0, 0)


def test_a_broken_frame_is_left_out_and_those_after_it_keep_their_numbers(tmp_path):
    path = write_video(tmp_path / "clip.avi")
    for number in (10, 11, 20):
        break_frame(path, number)
    reader = VideoReader(path)
    assert numbers(reader) == [number for number in range(30) if number not in (10, 11, 20)]
    assert (reader.num_broken, reader.missing_seconds) == (3, 0)


def test_a_video_cut_short_says_how_much_is_missing(tmp_path):
    path = write_video(tmp_path / "clip.avi", num_frames=50)
    cut(path, 0.5)
    reader = VideoReader(path)
    read = numbers(reader)
    assert read == list(range(len(read)))
    assert 10 < len(read) < 30
    assert reader.missing_seconds == pytest.approx((50 - len(read)) / FPS, abs=0.01)
    assert reader.num_broken == 0


def test_frames_are_turned_as_the_header_says(tmp_path):
    path = write_video(tmp_path / "clip.mp4", codec="mp4v")
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, version 0: its nine numbers in fixed point
    clockwise = (0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    data[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in clockwise)
    path.write_bytes(data)
    _, image = next(iter(VideoReader(path)))
    assert image.shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.touch(), "an empty file"),
        (lambda path: path.write_text("not a video"), "not a video"),
        (lambda path: cut(write_video(path, codec="mp4v"), 0.5), "damaged or cut short"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_video_is_named(tmp_path, write, message):
    write(tmp_path / "clip.mp4")
    with pytest.raises(InputError, match=rf"clip\.mp4: .*{message}"):
        VideoReader(tmp_path / "clip.mp4")


def test_a_camera_gives_frames_until_it_gives_none(tmp_path, monkeypatch):
    path, capture = write_video(tmp_path / "clip.avi", num_frames=3), cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: capture(str(path)) if index == 0 else capture())
    reader = VideoReader(0)
    assert (reader.info.fps, reader.info.num_frames, reader.info.seconds) == (FPS, None, 0)
    assert numbers(reader) == [0, 1, 2]
    assert (reader.num_broken, reader.missing_seconds) == (0, 0)
    for index in (1, 200, 2**40):  # OpenCV would take 200 for the first camera of a backend
        with pytest.raises(InputError, match=f"source={index}: there is no camera"):
            VideoReader(index)


def test_a_video_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "out.mp4"
    writer = VideoWriter(path, fps=12.5, image_size=(HEIGHT, WIDTH))
    for number in range(10):
        writer.write(np.full((HEIGHT, WIDTH, 3), shade(number), np.uint8))
    assert not path.exists()
    writer.close()
    reader = VideoReader(path)
    assert (reader.info.fps, reader.info.num_frames) == (12.5, 10)
    assert numbers(reader) == list(range(10))
    assert [file.name for file in path.parent.iterdir()] == ["out.mp4"]


def test_a_video_that_a_full_disk_cut_short_does_not_appear(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", fps=25, image_size=(HEIGHT, WIDTH))
    writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    writer._writer.release()
    cut(tmp_path / "out.part.mp4", 0.5)
    with pytest.raises(InputError, match=r"out\.mp4: cannot be written to its end"):
        writer.close()
    assert not (tmp_path / "out.mp4").exists()


def test_a_discarded_video_leaves_nothing(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", fps=25, image_size=(HEIGHT, WIDTH))
    writer.write(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    writer.discard()
    assert not list(tmp_path.iterdir())


def test_a_video_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(InputError, match=r"out\.webp: OpenCV cannot write this video"):
        VideoWriter(tmp_path / "out.webp", fps=25, image_size=(HEIGHT, WIDTH))

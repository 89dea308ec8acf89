"""What ``source`` names, and what becomes of files that cannot be read."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import break_frame, cut, write_video

from rtmo.errors import InputError
from rtmo.inference.sources import Faults, find_sources, read_frames


def add_image(path: Path, shade: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (shade,) * 3).save(path)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("b.jpg", "a.PNG", "sub/c.png", "sub/b.bmp", ".hidden.png", ".git/d.png"):
        add_image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("mine")
    write_video(tmp_path / "clip.avi", num_frames=3)
    return tmp_path


def names(source: str | int, **options) -> list[str]:
    faults = Faults()
    found = find_sources(source, faults, **options)
    assert not faults.messages
    return [f"{one.kind} {one.name}" for one in found]


def test_a_folder_is_all_below_it_by_name(folder):
    assert names(str(folder)) == ["image a.PNG", "image b.jpg", "video clip.avi", "image sub/b.bmp", "image sub/c.png"]


def test_earlier_output_is_no_source(folder):
    add_image(folder / "poses/b.jpg")
    assert "image poses/b.jpg" in names(str(folder))
    assert "image poses/b.jpg" not in names(str(folder), leave_out=folder / "poses")
    assert names(f"{folder}/sub", leave_out=folder) == names(f"{folder}/sub")  # which would be nothing


def test_patterns_match_files_and_keep_sub_folders(folder, monkeypatch):
    assert names(f"{folder}/*.jpg") == ["image b.jpg"]
    assert names(f"{folder}/sub/*") == ["image b.bmp", "image c.png"]
    assert names(f"{folder}/**/*.png") == names(f"{folder}/**/**/*.png") == ["image c.png"]
    monkeypatch.chdir(folder)
    assert names("**/b.*") == ["image b.jpg", "image sub/b.bmp"]


def test_a_file_may_have_the_name_of_a_pattern_or_a_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add_image(tmp_path / "a[1].png")
    add_image(tmp_path / "7/x.png")
    assert names("a[1].png") == ["image a[1].png"]
    assert names(7) == ["image x.png"]
    assert names(8) == names("8") == ["camera camera8"]


def test_folders_are_done_one_after_another(tmp_path):
    for name in ("a.png", "m/a.png", "z.png"):
        add_image(tmp_path / name)
    assert names(str(tmp_path)) == ["image a.png", "image z.png", "image m/a.png"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "source=nowhere: no such file or folder"),
        ("empty", "source=empty: holds neither images nor videos"),
        ("nowhere/*.jpg", r"source=nowhere/\*\.jpg: no file matches"),
        ("texts/*", r"source=texts/\*: holds neither images nor videos"),
        (-1, "source=-1: no such file or folder"),  # of a camera, a number at which OpenCV crashes
        ("x" * 300, "source=x+: no such file or folder"),
        ("", "source=: no such file or folder"),
        ("texts/a.txt", "source=texts/a.txt: neither an image nor a video by its suffix; images end with .jpg"),
    ],
)
def test_nothing_to_read_is_an_error(tmp_path, monkeypatch, source, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/a.txt").touch()
    with pytest.raises(InputError, match=message):
        find_sources(source, Faults())


def test_folders_without_permission_are_named(folder, monkeypatch, caplog):
    locked = {folder / "sub"}
    scandir = os.scandir

    def refusing(path):
        if Path(path) in locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    faults = Faults()
    assert [source.name for source in find_sources(str(folder), faults)] == ["a.PNG", "b.jpg", "clip.avi"]
    assert list(faults.messages) == ["sub"]
    assert "sub: the folder cannot be opened (Permission denied)" in caplog.text
    locked.add(folder)
    with pytest.raises(InputError, match="the folder cannot be opened"):
        find_sources(str(folder), Faults())


def test_what_cannot_be_read_does_not_keep_others_from_it(tmp_path, caplog):
    add_image(tmp_path / "a.png", 1)
    (tmp_path / "b.jpg").write_text("text")
    (tmp_path / "c.mp4").touch()
    (tmp_path / "d.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    write_video(tmp_path / "nothing.avi", num_frames=0)
    add_image(tmp_path / "e.png", 5)
    faults = Faults()
    frames = list(read_frames(find_sources(str(tmp_path), faults, leave_out=tmp_path / "poses"), faults))
    assert [(frame.source.name, int(frame.image[0, 0, 0]), frame.number) for frame in frames] == [
        ("a.png", 1, None),
        ("e.png", 5, None),
    ]
    assert list(faults.messages) == ["b.jpg", "c.mp4", "d.png", "loop.png", "nothing.avi"]
    for name in faults.messages:
        assert f"{name}: " in caplog.text


def test_videos_lose_only_what_is_broken_and_say_so(tmp_path, caplog):
    break_frame(write_video(tmp_path / "broken.avi", num_frames=6), 3)
    cut(write_video(tmp_path / "cut.avi", num_frames=50), 0.4)
    faults = Faults()
    frames = list(read_frames(find_sources(str(tmp_path), faults), faults))
    assert [frame.number for frame in frames if frame.source.name == "broken.avi"] == [0, 1, 2, 4, 5]
    assert "broken.avi: 1 frames could not be decoded" in caplog.text
    assert list(faults.messages) == ["cut.avi"]
    assert "cut.avi: cut short, the last " in caplog.text
    assert sum(frame.source.name == "cut.avi" for frame in frames) > 3


def test_of_each_video_no_more_frames_than_asked_for(tmp_path):
    for name in ("a.avi", "b.avi"):
        break_frame(write_video(tmp_path / name, num_frames=5), 2)  # the first that is not asked for
    faults = Faults()
    frames = list(read_frames(find_sources(str(tmp_path), faults), faults, max_frames=2))
    assert [(frame.source.name, frame.number) for frame in frames] == [
        ("a.avi", 0),
        ("a.avi", 1),
        ("b.avi", 0),
        ("b.avi", 1),
    ]
    assert not faults.messages
    np.testing.assert_array_equal(frames[0].image.shape, (48, 64, 3))

"""python -m rtmo.data stats: a table, a figure and JSON of every data set."""

import json

from small_coco import content, write

from rtmo.data_commands import stats

TINY = ("data=synthetic", "image_size=[64,64]", "data.train.num_images=5", "data.val.num_images=3")


def test_drawn_people_are_counted(call, tmp_path):
    code, stdout, stderr = call(stats.main, *TINY, "output=numbers")
    assert (code, stderr) == (0, "")
    report = json.loads((tmp_path / "numbers" / "stats.json").read_text())
    assert {name: one["images"] for name, one in report.items()} == {"data.train": 5, "data.val": 3}
    assert "data.train │      5 │" in stdout
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        "numbers/stats.png",
        "numbers/stats.json",
    }


def test_annotations_are_counted_without_their_images(call, tmp_path):
    words = ["data=custom"]
    for split in ("train", "val"):
        words += [f"data.{split}.annotation_file={write(tmp_path / split, content(3))}", f"data.{split}.image_dir=gone"]
    code, _, _ = call(stats.main, *words)
    assert code == 0
    report = json.loads((tmp_path / "outputs" / "stats" / "stats.json").read_text())
    assert report["data.train"]["people_per_image"] == [0, 0, 3]
    assert report["data.train"]["joints"]["nose"]["visible"] == 6


def test_missing_files_are_said(call):
    code, _, stderr = call(stats.main, "data=coco", "paths.data_dir=nowhere")
    assert code == 2
    assert "there is no file nowhere/coco/annotations/person_keypoints_train2017.json" in stderr
    assert len(stderr.splitlines()) == 1


def test_the_help_page_names_every_option(call):
    code, page, _ = call(stats.main, "--help")
    assert code == 0
    for option in ("output", "skeleton", "paths.data_dir"):
        assert f"  {option} " in page
    assert max(map(len, page.splitlines())) <= 120

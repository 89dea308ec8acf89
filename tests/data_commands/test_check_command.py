"""python -m rtmo.data check: what a user sees, and what lies there afterwards."""

import json
import sys
from pathlib import Path

import own_data
import pytest
from small_coco import content, write

from rtmo.data.__main__ import COMMANDS
from rtmo.data.coco_pose import CocoPose
from rtmo.data_commands.check import overrides
from rtmo.skeletons import COCO17
from rtmo.subcommands import run


@pytest.fixture
def data(call, monkeypatch):
    """Calls python -m rtmo.data with some words."""

    def command(*words: str):
        def entry() -> None:
            monkeypatch.setattr(sys, "argv", ["rtmo.data", *words])
            run("rtmo.data", COMMANDS)

        return call(entry)

    return command


@pytest.fixture
def custom(tmp_path):
    """Train and val sets of a folder each, and the words that name them."""
    words = ["data=custom"]
    for split, first in (("train", 0), ("val", 50)):
        file = write(tmp_path / split, content(4, first))
        words += [f"data.{split}.annotation_file={file}", f"data.{split}.image_dir={file.parent / 'images'}"]
    return words


def rows(stdout: str) -> list[str]:
    """The rows of the table, their cells put together again."""
    found: list[list[str]] = [[]]
    for line in stdout.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            found[-1] = [f"{before} {cell}".strip() for before, cell in zip(found[-1] or [""] * 5, cells, strict=True)]
        elif found[-1]:
            found.append([])
    return [" | ".join(row) for row in found if row]


def plant(tmp_path, split, change):
    file = tmp_path / split / "people.json"
    described = json.loads(file.read_text())
    change(described)
    file.write_text(json.dumps(described))


def test_good_data_is_said_to_be_good(data, custom, tmp_path):
    before = set(tmp_path.rglob("*"))
    code, stdout, stderr = data("check", *custom)
    assert (code, stderr) == (0, "")
    assert "data.train train: 4 images (4 opened), 8 annotations" in stdout
    assert "nothing was found" in stdout
    assert set(tmp_path.rglob("*")) == before


def test_a_warning_is_a_row_and_no_error(data, custom, tmp_path):
    plant(tmp_path, "val", lambda described: described["annotations"][0].pop("area"))
    code, stdout, _ = data("check", *custom)
    assert code == 0
    assert rows(stdout) == [
        "data.val | warning: no area, or 0; training takes 0.53 of the box | 1 | 050.jpg: annotation 1: area None | "
        "give it in px^2; --fix takes 0.53 of the box"
    ]


def spoil(described):
    described["annotations"][1]["id"] = 1
    described["annotations"][2]["keypoints"][0] = float("nan")
    described["annotations"][3]["bbox"] = [500, 0, 10, 10]
    described["images"][3]["height"] = 1


def test_faults_are_rows_with_fixes_and_copies_train(data, custom, tmp_path):
    plant(tmp_path, "train", spoil)
    (tmp_path / "val" / "images" / "052.jpg").unlink()
    originals = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, stdout, stderr = data("check", *custom, "output=report/r.json", "--fix")
    assert code == 2
    assert stderr == "error: 5 errors of 5 kinds; train on the copies\n"
    report = json.loads((tmp_path / "report" / "r.json").read_text())
    found = {name: {finding["kind"] for finding in report[name]["findings"]} for name in report}
    assert found == {
        "data.train": {"annotation_id_doubled", "not_finite", "box_outside", "joints_outside_box", "image_size"},
        "data.val": {"image_missing"},
    }
    assert (
        "data.train | error: annotation id used twice | 1 | 000.jpg: annotation 1: not the first of that id | "
        "number annotations anew; --fix gives a new id"
    ) in rows(stdout)
    assert "data.val | error: image file missing | 1 | 052.jpg |" in "\n".join(rows(stdout))
    for path, before in originals.items():
        assert path.read_bytes() == before
    words = stdout.partition("to train on them: ")[2].split()
    assert words == [
        f"++data.{split}.annotation_file={tmp_path / split / 'people.fixed.json'}" for split in ("train", "val")
    ]
    assert "1 annotations given a new id" in stdout
    code, stdout, _ = data("check", *custom, *words)
    assert code == 0
    assert "error" not in stdout
    copy = words[0].partition("=")[2]
    source = CocoPose(name="copy", annotation_file=copy, image_dir=tmp_path / "train" / "images", skeleton=COCO17)
    assert len(source) == 3
    code, _, stderr = data("check", *custom, "--fix")
    assert code == 2
    assert "people.fixed.json: exists already; overwrite=true replaces it" in stderr
    assert data("check", *custom, "--fix", "output_dir=copies", "overwrite=true")[0] == 2
    assert (tmp_path / "copies" / "people.fixed.json").is_file()


def test_one_file_for_train_and_val_is_told_and_left_alone(data, custom, tmp_path):
    words = [word.replace("data.train", "data.val") for word in custom if "data.train" in word]
    code, stdout, stderr = data("check", *custom, *words, "--fix")
    assert code == 2
    assert "training image is in val as well | 4 | 000.jpg = " in rows(stdout)[0]
    assert "people.data.train.fixed.json" not in stdout
    assert "people.train.fixed.json: not written, for no image is left" in stderr


def test_what_cannot_be_read_is_a_row_and_the_rest_is_checked(data, custom, tmp_path):
    (tmp_path / "train" / "people.json").write_text('{"images": [')
    code, stdout, stderr = data("check", *custom, "images=header", "skeleton=coco17")
    assert code == 2
    assert rows(stdout)[0].startswith("data.train | error: annotations cannot be read | 1 | ")
    assert "not valid JSON" in rows(stdout)[0]
    assert "data.val val: 4 images (4 opened)" in stdout
    assert len(stderr.splitlines()) == 1


def test_members_of_a_mixture_are_checked_by_name_and_copies_of_them_train(data, tmp_path):
    folder = tmp_path / "coco"
    for split, first in (("train2017", 0), ("val2017", 50)):
        described = write(tmp_path / split, content(2, first))
        plant(tmp_path, split, spoil_one)
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        described.rename(folder / "annotations" / f"person_keypoints_{split}.json")
        (tmp_path / split / "images").rename(folder / split)
    words = [
        *("check", "data=mixture", "data.sources={coco_train: 1}", "data.val_sources=[coco_val]"),
        *(f"paths.data_dir={tmp_path}", "images=none"),
    ]
    code, stdout, _ = data(*words, "--fix", "overwrite=true", "output_dir=copies")
    assert code == 2
    for key in ("train.sources.coco_train", "val", "more_val.coco_val"):
        assert f"data.{key} coco_" in stdout
    assert "(0 opened)" in stdout
    code, stdout, stderr = data(*words, *stdout.partition("to train on them: ")[2].split())
    assert (code, stderr) == (0, "")
    assert "copies/person_keypoints_train2017.fixed.json" in stdout
    assert "copies/person_keypoints_val2017.more_val.coco_val.fixed.json" in stdout


def spoil_one(described):
    described["annotations"][1]["id"] = 1


def test_a_copy_of_another_format_is_named_with_its_class():
    node = {"_target_": "rtmo.data.raw_pose.RawPose", "name": "a", "annotation_file": "b", "annotation_format": "mpii"}
    assert overrides("data.val", node, Path("c.json"), Path("images")) == [
        "++data.val.annotation_file=c.json",
        "~data.val.annotation_format",
        "++data.val._target_=rtmo.data.coco_pose.CocoPose",
    ]
    jhmdb = {"_target_": "rtmo.data.coco_pose.CocoPose", "annotation_file": "b", "first_pixel": 1}
    assert overrides("data.val", jhmdb, Path("c.json"), Path("images")) == [
        "++data.val.annotation_file=c.json",
        "++data.val.first_pixel=0",
    ]
    assert overrides("data.val", {"_target_": "Folder", "root": "x"}, Path("c.json"), Path("images")) == [
        *("data=custom", "data.val.annotation_file=c.json", "data.val.image_dir=images")
    ]


def test_copies_of_a_folder_lie_beside_it_for_train_and_val(data, tmp_path):
    own_data.write_coco(tmp_path / "animals")
    file = next((tmp_path / "animals").rglob("*.json"))
    described = json.loads(file.read_text())
    described["annotations"][0]["keypoints"][0] = float("nan")
    file.write_text(json.dumps(described))
    code, stdout, _ = data("check", "data=custom", "data.root=animals", "--fix")
    assert code == 2
    copies = {split: tmp_path / f"animals.{split}.fixed.json" for split in ("train", "val")}
    assert {path for path in tmp_path.rglob("*.json") if path != file} == set(copies.values())
    words = stdout.partition("to train on them: ")[2].split()
    assert words[0] == "data=custom"
    code, stdout, stderr = data("check", *words)
    assert (code, stderr) == (0, "")
    assert all(str(path) in stdout for path in copies.values())
    assert data("check", "data=custom", "data.root=animals")[0] == 2  # the folder is as it was


def test_broken_annotations_of_a_folder_are_rows(data, tmp_path):
    own_data.write_coco(tmp_path / "animals")
    file = next((tmp_path / "animals").rglob("*.json"))
    described = json.loads(file.read_text())
    people, images = described["annotations"], described["images"]
    people[0]["image_id"] = 4711
    del people[1]["image_id"]
    people[2]["keypoints"][0] = "far left"
    people[3]["bbox"] = 5
    images[5]["id"] = images[6]["id"]
    images[7]["file_name"] = None
    file.write_text(json.dumps(described))
    code, stdout, stderr = data(
        "check", "data=custom", "data.root=animals", "data.val_fraction=0.4", "--fix", "output=r.json"
    )
    assert code == 2
    assert stderr.splitlines()[-1].endswith("kinds; train on the copies")
    findings = json.loads((tmp_path / "r.json").read_text()).values()
    found = {finding["kind"] for each in findings for finding in each["findings"]}
    assert {"orphan_image", "annotation_fields", "malformed", "image_id_doubled", "image_fields"} <= found
    assert data("check", *stdout.partition("to train on them: ")[2].split())[0] == 0


def test_drawn_people_need_no_check(data):
    code, stdout, _ = data("check", "data=synthetic")
    assert code == 0
    assert "no files of its own to check" in stdout


def test_options_are_checked_and_on_the_help_page(data, custom):
    assert "images=all: choose one of decode, header, none" in data("check", *custom, "images=all")[2]
    assert "did you mean 'fix'?" in data("check", *custom, "fixx=true")[2]
    code, page, _ = data("check", "--help")
    assert code == 0
    for option in ("images", "output", "--fix", "output_dir", "overwrite"):
        assert option in page
    assert max(map(len, page.splitlines())) <= 120


def test_what_keeps_a_folder_from_being_read_is_a_row_for_each_line(data, tmp_path):
    own_data.write_yolo_pose(tmp_path / "cows")
    labels = tmp_path / "cows" / "labels" / "all"
    for number, value in enumerate(("nan", "7.5", "cow")):
        file = labels / f"picture_0{number}.txt"
        file.write_text(file.read_text().replace(file.read_text().split()[1], value, 1))
    code, shown, error = data("check", "data=custom", f"data.root={tmp_path / 'cows'}")
    assert len(rows(shown)) == 3
    for number, row in enumerate(rows(shown)):
        assert row.startswith("data.train | error: annotations cannot be read | 1 |")
        assert f"picture_0{number}.txt,line1" in row.replace(" ", "")  # folded to the column
    assert code == 2
    assert "error: correct that first" in error


def test_a_mistake_in_the_config_is_no_fault_of_the_data(data):
    code, shown, error = data("check", "data=mixture", "data.sources={coco_tran: 1}")
    assert (code, shown) == (2, "")
    assert "did you mean 'coco_train'" in error

import json
import logging
import shutil
import unicodedata

import cv2
import numpy as np
import pytest
import yaml
from own_data import (
    COLOURS,
    JOINTS,
    SIZE,
    WRITERS,
    draw,
    label_studio_task,
    write_coco,
    write_cvat,
    write_labelme,
    write_yolo_pose,
    yolo_line,
)
from PIL import Image

from rtmo.data.coco_pose import CocoPose
from rtmo.data.folder import FolderPose, read_data
from rtmo.data.packing import pack
from rtmo.data.shards import ShardedImages
from rtmo.errors import InputError
from rtmo.skeletons import COCO17, KeypointSet

ALL = {"name": "cows", "val_fraction": 1.0, "split": "val", "drop_empty": False}  # every image


def skeleton_of(root, **options):
    return FolderPose.named_keypoint_set(root=str(root), split="train", **options)


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """Format, root and what was drawn."""
    return request.param, tmp_path / "cows", WRITERS[request.param](tmp_path / "cows")


def test_every_format_gives_the_keypoints_that_were_drawn(written):
    _, root, pictures = written
    skeleton = skeleton_of(root)
    assert set(skeleton.joints) == set(JOINTS)
    assert skeleton.flip_pairs == (("left_paw", "right_paw"),)
    source = FolderPose(root=root, skeleton=skeleton, **ALL)
    assert len(source) == len(pictures)
    images = {image["id"]: image["file_name"].rpartition("/")[2] for image in source.ground_truth()["images"]}
    names = {images[source.load(index).image_id]: index for index in range(len(source))}
    order = [JOINTS.index(joint) for joint in skeleton.joints]
    for picture in pictures:
        sample = source.load(names[picture.name])
        assert len(sample.bboxes) == len(picture.animals)
        rows = np.argsort(sample.bboxes[:, 0])
        for row, animal in zip(rows, sorted(picture.animals, key=lambda animal: animal.box), strict=True):
            x, y, width, height = animal.box
            np.testing.assert_allclose(sample.bboxes[row], [x, y, x + width, y + height], atol=1e-3)
            np.testing.assert_allclose(sample.keypoints[row], animal.keypoints[order], atol=1e-3)
            np.testing.assert_array_equal(sample.visibility[row], animal.flags[order])
            assert sample.area[row] == pytest.approx(0.53 * width * height, rel=1e-4)
            for place, joint in enumerate(order):
                if sample.visibility[row, place]:
                    px, py = sample.keypoints[row, place].round().astype(int)
                    assert tuple(sample.image[py, px]) == COLOURS[joint]


def test_an_archive_is_unpacked_beside_itself(written, tmp_path):
    _, root, pictures = written
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", root)
    shutil.rmtree(root)
    assert len(read_data(archive, None, 0.1).content["images"]) == len(pictures)
    assert len(read_data(archive, None, 0.1).content["images"]) == len(pictures)  # again, from what was unpacked
    for file in (tmp_path / "export").rglob("*.[jyx]*"):
        file.write_text(file.read_text().replace("o", "0"))
    with pytest.raises(InputError, match=r"is not that of export\.zip; remove the folder"):
        read_data(archive, None, 0.1)


@pytest.mark.parametrize(
    ("format", "name"), [("coco", "annotations.json"), ("yolo_pose", "data.yaml"), ("cvat", "annotations.xml")]
)
def test_the_root_may_be_the_file(format, name, tmp_path):
    pictures = WRITERS[format](tmp_path)
    assert len(read_data(tmp_path / name, None, 0.1).content["images"]) == len(pictures)


def test_the_root_may_hold_nothing_but_an_archive(tmp_path):
    pictures = write_cvat(tmp_path / "cows")
    shutil.make_archive(str(tmp_path / "downloads" / "job_7"), "zip", tmp_path / "cows")
    assert len(read_data(tmp_path / "downloads", None, 0.1).content["images"]) == len(pictures)
    (tmp_path / "downloads" / "job_7.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"job_7\.zip: damaged"):
        read_data(tmp_path / "downloads" / "job_7.zip", None, 0.1)


@pytest.mark.parametrize("format", ["coco", "cvat"])
def test_limbs_come_from_the_file(format, tmp_path):
    WRITERS[format](tmp_path / "cows")
    assert ("nose", "horn") in skeleton_of(tmp_path / "cows").limbs


def test_one_line_tells_what_was_found(tmp_path, caplog):
    write_yolo_pose(tmp_path / "cows")
    with caplog.at_level(logging.INFO):
        skeleton_of(tmp_path / "cows")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "cows: yolo_pose; 5 keypoints: nose, left_paw, right_paw, tail, horn" in line
    assert "in a mirror: left_paw - right_paw" in line
    assert "sigmas: 1 of COCO and CrowdPose by name, 4 the default 0.067" in line
    assert line.count("people") == 2


def test_the_split_stays_when_images_are_added(tmp_path):
    write_coco(tmp_path)
    file = tmp_path / "annotations.json"
    content = json.loads(file.read_text())

    def splits(fraction=0.3):
        return {image["file_name"]: image["split"] for image in read_data(tmp_path, None, fraction).content["images"]}

    before = splits()
    assert set(before.values()) == {"train", "val"}
    for number in range(50):
        shutil.copy(tmp_path / "photos" / "picture_00.png", tmp_path / "photos" / f"more_{number}.png")
        content["images"].append({"id": 100 + number, "file_name": f"more_{number}.png"})
    file.write_text(json.dumps(content))
    after = splits()
    assert len(after) == 62
    assert {name: after[name] for name in before} == before
    assert 8 < list(after.values()).count("val") < 30
    assert set(splits(0.001).values()) == set(splits(0.999).values()) == {"train", "val"}  # at least one image in each
    assert set(splits(1.0).values()) == {"val"}
    for fraction in (0.0, 1.1):
        with pytest.raises(InputError, match=r"data\.val_fraction must be above 0 and at most 1"):
            splits(fraction)


def test_splits_that_the_data_name_are_kept(tmp_path):
    pictures = write_yolo_pose(tmp_path / "cows", train="train.txt", val=["images/all/picture_01.png"])
    (tmp_path / "cows" / "train.txt").write_text("./images/all/picture_00.png\nimages/all/picture_02.png\n")
    images = read_data(tmp_path / "cows", None, 0.1).content["images"]
    assert [(image["file_name"][-6:-4], image["split"]) for image in images] == [
        ("00", "train"),
        ("02", "train"),
        ("01", "val"),
    ]
    assert len(pictures) > 3


@pytest.mark.parametrize(
    ("train", "val"),
    [("images/train", "images/val"), ("../train/images", "../valid/images"), (["images/train"], "val.txt")],
)
def test_folders_of_yolo_splits(tmp_path, train, val):
    """As Ultralytics, Roboflow, and whoever has lists of files, lay them out."""
    write_yolo_pose(tmp_path / "all")
    root = tmp_path / "cows"
    for split, numbers in (("train", (0, 1, 2)), ("valid" if "valid" in val else "val", (3, 4))):
        for kind, suffix in (("images", "png"), ("labels", "txt")):
            folder = root / split / kind if "valid" in val else root / kind / split
            folder.mkdir(parents=True)
            for number in numbers:
                shutil.copy(tmp_path / "all" / kind / "all" / f"picture_{number:02}.{suffix}", folder)
    (root / "val.txt").write_text("./images/val/picture_03.png\nimages/val/picture_04.png\n")
    fields = {**yaml.safe_load((tmp_path / "all" / "data.yaml").read_text()), "train": train, "val": val}
    (root / "data.yaml").write_text(yaml.safe_dump(fields))
    content = read_data(root, None, 0.1).content
    assert [image["split"] for image in content["images"]] == 3 * ["train"] + 2 * ["val"]
    assert len(content["annotations"]) == 7
    fields["val"] = [val, train] if isinstance(train, str) else [val, *train]
    (root / "data.yaml").write_text(yaml.safe_dump(fields))
    with pytest.raises(InputError, match=r"picture_00\.png is in both train and val; take it out of one"):
        read_data(root, None, 0.1)


def test_coco_files_for_training_and_validation(tmp_path):
    write_coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    (tmp_path / "annotations.json").unlink()
    (tmp_path / "train.json").write_text(json.dumps(content))
    image = content["images"][3]
    people = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
    shutil.move(tmp_path / "photos" / image["file_name"], tmp_path / "photos" / "other.png")
    val = {**content, "images": [{**image, "id": 10, "file_name": "other.png"}]}
    val["annotations"] = [{**entry, "image_id": 10} for entry in people]
    (tmp_path / "val.json").write_text(json.dumps(val))
    content["images"].remove(image)
    content["annotations"] = [entry for entry in content["annotations"] if entry not in people]
    (tmp_path / "train.json").write_text(json.dumps(content))
    source = FolderPose(root=tmp_path, split="val", name="val", skeleton=skeleton_of(tmp_path))
    assert len(source) == 1
    assert len(source.load(0).bboxes) == len(people)
    assert source.load(0).image_id != 10  # which is also one of the other file's
    val["categories"] = [{"id": 3, "keypoints": ["nose"]}]
    (tmp_path / "val.json").write_text(json.dumps(val))
    with pytest.raises(InputError, match=r"val\.json: category 3 has 1 keypoints .* in the other file 5"):
        read_data(tmp_path, None, 0.1)


def test_the_name_of_a_file_says_more_than_that_of_its_folder(tmp_path):
    root = tmp_path / "cows"
    pictures = write_coco(root)
    content = json.loads((root / "annotations.json").read_text())
    (root / "annotations.json").unlink()
    (root / "trainval").mkdir()
    for split, images in (("train", content["images"][:8]), ("val", content["images"][8:])):
        chosen = {image["id"] for image in images}
        people = [entry for entry in content["annotations"] if entry["image_id"] in chosen]
        (root / "trainval" / f"{split}.json").write_text(
            json.dumps({**content, "images": images, "annotations": people})
        )
    images = read_data(root, None, 0.1).content["images"]
    assert [image["split"] for image in images] == ["train"] * 8 + ["val"] * (len(pictures) - 8)


def test_all_images_to_validate_leave_none_to_train(tmp_path):
    write_coco(tmp_path)
    with pytest.raises(InputError, match=r"no image is for train; data\.val_fraction=1"):
        FolderPose(root=tmp_path, **{**ALL, "split": "train"}, skeleton=skeleton_of(tmp_path))


def test_pairs_of_yolo_hold_for_joints_that_are_named_otherwise(tmp_path):
    write_yolo_pose(tmp_path)
    skeleton = skeleton_of(tmp_path, joints=["Nase", "linke Pfote", "rechte Pfote", "Schwanz", "Horn"])
    assert skeleton.flip_pairs == (("linke Pfote", "rechte Pfote"),)


def test_limbs_hold_for_joints_that_are_named_otherwise(tmp_path, monkeypatch):
    write_coco(tmp_path)
    monkeypatch.chdir(tmp_path)
    skeleton = skeleton_of(".", joints=list("abcde"))
    assert skeleton.limbs == (("a", "e"), ("b", "d"))
    assert skeleton.name == tmp_path.name


def test_spellings_of_coco_joints_are_understood(tmp_path):
    write_labelme(tmp_path)
    spelt = {"left_paw": "LShoulder", "right_paw": "shoulder right", "tail": "leftEye", "horn": "eye.R", "nose": "Nose"}
    for file in tmp_path.glob("*.json"):
        text = file.read_text()
        for joint, other in spelt.items():
            text = text.replace(f'"{joint}"', f'"{other}"')
        file.write_text(text)
    skeleton = skeleton_of(tmp_path)
    assert set(skeleton.joints) == {"left_shoulder", "right_shoulder", "left_eye", "right_eye", "nose"}
    assert set(skeleton.flip_pairs) == {("left_shoulder", "right_shoulder"), ("left_eye", "right_eye")}
    assert dict(zip(skeleton.joints, skeleton.oks_sigmas, strict=True))["left_eye"] == 0.025
    source = FolderPose(root=tmp_path, skeleton=COCO17, **ALL)  # forced: matched by name
    assert source.load(0).annotated.sum() == 5


def test_seventeen_points_that_mirror_as_cocos_are_cocos(tmp_path):
    keypoints = " ".join(["0.5 0.5 2"] * 17)
    for flip_idx, joints in ((list(COCO17.flip_indices), COCO17.joints), (list(range(17)), ("keypoint_0",))):
        root = tmp_path / str(len(joints))
        write_yolo_pose(root, kpt_shape=[17, 3], flip_idx=flip_idx, kpt_names=None)
        for file in (root / "labels").rglob("*.txt"):
            file.write_text(f"0 0.5 0.5 0.2 0.2 {keypoints}\n")
        assert skeleton_of(root).joints[: len(joints)] == joints
    assert skeleton_of(root, joints="coco17") == COCO17
    mine = [f"joint {number}" for number in range(17)]
    assert skeleton_of(root, joints=mine).joints == tuple(mine)
    assert FolderPose(root=root, skeleton=COCO17, joints="coco17", **ALL).load(0).annotated.all()


def test_yolo_without_flags_labels_what_is_not_at_the_origin(tmp_path):
    pictures = write_yolo_pose(tmp_path, kpt_shape=[5, 2])
    for picture in pictures[:-1]:
        lines = [yolo_line(animal, numbers=2) for animal in picture.animals]
        (tmp_path / "labels" / "all" / picture.name).with_suffix(".txt").write_text("\n".join(lines))
    source = FolderPose(root=tmp_path, skeleton=skeleton_of(tmp_path), **ALL)
    np.testing.assert_array_equal(
        source.load(1).visibility, np.where(pictures[1].animals[0].flags > 0, 2, 0)[None].repeat(2, 0)
    )


def test_images_may_be_links(tmp_path):
    """Labels are where the link is, not beside the image it leads to."""
    write_yolo_pose(tmp_path / "cows")
    image = tmp_path / "cows" / "images" / "all" / "picture_00.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    assert len(read_data(tmp_path / "cows", None, 0.1).content["annotations"]) == 16


def test_sigmas_of_repeated_annotations(tmp_path):
    """Annotators who are off by sigma * sqrt(area) in root mean square, as COCO measures it."""
    pictures = draw(tmp_path, count=61)
    rng = np.random.default_rng(1)
    scale, sigma = (0.53 * 56 * 80) ** 0.5, 0.06
    tasks = []
    for number, picture in enumerate(pictures):
        task = label_studio_task(number, picture)
        task["annotations"] = [label_studio_task(number, picture)["annotations"][0] for _ in range(3)]
        for annotation in task["annotations"]:
            for region in annotation["result"]:
                if region["type"] == "keypointlabels" and region["value"]["keypointlabels"] != ["horn"]:
                    off = rng.normal(0, sigma * scale / 2**0.5, 2)
                    region["value"]["x"] += 100 * off[0] / SIZE[1]
                    region["value"]["y"] += 100 * off[1] / SIZE[0]
        tasks.append(task)
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    skeleton = skeleton_of(tmp_path)
    found = dict(zip(skeleton.joints, skeleton.oks_sigmas, strict=True))
    assert found["tail"] == pytest.approx(sigma, rel=0.15)
    assert found["nose"] == 0.026  # COCO's
    assert found["horn"] == 0.025  # nobody is exact
    source = FolderPose(root=tmp_path, skeleton=skeleton, **ALL)
    assert sum(len(source.load(index).bboxes) for index in range(61)) == sum(len(each.animals) for each in pictures)
    (tmp_path / "tasks.json").write_text(json.dumps(tasks[:3]))
    assert dict(zip(skeleton.joints, skeleton_of(tmp_path).oks_sigmas, strict=True))["tail"] == 0.067  # too few


def test_images_are_turned_as_viewers_show_them(tmp_path):
    """Phones store what is upright lying on its side, and say so; tools show it, and save coordinates, upright."""
    pictures = write_yolo_pose(tmp_path)
    path = tmp_path / "images" / "all" / pictures[0].name
    upright = cv2.imread(str(path))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    lying = Image.fromarray(np.rot90(upright)[..., ::-1].copy())
    path.unlink()
    lying.save(path.with_suffix(".jpg"), exif=exif, quality=100, subsampling=0)
    source = FolderPose(root=tmp_path, skeleton=skeleton_of(tmp_path), **ALL)
    sample = next(each for each in map(source.load, range(len(source))) if each.image_id == 1)
    assert sample.image.shape == upright.shape
    assert np.abs(sample.image.astype(int) - upright).mean() < 3
    np.testing.assert_allclose(sample.keypoints[0], pictures[0].animals[0].keypoints, atol=1e-3)

    pack({"cows": source}, tmp_path / "set", shard_mb=1)
    sharded = ShardedImages(
        shards=str(tmp_path / "set"), cache_dir=tmp_path, name="cows", skeleton=source.skeleton, drop_empty=False
    )
    packed = next(each for each in map(sharded.load, range(len(sharded))) if each.image_id == 1)
    np.testing.assert_array_equal(packed.image, sample.image)


def first_label(root):
    return root / "labels" / "all" / "picture_00.txt"


def edit(file, change):
    file.write_text(change(file.read_text()))


BROKEN = {
    "no image": (lambda root: shutil.rmtree(root / "images"), r"data\.yaml: train: there is no \S*images/all"),
    "empty": (lambda root: shutil.rmtree(root) or root.mkdir(), "no annotations of a known format.*Found: nothing"),
    "orphan": (
        lambda root: (root / "images" / "all" / "picture_00.png").unlink(),
        r"picture_00\.txt: there is no image picture_00\.\* in",
    ),
    "short line": (
        lambda root: edit(first_label(root), lambda text: text.rpartition(" ")[0]),
        r"picture_00\.txt, line 1: 19 numbers, but kpt_shape: \[5, 3\] of data\.yaml makes it 20",
    ),
    "class": (
        lambda root: edit(first_label(root), lambda text: "7" + text[1:]),
        r"picture_00\.txt, line 1: class 7 is none of data\.yaml: names has \{0: 'cow'\}",
    ),
    "nan": (
        lambda root: edit(first_label(root), lambda text: text.replace("0 ", "0 nan ", 1).rpartition(" ")[0]),
        r"picture_00\.txt, line 1: nan is no finite number",
    ),
    "pixels": (
        lambda root: edit(first_label(root), lambda text: text.replace("0 0", "0 40", 1)),
        r"picture_00\.txt, line 1: 40\.\d+ is outside 0\.\.1",
    ),
    "words": (
        lambda root: edit(first_label(root), lambda text: text.replace("0 ", "0 x", 1)),
        "line 1: could not conv",
    ),
    "flag": (
        lambda root: edit(first_label(root), lambda text: text.strip()[:-1] + "5"),
        "third number .* is 0, 1 or 2",
    ),
    "flip_idx": (
        lambda root: edit(root / "data.yaml", lambda text: text.replace("- 4\n", "- 0\n")),
        r"data\.yaml: flip_idx must say for each of the 5 keypoints",
    ),
    "kpt_shape": (
        lambda root: edit(root / "data.yaml", lambda text: text.replace("kpt_shape:\n- 5", "kpt_shape:\n- 0")),
        r"data\.yaml: kpt_shape must be \[number",
    ),
    "names": (
        lambda root: edit(root / "data.yaml", lambda text: text.replace("  - horn\n", "")),
        r"data\.yaml: kpt_names: class 0 \(cow\) needs 5 names",
    ),
    "all at once": (
        lambda root: [edit(file, lambda text: "7" + text[1:]) for file in (root / "labels").rglob("*.txt")],
        r"picture_00\.txt, line 1: class 7 (.|\n)*picture_09\.txt, line 1: class 7 .*\nand 1 more$",
    ),
    "no labels": (lambda root: shutil.rmtree(root / "labels"), r"no labels; those of \S+ belong into \S+/labels/all/"),
    "encoding": (lambda root: first_label(root).write_bytes(b"0 \xf6"), r"picture_00\.txt: not text in UTF-8"),
    "class names": (
        lambda root: edit(root / "data.yaml", lambda text: text.replace("names:\n  0: cow", "names: cow")),
        r"data\.yaml: names must be a list",
    ),
    "two formats": (write_labelme, "annotations of several formats, yolo_pose, labelme; choose"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path, kind):
    root = tmp_path / "cows"
    write_yolo_pose(root)
    damage, message = BROKEN[kind]
    damage(root)
    with pytest.raises(InputError, match=message):
        skeleton_of(root)


def test_text_files_may_begin_with_a_byte_order_mark(tmp_path):
    write_yolo_pose(tmp_path, train="train.txt", val=None)
    (tmp_path / "train.txt").write_text("\ufeffimages/all/picture_00.png\r\nimages/all/picture_01.png\r\n", "utf-8")
    first_label(tmp_path).write_text("\ufeff" + first_label(tmp_path).read_text(), "utf-8")
    assert len(read_data(tmp_path, None, 0.1).content["annotations"]) == 3


def test_hidden_files_are_no_data(written):
    """Archives of macOS have a hidden twin of every file."""
    _, root, pictures = written
    for file in [file for file in root.rglob("*") if file.is_file()]:
        twin = root / "__MACOSX" / file.relative_to(root).with_name(f"._{file.name}")
        twin.parent.mkdir(parents=True, exist_ok=True)
        twin.write_bytes(b"\0\5\x16\7")
        cached = root / ".cache" / file.relative_to(root)
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, cached)
    assert len(read_data(root, None, 0.1).content["images"]) == len(pictures)


@pytest.mark.parametrize("text", ["{ // settings", "[]"])
def test_other_json_files_do_not_matter(tmp_path, text):
    write_yolo_pose(tmp_path)
    (tmp_path / "settings.json").write_text(text)
    assert len(read_data(tmp_path, None, 0.1).content["images"]) == 12


def test_umlauts_match_however_they_are_encoded(tmp_path):
    write_coco(tmp_path)
    file = tmp_path / "annotations.json"
    (tmp_path / "photos" / "picture_00.png").rename(tmp_path / "photos" / unicodedata.normalize("NFD", "Größe.png"))
    edit(file, lambda text: text.replace("picture_00.png", unicodedata.normalize("NFC", "Größe.png")))
    assert len(FolderPose(root=tmp_path, skeleton=skeleton_of(tmp_path), **ALL)) == 12


ODD_COCO = {  # what replaces something of the third annotation, image or category, and what training says
    "image_id": ("annotations", {"image_id": 4711}, "annotation 2: image_id 4711 is not among the images"),
    "list as image_id": ("annotations", {"image_id": [1]}, r"annotation number \d: image_id \[1\] must be an integer"),
    "text as image_id": ("annotations", {"image_id": "x"}, r"annotation number \d: image_id 'x' must be an integer"),
    "list as category": ("annotations", {"category_id": [1]}, r"category_id \[1\] must be an integer"),
    "words": ("annotations", {"keypoints": ["a"] * 15}, "annotation 2: keypoints must be numbers, got "),
    "no list": ("annotations", {"keypoints": 5}, "annotation 2: 'keypoints' must be a list of numbers, got 5"),
    "box of words": ("annotations", {"bbox": ["a"] * 4}, "annotation 2: bbox must be numbers, got "),
    "number as box": ("annotations", {"bbox": 5}, r"annotation 2: bbox must be \[x, y, width, height\], got 5"),
    "area": ("annotations", {"area": "large"}, "annotation 2: area must be numbers, got 'large'"),
    "list as area": ("annotations", {"area": []}, r"annotation 2: area must be numbers, got \[\]"),
    "iscrowd": ("annotations", {"iscrowd": "0"}, "annotation 2: iscrowd must be 0 or 1, got '0'"),
    "doubled id": ("images", {"id": 10}, "two image entries have id 10"),
    "no name": ("images", {"file_name": None}, "image 12: file_name must be text, the name of a file, got None"),
    "text as width": ("images", {"width": "128"}, "image 12: width must be a whole number of px, got '128'"),
    "negative height": ("images", {"height": -1}, "image 12: height must be a whole number of px, got -1"),
    "list as id": ("images", {"id": [1]}, r"image number \d: id \[1\] must be an integer"),
    "category": ("categories", {"id": None}, "category number 0: id must be a whole number"),
    "joints": ("categories", {"keypoints": 5}, "category number 0: .* keypoints a list of names; got 3 and 5"),
}


@pytest.mark.parametrize("kind", ODD_COCO)
def test_odd_entries_of_coco_files_are_refused_by_name(tmp_path, kind):
    write_coco(tmp_path)
    field, change, message = ODD_COCO[kind]
    content = json.loads((tmp_path / "annotations.json").read_text())
    content[field][min(2, len(content[field]) - 1)].update(change)
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        FolderPose(root=tmp_path, split="train", name="cows", skeleton=skeleton_of(tmp_path), drop_empty=False)


@pytest.mark.parametrize("skeleton", [5, [1, 2], [[1]], [["a", "b"]], [[0, 1]]])
def test_limbs_that_are_none_are_left_out(tmp_path, skeleton, caplog):
    write_coco(tmp_path)
    content = json.loads((tmp_path / "annotations.json").read_text())
    content["categories"][0]["skeleton"] = skeleton
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    assert skeleton_of(tmp_path).limbs == ()
    assert "skeleton must be pairs of joints, counted from 1" in caplog.text


def test_a_missing_folder_or_an_unknown_format(tmp_path):
    with pytest.raises(InputError, match=r"data\.root: there is no file or folder"):
        skeleton_of(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"data\.format: 'yolo' is unknown; choose one of coco, yolo_pose, cvat"):
        skeleton_of(tmp_path, format="yolo")


@pytest.mark.parametrize("format", ["coco", "cvat", "label_studio", "labelme"])
def test_a_missing_image_is_named(tmp_path, format):
    WRITERS[format](tmp_path)
    next(tmp_path.rglob("picture_03.png")).unlink()
    message = r"picture_03\.png: missing" if format == "coco" else r"there is no image (0123abcd-)?picture_03\.png in"
    with pytest.raises(InputError, match=message):
        FolderPose(root=tmp_path, skeleton=skeleton_of(tmp_path), **ALL)


def test_keypoints_of_classes_are_put_together(tmp_path):
    """Two classes with different joints are one skeleton; what a class lacks is not annotated."""
    write_coco(tmp_path)
    file = tmp_path / "annotations.json"
    content = json.loads(file.read_text())
    content["categories"].append({"id": 4, "name": "bird", "keypoints": ["nose", "wing"]})
    content["categories"].append({"id": 5, "name": "tree"})
    content["annotations"][0] |= {"category_id": 4, "keypoints": [20, 20, 2, 30, 30, 2]}
    content["annotations"][1] |= {"category_id": 5, "keypoints": []}
    file.write_text(json.dumps(content))
    skeleton = skeleton_of(tmp_path)
    assert skeleton.joints == (*JOINTS, "wing")
    source = FolderPose(root=tmp_path, skeleton=skeleton, **ALL)
    np.testing.assert_array_equal(source.load(0).annotated, [[True, False, False, False, False, True]])
    assert len(source.load(1).bboxes) == 1  # the tree is left out
    assert isinstance(skeleton, KeypointSet)


def test_photographs_of_coco(shared_dir):
    """A folder of COCO itself: ids, joints and people as its two files have them."""
    root = shared_dir / "data" / "coco"
    skeleton = skeleton_of(root)
    assert skeleton is COCO17
    for split in ("train", "val"):
        found = FolderPose(root=root, split=split, name=split, skeleton=skeleton)
        file = root / "annotations" / f"person_keypoints_{split}2017.json"
        named = CocoPose(annotation_file=file, image_dir=root / f"{split}2017", name=split, skeleton=skeleton)
        assert len(found) == len(named)
        one, other = found.load(3), named.load(3)
        assert one.image_id == other.image_id
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_a_size_that_is_none_is_named(tmp_path):
    write_labelme(tmp_path)
    file = tmp_path / "picture_01.json"
    for height in (["480"], -1, 2.5):
        file.write_text(json.dumps({**json.loads(file.read_text()), "imageHeight": height, "imageWidth": 640}))
        with pytest.raises(InputError, match=r"picture_01\.json: imageHeight and imageWidth must be whole numbers"):
            read_data(tmp_path, None, 0.5)


def test_names_that_no_file_can_have(tmp_path):
    """The system refuses them, which is another error than that there is no such file."""
    long = "a" * 300 + ".png"
    write_labelme(tmp_path / "labelme")
    file = tmp_path / "labelme" / "picture_01.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "imagePath": long}))
    with pytest.raises(InputError, match=f"picture_01.json: there is no image {long}"):
        read_data(tmp_path / "labelme", None, 0.5)
    write_yolo_pose(tmp_path / "yolo", path="a" * 300)
    read_data(tmp_path / "yolo", None, 0.5)  # images are beside data.yaml
    write_yolo_pose(tmp_path / "nowhere", train="b" * 300, val=None)
    with pytest.raises(InputError, match=r"data\.yaml: train: there is no"):
        read_data(tmp_path / "nowhere", None, 0.5)

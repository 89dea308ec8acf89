"""Small data sets with five keypoints in the formats that annotation tools write, with a spot at every keypoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import yaml

JOINTS = ("nose", "left_paw", "right_paw", "tail", "horn")
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255))
SIZE = (96, 128)  # height, width


@dataclass
class Animal:
    """Keypoints (5, 2) px, flags (5,), box (x, y, width, height)."""

    keypoints: np.ndarray
    flags: np.ndarray
    box: tuple[int, int, int, int]


@dataclass
class Picture:
    name: str
    animals: list[Animal]


def draw(folder: Path, count: int = 12) -> list[Picture]:
    """Writes images with one or two animals beside each other, one in four hidden in part; the last is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(count):
        image = np.full((*SIZE, 3), 114, dtype=np.uint8)
        animals = []
        for place in range(0 if number == count - 1 else 1 + number % 2):
            box = (4 + 64 * place, 6, 56, 80)
            cells = rng.permutation(12)[:5]  # spots do not cover one another
            keypoints = np.stack([box[0] + 8 + 16 * (cells % 3), box[1] + 10 + 18 * (cells // 3)], axis=1).astype(float)
            flags = np.array([2, 2, 1 if number % 4 == 0 else 2, 2, 0 if number % 4 == 1 else 2])
            for (x, y), flag, colour in zip(keypoints.astype(int).tolist(), flags, COLOURS, strict=True):
                if flag:
                    cv2.circle(image, (x, y), 3, colour, -1)
            keypoints[flags == 0] = 0
            animals.append(Animal(keypoints, flags, box))
        name = f"picture_{number:02}.png"
        cv2.imwrite(str(folder / name), image)
        pictures.append(Picture(name, animals))
    return pictures


def labeled(animal: Animal) -> list[tuple[str, float, float, int]]:
    return [
        (joint, *point, int(flag))
        for joint, point, flag in zip(JOINTS, animal.keypoints.tolist(), animal.flags, strict=True)
        if flag
    ]


def write_coco(root: Path) -> list[Picture]:
    pictures = draw(root / "photos")
    content = {
        "images": [
            {"id": 10 + number, "file_name": picture.name, "height": SIZE[0], "width": SIZE[1]}
            for number, picture in enumerate(pictures)
        ],
        "annotations": [
            {
                "image_id": 10 + number,
                "category_id": 3,
                "bbox": animal.box,
                "keypoints": np.column_stack([animal.keypoints, animal.flags]).ravel().tolist(),
            }
            for number, picture in enumerate(pictures)
            for animal in picture.animals
        ],
        "categories": [{"id": 3, "name": "cow", "keypoints": JOINTS, "skeleton": [[1, 5], [2, 4]]}],
    }
    for number, annotation in enumerate(content["annotations"]):
        annotation["id"] = number
    (root / "annotations.json").write_text(json.dumps(content))
    return pictures


def yolo_line(animal: Animal, numbers: int = 3) -> str:
    x, y, width, height = animal.box
    scale = np.array([SIZE[1], SIZE[0]])
    box = [(x + width / 2) / SIZE[1], (y + height / 2) / SIZE[0], width / SIZE[1], height / SIZE[0]]
    points = np.column_stack([animal.keypoints / scale, animal.flags])[:, :numbers]
    return " ".join(map(str, [0, *box, *points.ravel()]))


def write_yolo_pose(root: Path, **changes: object) -> list[Picture]:
    pictures = draw(root / "images" / "all")
    labels = root / "labels" / "all"
    labels.mkdir(parents=True)
    for picture in pictures:
        if picture.animals:
            lines = [yolo_line(animal) for animal in picture.animals]
            (labels / picture.name).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    fields = {
        "path": ".",
        "train": "images/all",
        "val": "images/all",
        "kpt_shape": [5, 3],
        "flip_idx": [0, 2, 1, 3, 4],
        "names": {0: "cow"},
        "kpt_names": {0: list(JOINTS)},
    }
    (root / "data.yaml").write_text(yaml.safe_dump({**fields, **changes}))
    return pictures


def write_cvat(root: Path) -> list[Picture]:
    pictures = draw(root / "images")
    labels = "".join(f"<label><name>{joint}</name><type>points</type><parent>cow</parent></label>" for joint in JOINTS)
    circles = "".join(
        f'<circle data-type="element node" data-node-id="{n}" data-label-name="{joint}"></circle>'
        for n, joint in enumerate(JOINTS, 1)
    )
    svg = circles + '<line data-type="edge" data-node-from="1" data-node-to="5"></line>'
    svg = svg.replace("<", "&lt;").replace(">", "&gt;")
    images = []
    for number, picture in enumerate(pictures):
        shapes = []
        for group, animal in enumerate(picture.animals, 1):
            x, y, width, height = animal.box
            shapes.append(
                f'<box label="outline" xtl="{x}" ytl="{y}" xbr="{x + width}" ybr="{y + height}" group_id="{group}"/>'
            )
            points = "".join(
                f'<points label="{joint}" outside="{int(flag == 0)}" occluded="{int(flag == 1)}" points="{px},{py}"/>'
                for joint, (px, py), flag in zip(JOINTS, animal.keypoints.tolist(), animal.flags, strict=True)
            )
            shapes.append(f'<skeleton label="cow" group_id="{group}">{points}</skeleton>')
        images.append(
            f'<image id="{number}" name="{picture.name}" width="{SIZE[1]}" height="{SIZE[0]}">{"".join(shapes)}</image>'
        )
    (root / "annotations.xml").write_text(
        "<annotations><version>1.1</version><meta><task><labels>"
        f"<label><name>cow</name><type>skeleton</type><svg>{svg}</svg></label>{labels}"
        f"</labels></task></meta>{''.join(images)}</annotations>"
    )
    return pictures


def label_studio_task(number: int, picture: Picture) -> dict:
    size = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0}
    result: list[dict] = []
    for place, animal in enumerate(picture.animals):
        x, y, width, height = animal.box
        box = {"x": x / SIZE[1], "y": y / SIZE[0], "width": width / SIZE[1], "height": height / SIZE[0]}
        value = {**{field: 100 * share for field, share in box.items()}, "rectanglelabels": ["cow"]}
        result.append({"id": f"box{place}", "type": "rectanglelabels", "value": value, **size})
        for joint, px, py, flag in labeled(animal):
            region = {"id": f"{joint}{place}", **size}
            value = {"x": 100 * px / SIZE[1], "y": 100 * py / SIZE[0], "width": 0.5, "keypointlabels": [joint]}
            result.append({**region, "type": "keypointlabels", "value": value, "parentID": f"box{place}"})
            if flag == 1:
                result.append({**region, "type": "choices", "value": {"choices": ["Occluded"]}})
    annotation = {"id": number, "result": result, "was_cancelled": False, "ground_truth": False}
    return {"id": number, "data": {"image": f"/data/upload/1/0123abcd-{picture.name}"}, "annotations": [annotation]}


def write_label_studio(root: Path) -> list[Picture]:
    pictures = draw(root / "photos")
    tasks = [label_studio_task(number, picture) for number, picture in enumerate(pictures)]
    (root / "project-1.json").write_text(json.dumps(tasks))
    return pictures


def write_labelme(root: Path) -> list[Picture]:
    pictures = draw(root)
    for picture in pictures:
        shapes = []
        for animal in picture.animals:  # no groups: points belong to the box around them
            x, y, width, height = animal.box
            corners = [[x + width, y], [x, y + height]]
            shapes.append({"label": "cow", "points": corners, "group_id": None, "shape_type": "rectangle", "flags": {}})
            for joint, px, py, flag in labeled(animal):
                shape = {"label": joint, "points": [[px, py]], "group_id": None, "shape_type": "point"}
                shapes.append({**shape, "flags": {"occluded": flag == 1}})
        content = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": picture.name, "imageData": None}
        content |= {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        (root / picture.name).with_suffix(".json").write_text(json.dumps(content))
    return pictures


WRITERS: dict[str, Callable[[Path], list[Picture]]] = {
    "coco": write_coco,
    "yolo_pose": write_yolo_pose,
    "cvat": write_cvat,
    "label_studio": write_label_studio,
    "labelme": write_labelme,
}

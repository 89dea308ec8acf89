"""Label Studio's JSON export."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from rtmo.data.coco_json import read_json
from rtmo.data.converters.image_index import ImageIndex, is_image, visible_files
from rtmo.data.converters.labelme import HIDDEN
from rtmo.data.converters.people import Person, Point, as_content, enclosing_box, gather, turned
from rtmo.data.image_file import read_size
from rtmo.errors import InputError

log = logging.getLogger(__name__)

_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")  # what Label Studio puts before the name of an uploaded file


def read_label_studio(path: Path, *, image_dir: Path | None = None) -> dict[str, Any]:
    """A JSON export ("JSON", not "JSON-MIN"), or all of a folder.

    Regions of ``KeyPointLabels`` are joints, named by their label; those of ``RectangleLabels`` are boxes, their label
    the class. A point belongs to the region it is a child of (``parentID``) or related to, else to the smallest box
    around it; it is hidden if it has a per-region choice ``hidden`` or ``occluded``.

    Of several annotations of a task the one marked as ground truth counts, else the first; the others tell how far
    annotators are apart (``repeats``). Tasks without any are left out, as are predictions and cancelled annotations;
    one that marks nothing shows nobody. Images are found by name, with or without the eight characters that Label
    Studio puts in front.

    Args:
        image_dir: Where images are, and what file names are relative to; None: the folder given.

    Raises:
        InputError: If an image is missing or a point belongs to nobody, with file and task.

    Reference: https://labelstud.io/guide/task_format, https://labelstud.io/tags/keypointlabels.
    """
    files = [path] if path.is_file() else visible_files(path, "*.json")
    index = ImageIndex(image_dir or (path.parent if path.is_file() else path))
    people: list[tuple[dict[str, Any], list[Person]]] = []
    tasks = skipped = 0
    for file in files:
        content = read_json(file)
        if not is_label_studio(content):
            log.warning("%s: not of Label Studio (no list of tasks with annotations), left out", file)
            continue
        for task in content:
            where = f"{file}, task {task.get('id')}"
            try:
                found = _task(task, tasks + 1, index, where)
            except (AttributeError, KeyError, TypeError) as error:  # a field of another kind, or missing
                raise InputError(f"{where}: not as Label Studio exports it ({error!r}); export it again") from error
            people += found
            tasks, skipped = (tasks + 1, skipped) if found else (tasks, skipped + 1)
    if skipped:
        log.info("%s: %d tasks without annotation, left out", path, skipped)
    return _split_off_repeats(as_content(people, {}, str(path)))


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON file is an export of Label Studio."""
    return (
        isinstance(content, list)
        and len(content) > 0
        and all(
            isinstance(task, dict) and isinstance(task.get("annotations"), list) and "data" in task for task in content
        )
    )


def _task(
    task: Mapping[str, Any], number: int, index: ImageIndex, where: str
) -> list[tuple[dict[str, Any], list[Person]]]:
    """The image and who is in it, for every annotation of a task that counts."""
    chosen = [each for each in task["annotations"] if not each.get("was_cancelled")]
    if not chosen:
        return []
    chosen.sort(key=lambda each: not each.get("ground_truth"))
    name = _file_name(task, index, where)
    image = {"id": number, "file_name": name, **_size(chosen, index.folder / name)}
    return [
        ({**image, "annotator": annotator}, _people(each.get("result") or [], image, where))
        for annotator, each in enumerate(chosen)
    ]


def _file_name(task: Mapping[str, Any], index: ImageIndex, where: str) -> str:
    data = task["data"]
    values = [data["image"]] if "image" in data else data.values()
    paths = [_path(value) for value in values if isinstance(value, str)]
    names = [path for path in paths if is_image(PurePosixPath(path).name)]
    if not names:
        raise InputError(f"{where}: its data {data} names no image; export tasks of images")
    try:
        return index.find(names[0], where)
    except InputError:
        plain = _UPLOAD.fullmatch(PurePosixPath(names[0]).name)
        if plain is None:
            raise
        return index.find(plain[1], where)


def _path(address: str) -> str:
    """The path of an image out of its address, such as ``/data/local-files/?d=photos/a.jpg``."""
    parts = urlsplit(address)
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _size(annotations: Sequence[Mapping[str, Any]], file: Path) -> dict[str, int]:
    """Height and width, which stand in every region, or else in the image."""
    regions = [region for each in annotations for region in each.get("result") or () if "original_width" in region]
    if not regions:
        height, width = read_size(file, displayed=True)
        return {"height": height, "width": width}
    return {"height": int(regions[0]["original_height"]), "width": int(regions[0]["original_width"])}


def _people(result: Sequence[Mapping[str, Any]], image: Mapping[str, Any], where: str) -> list[Person]:
    groups = _groups(result)
    hidden = {
        region["id"]
        for region in result
        if region.get("type") == "choices" and HIDDEN & {str(one).lower() for one in region["value"].get("choices", ())}
    }
    points, boxes = [], []
    for region in result:
        if region.get("type") not in ("keypointlabels", "rectanglelabels"):
            continue
        if region.get("image_rotation"):
            raise InputError(f"{where}: the image was turned while annotating; turn the file instead, and its labels")
        label, group = _label(region, where), groups[region["id"]]
        x, y = (_pixels(region, field, image, where) for field in ("x", "y"))
        if region["type"] == "keypointlabels":
            points.append(Point(label, x, y, 1 if region["id"] in hidden else 2, group))
        else:
            width, height = (_pixels(region, field, image, where) for field in ("width", "height"))
            corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
            turn = float(region["value"].get("rotation") or 0)  # around the first corner
            boxes.append(enclosing_box(label, turned(corners, corners[0], turn), group))
    return gather(points, boxes, where)


def _label(region: Mapping[str, Any], where: str) -> str:
    labels = region["value"].get(region["type"]) or []
    if len(labels) != 1:
        raise InputError(f"{where}: region {region['id']} has the labels {labels}; give it one")
    return str(labels[0])


def _pixels(region: Mapping[str, Any], field: str, image: Mapping[str, Any], where: str) -> float:
    """A coordinate in px; Label Studio has them in percent of the image."""
    try:
        percent = float(region["value"][field])
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{where}: region {region['id']}: {field} must be a number; got {region['value']}") from error
    return percent / 100 * float(image["width" if field in ("x", "width") else "height"])


def _groups(result: Sequence[Mapping[str, Any]]) -> dict[str, str | None]:
    """By region, its group: regions that are parent and child or related, or None for one that stands alone."""
    links = [(region["id"], region["parentID"]) for region in result if region.get("parentID")]
    links += [(region["from_id"], region["to_id"]) for region in result if region.get("type") == "relation"]
    group = {region["id"]: region["id"] for region in result if "id" in region}
    for a, b in links:
        if a in group and b in group and group[a] != group[b]:
            old, new = group[a], group[b]
            group = {region: new if root == old else root for region, root in group.items()}
    linked = {region for link in links for region in link}
    return {region: root if region in linked else None for region, root in group.items()}


def _split_off_repeats(content: dict[str, Any]) -> dict[str, Any]:
    """Only the annotations that count; those of all annotators of tasks with several become ``repeats``."""
    several = {image["id"] for image in content["images"] if image["annotator"] > 0}
    return {
        "images": [image for image in content["images"] if image["annotator"] == 0],
        "annotations": [row for row in content["annotations"] if row["annotator"] == 0],
        "categories": content["categories"],
        "repeats": [row for row in content["annotations"] if row["image_id"] in several],
    }

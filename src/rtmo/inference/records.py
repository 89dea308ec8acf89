"""Predictions on disk: COCO's result format and tables, written person by person and complete or not there at all."""

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

from rtmo.inference.sources import Frame, Source
from rtmo.skeletons import KeypointSet
from rtmo.types import Poses

PERSON = 1  # COCO's category
_COCO_NAME = re.compile(r"(?:COCO_\w+_)?(\d+)")


def image_numbering(sources: Sequence[Source]) -> Callable[[Frame], int]:
    """Gives each frame, in order, the ``image_id`` of its predictions.

    Images that all have numbers of their own for names, as COCO's (``000000000139.jpg``) and CrowdPose's, have these,
    so that predictions fit the annotations. Other frames are counted from 1.
    """
    matches = [_COCO_NAME.fullmatch(PurePosixPath(source.name).stem) for source in sources if source.kind == "image"]
    numbers = [int(match[1]) for match in matches if match]
    if len(numbers) == len(sources) == len(set(numbers)):
        by_name = dict(zip((source.name for source in sources), numbers, strict=True))
        return lambda frame: by_name[frame.source.name]
    counter = count(1)
    return lambda _: next(counter)


def describe(
    frame: Frame, image_id: int, poses: Poses, identities: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """The people of a frame, as COCO's result format has them: px to a hundredth, scores to five digits.

    Beside what COCO reads there is ``file_name``; of a video ``frame``, from 0; with tracking ``track_id``.
    """
    keypoints, keypoint_scores = poses.keypoints.tolist(), poses.keypoint_scores.tolist()
    in_video = {} if frame.number is None else {"frame": frame.number}
    people = []
    for person, ((x1, y1, x2, y2), score) in enumerate(zip(poses.bboxes.tolist(), poses.scores.tolist(), strict=True)):
        triples = zip(keypoints[person], keypoint_scores[person], strict=True)
        people.append(
            {
                "image_id": image_id,
                "file_name": frame.source.name,
                **in_video,
                **({} if identities is None else {"track_id": identities[person]}),
                "category_id": PERSON,
                "score": round(score, 5),
                "bbox": [round(value, 2) for value in (x1, y1, x2 - x1, y2 - y1)],
                "keypoints": [
                    value for (x, y), seen in triples for value in (round(x, 2), round(y, 2), round(seen, 5))
                ],
            }
        )
    return people


class _GrowingFile:
    """A text file that has its name only once it is complete; memory does not grow with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        # names of files may hold bytes that are no text
        self._stream = self._part.open("w", encoding="utf-8", errors="backslashreplace", newline="")

    def close(self) -> None:
        """Completes the file."""
        self._stream.close()
        os.replace(self._part, self.path)

    def discard(self) -> None:
        """Removes what was written."""
        with suppress(OSError):  # of a disk that is full
            self._stream.close()
        with suppress(FileNotFoundError):
            self._part.unlink()


class ResultsFile(_GrowingFile):
    """A JSON list in COCO's result format, an entry a line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._separator = "[\n"

    def write(self, people: Sequence[dict[str, Any]]) -> None:
        """Appends people as ``describe`` gives them."""
        for person in people:
            self._stream.write(self._separator + json.dumps(person))
            self._separator = ",\n"

    def close(self) -> None:
        self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")
        super().close()


class TableFile(_GrowingFile):
    """Comma-separated values: a row for each person of a frame, three columns for each joint."""

    FIELDS = ("file_name", "frame", "image_id", "track_id", "score")
    CORNERS = ("bbox_x", "bbox_y", "bbox_width", "bbox_height")

    def __init__(self, path: Path, skeleton: KeypointSet) -> None:
        super().__init__(path)
        joints = [f"{joint}_{part}" for joint in skeleton.joints for part in ("x", "y", "score")]
        self._rows = csv.writer(self._stream)
        self._rows.writerow((*self.FIELDS, *self.CORNERS, *joints))

    def write(self, people: Sequence[dict[str, Any]]) -> None:
        """Appends people as ``describe`` gives them; what one does not have is left empty."""
        for person in people:
            fields = [person.get(field, "") for field in self.FIELDS]
            self._rows.writerow((*fields, *person["bbox"], *person["keypoints"]))

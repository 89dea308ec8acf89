"""What can be wrong with a data set, how bad it is and what to do: one table, in the order of the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]

MAX_EXAMPLES = 3


@dataclass(frozen=True)
class Rule:
    """A kind of fault.

    Attributes:
        severity: error: training refuses it, learns from something false or is scored falsely. warning: training gets
            by, perhaps with less than there is. info: no fault.
        title: What is wrong, in a few words.
        advice: What the user does about it.
        repair: What ``--fix`` does about it in the copy; None: nothing, for only the user can tell.
    """

    severity: Severity
    title: str
    advice: str
    repair: str | None = None


RULES: dict[str, Rule] = {
    # the file as a whole
    "annotation_file": Rule("error", "annotations cannot be read", "do what the example says"),
    "joints_unnamed": Rule("error", "no category names its joints", "give joints=[...] in the order of the file"),
    "joints_foreign": Rule("error", "no joint is in the skeleton", "rename the joints, or choose skeleton=..."),
    "category_without_joints": Rule("warning", "category without joints", "name them if its annotations are people"),
    "category_empty": Rule("warning", "category without annotations", "remove it, or add what is missing"),
    # entries
    "category_fields": Rule(
        "error",
        "category id no whole number, or joints no list of names",
        "correct it",
        "numbers text, else drops it",
    ),
    "image_fields": Rule(
        "error", "image entry without file_name, or id no whole number", "correct it", "numbers text, else drops it"
    ),
    "image_id_doubled": Rule(
        "error", "image id used twice", "number images anew", "keeps the first of the same file, else drops all of it"
    ),
    "file_name_doubled": Rule(
        "warning", "file listed twice, each time with part of its people", "merge the entries", "merges them"
    ),
    "annotation_fields": Rule(
        "error", "id, image_id or category_id missing or no whole number", "correct it", "numbers text, else drops it"
    ),
    "annotation_id_doubled": Rule("error", "annotation id used twice", "number annotations anew", "gives a new id"),
    "orphan_image": Rule("error", "annotation of no image", "add the image, or remove it", "drops it"),
    "orphan_category": Rule("error", "annotation of no category", "add the category, or remove it", "drops it"),
    # image files
    "image_missing": Rule("error", "image file missing", "download it, or correct image_dir", "drops its entry"),
    "image_unreadable": Rule("error", "not an image, or damaged", "download it again", "drops its entry"),
    "image_truncated": Rule("error", "image file cut short", "download it again", "drops its entry"),
    "image_size": Rule(
        "error", "image is not of the size that its entry says", "annotate the file as it is stored", "drops its entry"
    ),
    "image_in_val": Rule("error", "training image is in val as well", "take it out of either", "drops it from train"),
    "content_doubled": Rule("warning", "same image under several names", "keep the one with the better labels"),
    # numbers of people
    "malformed": Rule(
        "error", "not the numbers that belong there", "write numbers", "reads numbers in quotes, else as if missing"
    ),
    "keypoint_count": Rule(
        "error", "wrong number of keypoints", "give x, y, visibility for every joint", "makes it an ignored region"
    ),
    "not_finite": Rule("error", "NaN or infinite number", "correct it", "unlabels the joint; box and area as missing"),
    "visibility_flag": Rule("error", "visibility is not 0, 1 or 2", "correct it", "unlabels the joint"),
    "box_negative": Rule(
        "error",
        "box of negative width or height",
        "give x, y, width, height",
        "takes the box of the joints, or drops it",
    ),
    "box_outside": Rule("error", "box outside the image", "correct it", "takes the box of the joints, or drops it"),
    "segmentation": Rule(
        "error", "outline unusable or of another image size", "correct it", "removes it; the box stands in"
    ),
    "area_negative": Rule("error", "negative area", "correct it", "takes 0.53 of the box"),
    "box_empty": Rule(
        "warning", "box of zero width or height", "correct it", "takes the box of the joints, or drops it"
    ),
    "box_beyond": Rule("warning", "box reaches beyond the image; training clips it", "check image and box", "clips it"),
    "joints_outside": Rule("warning", "labeled joint outside the image", "unlabel it", "unlabels it"),
    "joints_outside_box": Rule("warning", "labeled joint far outside its own box", "look with preview, correct either"),
    "area_missing": Rule(
        "warning", "no area, or 0; training takes 0.53 of the box", "give it in px^2", "takes 0.53 of the box"
    ),
    "num_keypoints": Rule("warning", "num_keypoints is not the number of labeled joints", "count them", "counts them"),
    # left and right
    "sides_reversed": Rule("warning", "left and right may be swapped throughout", "look with preview"),
    "sides_mixed": Rule("warning", "left and right may be swapped in some pairs", "look with preview"),
    # no faults
    "areas_absent": Rule("info", "no areas; training takes 0.53 of the box", "none needed: many formats have none"),
    "images_without_people": Rule("info", "images without people", "none needed: they are negatives, see drop_empty"),
}


@dataclass(frozen=True)
class Finding:
    """One kind of fault of one data set, with how often it was met.

    Attributes:
        kind: A key of ``RULES``.
        count: Entries that have it.
        examples: The first of them, each naming file or annotation and what is wrong.
    """

    kind: str
    count: int
    examples: tuple[str, ...]

    @property
    def rule(self) -> Rule:
        return RULES[self.kind]


class Findings:
    """Counts faults by kind and keeps the first examples of each."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str, count: int = 1) -> None:
        """Notes a fault, or several that one example speaks for."""
        assert kind in RULES, kind
        self._counts[kind] = self._counts.get(kind, 0) + count
        kept = self._examples.setdefault(kind, [])
        if example and len(kept) < MAX_EXAMPLES:
            kept.append(example)

    def add_all(self, kind: str, examples: Iterable[str], count: int) -> None:
        """Notes ``count`` faults; only as many examples are asked for as are kept."""
        for _, example in zip(range(min(count, MAX_EXAMPLES)), examples, strict=False):
            self.add(kind, example)
            count -= 1
        if count > 0:
            self.add(kind, "", count)

    def in_order(self) -> list[Finding]:
        """As in ``RULES``."""
        return [
            Finding(kind, self._counts[kind], tuple(self._examples[kind])) for kind in RULES if kind in self._counts
        ]

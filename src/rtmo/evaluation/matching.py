"""Which prediction found which person: the greedy matching by OKS that COCO's evaluation does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from rtmo.evaluation.pairs import Comparison, match

# Lower than any threshold of AP, so that a pose with many wrong joints is a person found badly, which can be looked
# into, and not one missed and one made up (Ronchi and Perona, ICCV 2017, and their tool).
FOUND_OKS = 0.1


@dataclass(frozen=True, slots=True)
class ImageMatch:
    """The predictions of an image, best first, and whom each found.

    Attributes:
        image_id: Of the ground truth.
        counted: Of its people, whom there is to find; not counted are crowds and people without labeled joints.
        rows: Predictions (score, x0, y0, s0, x1, ...), px.
        person: Index of the person each found, -1 for none.
        oks: With that person, 0..1; 0 for none.
    """

    image_id: int
    counted: Bool[np.ndarray, " G"]
    rows: Float[np.ndarray, "N D"]
    person: Int[np.ndarray, " N"]
    oks: Float[np.ndarray, " N"]

    @property
    def hits(self) -> Bool[np.ndarray, " N"]:
        """Predictions that found somebody who counts."""
        hits = self.person >= 0
        hits[hits] = self.counted[self.person[hits]]
        return hits

    @property
    def score(self) -> "ImageScore":
        """The numbers of the image."""
        hits = self.hits
        people, found = int(self.counted.sum()), int(hits.sum())
        return ImageScore(
            image_id=self.image_id,
            people=people,
            found=found,
            oks=float(self.oks[hits].sum()) / people if people else None,
            missed=people - found,
            false_positives=int((self.person < 0).sum()),
        )


@dataclass(frozen=True, slots=True)
class ImageScore:
    """How well the people of an image were found.

    Attributes:
        image_id: Of the ground truth.
        people: Labeled ones that are no crowd.
        found: Of these.
        oks: Mean over the people, 0 for a missed one; None without people.
        missed: People not found.
        false_positives: Predictions that found nobody, and no crowd or unlabeled person either.
    """

    image_id: int
    people: int
    found: int
    oks: float | None
    missed: int
    false_positives: int


def worst_first(matches: Sequence[ImageMatch]) -> list[ImageScore]:
    """Scores in the order of their OKS, ties by errors; an image without people stands where a perfect one does."""
    scores = [match.score for match in matches]
    return sorted(
        scores, key=lambda s: (1.0 if s.oks is None else s.oks, -(s.missed + s.false_positives), str(s.image_id))
    )


def match_images(compared: Comparison, min_oks: float = FOUND_OKS) -> list[ImageMatch]:
    """Gives predictions, best first, the free person of the highest OKS, from ``min_oks`` on.

    As in COCO's evaluation people come before crowds and the unlabeled, and a crowd may be found any number of times.
    """
    people, predictions, pairs = compared.people, compared.predictions, compared.pairs
    pair = match(compared, people.ignored, np.array([min_oks]))[:, 0]
    is_hit = pair >= 0
    person, oks = np.full(len(pair), -1), np.zeros(len(pair))
    person[is_hit] = pairs.people[pair[is_hit]]
    person[is_hit] -= people.first[people.images[person[is_hit]]]
    oks[is_hit] = pairs.oks[pair[is_hit]]
    of_people = np.split(~people.ignored, people.first[1:-1])
    of_predictions = (np.split(each, predictions.first[1:-1]) for each in (predictions.rows[:, :-1], person, oks))
    # split makes one part of nothing, also where there is no image
    return [ImageMatch(*parts) for parts in zip(compared.image_ids, of_people, *of_predictions, strict=False)]

"""The validation images that the network does worst on, for people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from rtmo.data.coco_json import write_json
from rtmo.drawing import prediction_panel, titled, write_image
from rtmo.evaluation.matching import ImageMatch, ImageScore, worst_first
from rtmo.training.callbacks.pictures import images_folder
from rtmo.training.module import PoseModule
from rtmo.types import Batch, Poses

WORST = "worst.json"  # in images/


class WorstImages(Callback):
    """Writes ``images/worst/<rank>_<image id>.png`` and ``images/worst.json`` after every validation.

    Chosen from all its images of ``data.val``, by the mean OKS of their people. The JSON file lists
    ``file`` and the fields of ``ImageScore`` of each, the worst first.

    Args:
        num_images: At most so many.
        score_thr: People and joints scored below are left out of the pictures; the scores count them.
        height: Of the pictures, px.
    """

    def __init__(self, *, num_images: int = 16, score_thr: float = 0.3, height: int = 360) -> None:
        self.num_images = num_images
        self.score_thr = score_thr
        self.height = height
        self._shown: list[int] = []  # image ids in the order of this rank's loader, in the last validation

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._shown = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if dataloader_idx == 0:
            self._shown += batch.image_ids

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not when training ends: a run that goes on after its last validation would have none to draw."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, PoseModule)
        matches = {match.image_id: match for match in pl_module.metrics["val"].matches()}  # gathers, as does the next
        shown: Any = pl_module.all_gather(torch.tensor(self._shown))
        places = _places(shown.view(trainer.world_size, -1).tolist())
        if trainer.is_global_zero:
            self._write(trainer, worst_first(list(matches.values()))[: self.num_images], matches, places)

    def _write(
        self,
        trainer: Trainer,
        scores: Sequence[ImageScore],
        matches: Mapping[int, ImageMatch],
        places: Mapping[int, int],
    ) -> None:
        source = trainer.datamodule.val_source  # type: ignore[attr-defined]
        folder = images_folder(trainer)
        for earlier in (folder / "worst").glob("*.png"):
            earlier.unlink()
        listed = []
        for rank, score in enumerate(scores):
            file = f"worst/{rank:02d}_{score.image_id}.png"
            panel = prediction_panel(
                source.load(places[score.image_id]),
                _poses(matches[score.image_id], self.score_thr),
                skeleton=source.skeleton,
                score_thr=self.score_thr,
                keypoint_thr=self.score_thr,
                height=self.height,
            )
            write_image(folder / file, titled(panel, _caption(score)))
            listed.append({"file": file, **asdict(score)})
        write_json(folder / WORST, listed, label=f"callbacks.worst: {folder / WORST}", indent=2)


def _places(shown: Sequence[Sequence[int]]) -> dict[int, int]:
    """Index in the source by image id: the sampler deals images to the ranks in turn, and at the end some once more."""
    places: dict[int, int] = {}
    for place, image_id in enumerate(image_id for dealt in zip(*shown, strict=True) for image_id in dealt):
        places.setdefault(image_id, place)
    return places


def _poses(match: ImageMatch, keypoint_thr: float) -> Poses:
    """The predictions of an image. The metric keeps no boxes: these hold the joints that are drawn, else all."""
    rows = torch.from_numpy(match.rows).float()
    joints = rows[:, 1:].unflatten(1, (-1, 3))
    keypoints, scores = joints[..., :2], joints[..., 2]
    hidden = scores < keypoint_thr
    hidden = (hidden & ~hidden.all(dim=1, keepdim=True))[..., None]
    corners = keypoints.masked_fill(hidden, torch.inf).amin(1), keypoints.masked_fill(hidden, -torch.inf).amax(1)
    return Poses(torch.cat(corners, dim=-1), rows[:, 0], keypoints, scores)


def _caption(score: ImageScore) -> str:
    oks = "nobody to find" if score.oks is None else f"OKS {score.oks:.2f}, {score.found} of {score.people} found"
    return f"image {score.image_id}: {oks}, {score.false_positives} found that are nobody"

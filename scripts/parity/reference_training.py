"""Training steps of the reference, timed. Runs in its own environment; train_speed.py starts it.

It answers requests as rtmo.benchmark.workers describes them. Network, losses, optimizer and average are those of the
published RTMO-s in phase B, which the package contains; images are random, people are read from files.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import reference  # isort: skip  (first: it stands in for what mmpose imports)
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample
from reference_worker import serve
from safetensors.torch import load_file
from torch import Tensor

PHASE = "B"
RATE = 1e-6  # as in the first steps of its warm-up


class Training:
    """Steps of RTMO-s; without ``backward`` assignment and losses alone, of what one forward pass gave.

    Args:
        folder: Of the people, a file for each number in an image.
        image_size: (height, width) in px.
        batch: Images.
        backward: Whether whole steps are made.
        people: In every image, where a request does not say.
    """

    def __init__(
        self, folder: str, image_size: list[int], batch: int, backward: bool, people: int | None = None
    ) -> None:
        torch.manual_seed(0)
        config, self.model = reference.build("rtmo_s")
        self.model.train()
        reference.enter_phase(self.model, config, PHASE)
        self.folder, self.backward, self.people = Path(folder), backward, people
        self.images = torch.randint(256, (batch, 3, *image_size)).float()
        self.times: dict[str, float] = {}
        head = self.model.head
        if not backward:
            maps = head.forward(self.model.extract_feat(self.images))
            levels = tuple([level.detach().requires_grad_() for level in each] for each in maps)
            head.forward, self.model.extract_feat = (lambda _: levels), (lambda _: None)
        self.model.extract_feat = self.timed(self.model.extract_feat, "forward")
        head.forward = self.timed(head.forward, "forward")
        head._get_targets = self.timed(head._get_targets, "assignment")
        self.optimizer = build_optim_wrapper(self.model, config.optim_wrapper)
        for group in self.optimizer.param_groups:
            group["lr"] = RATE
        self.optimizer.backward = self.timed(self.optimizer.backward, "backward")
        self.average = reference.average_of(self.model, config)

    def timed(self, call: Callable[..., Any], part: str) -> Callable[..., Any]:
        """The same, its time added to that of a part."""

        def timed_call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = call(*arguments, **options)
            self.times[part] = self.times.get(part, 0.0) + 1000 * (time.perf_counter() - start)
            return result

        return timed_call

    def run(self, people: int | None = None, batch: int | None = None) -> dict[str, Any]:
        """Milliseconds by part.

        Args:
            people: In every image; None: that of before.
            batch: That of before.
        """
        people = self.people if people is None else people
        samples = people_of(load_file(self.folder / f"{people}.safetensors"))
        self.times = {}
        moments = [time.perf_counter()]
        raw = self.model.loss(self.images, samples)
        moments.append(time.perf_counter())
        if self.backward:
            loss, _ = self.model.parse_losses(raw)
            self.optimizer.update_params(loss)
        moments.append(time.perf_counter())
        if self.backward:
            self.average.update_parameters(self.model)
        moments.append(time.perf_counter())
        losses, update, average = (1000 * (end - start) for start, end in itertools.pairwise(moments))
        times = {
            **self.times,
            "losses": losses - self.times["forward"] - self.times["assignment"],
            "optimizer": update - self.times.get("backward", 0.0),
            "EMA": average,
        }
        if not self.backward:
            times = {part: times[part] for part in ("assignment", "losses")}
        total = "without data" if self.backward else "step"
        return {"milliseconds": {**times, total: sum(times.values())}, "people": people * len(samples)}


def people_of(batch: dict[str, Tensor]) -> list[PoseDataSample]:
    """The people of a batch in the reference's records."""
    samples = []
    for bboxes, keypoints, visibility, areas in zip(
        *(batch[name] for name in ("bboxes", "keypoints", "visibility", "area")), strict=True
    ):
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            bboxes=bboxes,
            labels=torch.zeros(len(bboxes), dtype=torch.int8),
            keypoints=keypoints,
            keypoints_visible=(visibility > 0).float(),
            areas=areas,
        )
        samples.append(sample)
    return samples


if __name__ == "__main__":
    serve(Training)

"""What a worker process measures of training: steps by part as ``rtmo.train`` makes them, and losses by people."""

import queue
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from rtmo import config
from rtmo.benchmark.stopwatch import Stopwatch
from rtmo.losses.criterion import Criterion
from rtmo.models.rtmo import RTMO
from rtmo.skeletons import KeypointSet, keypoint_set
from rtmo.targets import build
from rtmo.train import KEYS
from rtmo.training.assembly import build_module, build_trainer
from rtmo.training.batch_size import random_people
from rtmo.training.callbacks.ema import EMA
from rtmo.training.module import PoseModule
from rtmo.training.run_plan import filled, plan_run
from rtmo.types import Batch

PARTS = ("data", "forward", "assignment", "losses", "backward", "optimizer", "EMA", "rest")
DATA, FORWARD, ASSIGNMENT, LOSSES, BACKWARD, OPTIMIZER, AVERAGE, REST = PARTS
WORK, STEP = "without data", "step"
PRECISIONS = {"32": "float32", "bf16": "bfloat16", "16": "float16", "64": "float64"}  # by start of Lightning's names
ANY_LENGTH = 10_000  # images of a run that is never trained to its end
# Nothing of a run but its steps, all of one size.
STEPS_ONLY = (
    *("nominal_batch=null", "multiscale=null", "pretrained=null", "logger.csv=null", "paths.output_dir=unused"),
    *("trainer.max_epochs=1000000", "trainer.limit_val_batches=0", "trainer.num_sanity_val_steps=0"),
    *("+trainer.enable_checkpointing=false", "+trainer.enable_progress_bar=false"),
)


def steps_config(overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a run that only makes steps.

    Args:
        overrides: Of ``rtmo.train``.

    Raises:
        InputError: If it does not compose.
    """
    cfg = config.validate(config.compose("train", [*STEPS_ONLY, *overrides]), "train", KEYS)
    return filled(cfg, plan_run(ANY_LENGTH, cfg["data"]["batch_size"]))


def step_gflop(overrides: Sequence[str]) -> float:
    """10^9 floating-point operations of network, forward and backward, for an image of a training step.

    The coordinate classifier, which sees a few positives only, is left out.
    """
    cfg = steps_config(overrides)
    with torch.device("meta"):
        model: RTMO = build(cfg["model"], "model", keypoint_set(cfg["skeleton"]))
        with FlopCounterMode(display=False) as counter:
            outputs = model(torch.empty(2, 3, *cfg["image_size"]), with_proxy=True)
            results = (outputs.cls_logits, outputs.bbox_offsets, outputs.visibility_logits, outputs.pose_vectors)
            sums = [each.sum() for each in (*results, outputs.proxy_offsets) if each is not None]
            torch.stack(sums).sum().backward()
    return counter.get_total_flops() / 2 / 1e9


class Training:
    """Training steps of a run, one whenever it is asked for: Lightning's loop waits in a thread in between.

    Args:
        overrides: Of ``rtmo.train``.
        people: In every image, in place of those of the data, whose number varies; None keeps them.
    """

    def __init__(self, *, overrides: Sequence[str], people: int | None = None) -> None:
        self.people = people
        self.overrides = list(overrides)
        self.cfg = steps_config(overrides)
        self.turns: Turns | None = None

    def describe(self) -> dict[str, Any]:
        """Precision and device."""
        precision = str(self.cfg["trainer"]["precision"])
        name = next(name for start, name in PRECISIONS.items() if precision.startswith(start))
        return {"description": f"torch {name} on {device_of(self.cfg)}"}

    def run(self, batch: int) -> dict[str, Any]:
        """Milliseconds of a step, by part, and people in its images.

        Args:
            batch: Images; the same every time.
        """
        if self.turns is None:
            self.cfg = steps_config([*self.overrides, f"data.batch_size={batch}"])
            self.turns = Turns(self.people, keypoint_set(self.cfg["skeleton"]))
            threading.Thread(target=self._fit, args=(self.turns,), daemon=True).start()
        return self.turns.step()

    def _fit(self, turns: "Turns") -> None:
        """Trains until the process ends."""
        try:
            skeleton = keypoint_set(self.cfg["skeleton"])
            module = build_module(self.cfg, skeleton)
            average = {"ema": self.cfg["callbacks"]["ema"]}
            trainer = build_trainer({**self.cfg, "callbacks": average}, skeleton, [turns])
            with turns.timed(module):
                trainer.fit(module, datamodule=build(self.cfg["data"], "data", skeleton))
            turns.answers.put(RuntimeError("the run ended"))
        except Exception as error:  # whoever waits for a step raises it
            turns.answers.put(error)


class Turns(Callback):
    """Lets Lightning's loop make a step when told to, and times it; see ``Training`` for people."""

    def __init__(self, people: int | None, skeleton: KeypointSet) -> None:
        self.people, self.skeleton = people, skeleton
        self.requests: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[dict[str, Any] | Exception] = queue.SimpleQueue()
        self.watch = DeviceStopwatch()
        self.part = ExitStack()

    def step(self) -> dict[str, Any]:
        """Has one made, and gives its times."""
        self.requests.put(None)
        answer = self.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def timed(self, module: PoseModule) -> ExitStack:
        """Inside, what a step is made of counts for its part."""
        optimizer: type = module.make_optimizer.func  # type: ignore[attr-defined]
        stack = ExitStack()
        for owner, method, part in (
            (RTMO, "forward", FORWARD),
            (Criterion, "_match", ASSIGNMENT),
            (Criterion, "forward", LOSSES),
            (PoseModule, "training_step", REST),
            (PoseModule, "backward", BACKWARD),
            (PoseModule, "configure_gradient_clipping", OPTIMIZER),
            (optimizer, "step", OPTIMIZER),
            (EMA, "on_train_batch_end", AVERAGE),
        ):
            stack.enter_context(self.watch.method(owner, method, part))
        return stack

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._wait()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        self.part.close()
        if self.people is not None:
            size = (batch.images.shape[-2], batch.images.shape[-1])
            batch.targets = random_people(len(batch), self.people, size, self.skeleton).to(batch.images.device)
        self._enter(REST)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """The last of a step: callbacks of the config come before this one."""
        self.part.close()
        times = {part: 1000 * self.watch.seconds[part] for part in PARTS}
        people = int(batch.targets.valid.sum())
        step = sum(times.values())
        self.answers.put({"milliseconds": {**times, WORK: step - times[DATA], STEP: step}, "people": people})
        self._wait()

    def _wait(self) -> None:
        """Until a step is asked for; its data come first."""
        self.requests.get()
        self.watch.seconds.clear()
        self._enter(DATA)

    def _enter(self, part: str) -> None:
        self.part.close()
        self.part.enter_context(self.watch.part(part))


class DeviceStopwatch(Stopwatch):
    """One that waits for the device: what it was given in a part counts for that part."""

    def _charge(self) -> None:
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        super()._charge()


class Losses:
    """Assignment and losses of a fresh network's outputs, with so many people in every image.

    Args:
        overrides: Of ``rtmo.train``.
        batch: Images.
    """

    def __init__(self, *, overrides: Sequence[str], batch: int) -> None:
        cfg = steps_config(overrides)
        self.skeleton = keypoint_set(cfg["skeleton"])
        self.device = device_of(cfg)
        self.module = build_module(cfg, self.skeleton).to(self.device)
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (batch, 3, *cfg["image_size"]), generator=generator).float().to(self.device)
        with torch.no_grad():
            self.outputs = self.module.model(images, with_proxy=True)
        for name in ("cls_logits", "bbox_offsets", "visibility_logits", "pose_vectors", "proxy_offsets"):
            getattr(self.outputs, name).requires_grad_()

    def describe(self) -> dict[str, Any]:
        """Device; losses are computed in float32."""
        return {"description": f"torch float32 on {self.device}"}

    def run(self, people: int) -> dict[str, Any]:
        """Milliseconds of assignment and losses, backward left out.

        Args:
            people: In every image.
        """
        batch = len(self.outputs.cls_logits)
        targets = random_people(batch, people, self.outputs.image_size, self.skeleton).to(self.device)
        watch = DeviceStopwatch()
        with watch.method(Criterion, "_match", ASSIGNMENT), watch.part(LOSSES):
            self.module.criterion(self.outputs, targets, self.module.model.dcc, "B")
        times = {part: 1000 * watch.seconds[part] for part in (ASSIGNMENT, LOSSES)}
        return {"milliseconds": {**times, STEP: sum(times.values())}, "people": people * batch}


def device_of(cfg: dict[str, Any]) -> str:
    """Where the Trainer of a config trains."""
    chosen = cfg["trainer"]["accelerator"]
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if chosen == "cpu" or accelerator is None else accelerator.type

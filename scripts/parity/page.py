"""The page that tells what was compared, how far apart the two sides are, and how far they may be."""

import os
import platform
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from cases import BATCH, BATCH_SIDE, CONSTANT_RATE, EPOCHS, NUM_IMAGES, ONE_STEP, PHASES, STEPS, TEN_STEPS, Run
from compare import FileResult, OutputResult, RunResult

OUTPUT_LIMIT = 1e-4  # of each tensor's largest value
LOSS_LIMIT = 1e-6  # relative, float64

# columns of the table of outputs: tensors whose largest difference they show
STAGES = {
    "backbone": ("backbone/",),
    "neck": ("neck/",),
    "head": ("head/cls_logits", "head/bbox_offsets", "head/visibility_logits", "head/pose_vectors"),
    "proxy": ("head/proxy_offsets",),
    "heatmaps": ("heatmap_",),
    "keypoints": ("keypoints",),
    "boxes": ("bboxes",),
    "scores": ("scores", "keypoint_scores"),
}
TERMS = ("loss", "loss_bbox", "loss_vis", "loss_mle", "loss_oks", "loss_cls", "loss_bbox_aux")

PAGE = """\
# Side by side with the reference

`make parity` wrote this page. It installs the implementation that the paper's authors published, in mmpose, into an
environment of its own, builds its networks from the published configurations, and runs both sides on the same weights,
images and batches.
{versions}.

Weights are random and seeded, those and the statistics of normalisation layers included, with scores such that a few
people are found. The reference saved them; they were converted to `rtmo` and back, and the reference loaded what came
back. Images are {images}.

{limits}

## What the networks say

float32, {num_images} images. The largest difference of each stage, every tensor in units of its largest value. People
are matched by the prior that found them.

{outputs}

## One training step

float64, {batch} images of {side} px, each with several people of whom one is unlabeled. AdamW at a rate of {rate}
(the neck's encoder at a twentieth), gradients clipped to 0.1. Differences are relative; those of the weights
afterwards, batch statistics included, in units of each tensor's largest value (of the rate, where that is larger);
how much they changed is exchanged in float32.

{one_step}

In phase A the reference rounds the OKS that the person score learns to float32, whatever it computes with otherwise.

Losses of `rtmo_s`, the reference's, and by how much ours differ:

{losses}

## Ten training steps

`rtmo_s` in float64 at the same rate, another batch at every step: the reference's loss, and by how much ours differs.

{ten_steps}

The largest difference of a loss in ten steps, and of the weights and their moving average at the end:

{kinds}

Published rates are those of the schedule of {epochs} epochs across the end of the warm-up (A, up to 4e-3), after the
jump of x2.5 (B) and across the end of the second cosine (C); each side has its own.

Training amplifies differences. In a fresh network each step at {rate} makes them about a hundred times as large, so
that within ten steps the rounding of float64 turns into another run. The weights here are tamer; `randomize` in
`scripts/parity/reference.py` says how. At the 4e-3 of phase A it happens nevertheless, beginning with the float32
above.
"""


def limits(
    files: Sequence[FileResult], outputs: Sequence[OutputResult], runs: Sequence[RunResult]
) -> list[tuple[str, float, float]]:
    """What is held: description, limit, largest value."""
    by_run = {result.run: result for result in runs}
    constant = TEN_STEPS["float64", "constant"]
    return [
        (
            "every tensor of every stage, in units of its largest value",
            OUTPUT_LIMIT,
            max(value for result in outputs for value in result.differences.values()),
        ),
        ("people that one side finds and the other does not", 0, sum(result.unmatched for result in outputs)),
        ("tensors that conversion to `rtmo` and back changes", 0, sum(result.changed for result in files)),
        ("constants that we derive with other bytes", 0, sum(result.constants_changed for result in files)),
        ("loss of one step, float64, relative", LOSS_LIMIT, max(by_run[run].worst_loss for run in ONE_STEP)),
        (
            f"loss of each of {STEPS} steps, float64, constant rate, relative",
            LOSS_LIMIT,
            max(by_run[run].worst_loss for run in constant),
        ),
    ]


def render(
    held: Sequence[tuple[str, float, float]],
    outputs: Sequence[OutputResult],
    runs: Sequence[RunResult],
    versions: Mapping[str, str],
    with_photographs: bool,
) -> str:
    """The whole page."""
    by_run = {result.run: result for result in runs}
    theirs = ", ".join(f"{name} {version.partition('+')[0]}" for name, version in versions.items())
    return PAGE.format(
        versions=f"Theirs: {theirs}.\nOurs: torch {torch.__version__.partition('+')[0]}, numpy {np.__version__}.\n"
        f"Machine: {platform.system()}, {os.cpu_count()} {platform.machine()} cores, no GPU used",
        images="drawn people and photographs of COCO" if with_photographs else "drawn people",
        limits=table("| | limit | largest |", [(what, number(limit, 0), number(value)) for what, limit, value in held]),
        num_images=NUM_IMAGES,
        outputs=outputs_table(outputs),
        batch=BATCH,
        side=BATCH_SIDE,
        rate=number(CONSTANT_RATE, 0),
        one_step=one_step_table(by_run),
        losses=losses_table(by_run),
        ten_steps=ten_steps_table(by_run),
        kinds=kinds_table(by_run),
        epochs=EPOCHS,
    )


def outputs_table(outputs: Sequence[OutputResult]) -> str:
    """A row for every network and size."""
    rows = []
    for result in outputs:
        worst = [
            max(value for name, value in result.differences.items() if name.startswith(prefixes))
            for prefixes in STAGES.values()
        ]
        rows.append((f"`{result.model}`", result.side, result.people, *map(number, worst)))
    return table(f"| | px | people | {' | '.join(STAGES)} |", rows)


def one_step_table(by_run: Mapping[Run, RunResult]) -> str:
    """A row for every size and phase."""
    rows = []
    for run in ONE_STEP:
        result = by_run[run]
        rows.append(
            (
                f"`{run.model}` {run.phase}",
                int(result.reference[0]["num_samples"]),
                f"{result.reference[0]['loss']:.6f}",
                f"{result.ours[0]['loss']:.6f}",
                number(result.relative("loss", 0)),
                number(result.relative("gradient_norm", 0)),
                number(result.weights),
            )
        )
    return table("| | positives | reference's loss | ours | difference | gradient norm | weights |", rows)


def losses_table(by_run: Mapping[Run, RunResult]) -> str:
    """A row for every loss of RTMO-s, in the first of the ten steps."""
    results = [by_run[run] for run in TEN_STEPS["float64", "constant"]]
    rows = [[f"`{name}`"] + [cell for result in results for cell in pair(result, name, 0)] for name in TERMS]
    return table(f"| | {' | | '.join(PHASES)} | |", rows)


def ten_steps_table(by_run: Mapping[Run, RunResult]) -> str:
    """A row a step."""
    results = [by_run[run] for run in TEN_STEPS["float64", "constant"]]
    rows = [[step + 1] + [cell for result in results for cell in pair(result, "loss", step)] for step in range(STEPS)]
    return table(f"| step | {' | | '.join(PHASES)} | |", rows)


def kinds_table(by_run: Mapping[Run, RunResult]) -> str:
    """A row for every precision and schedule."""
    rows = []
    for (precision, rate), kind in TEN_STEPS.items():
        results = [by_run[run] for run in kind]
        name = f"{precision}, {number(CONSTANT_RATE, 0) if rate == 'constant' else 'published rates'}"
        weights = [result.weights for result in results if result.weights is not None]
        averages = [result.average for result in results if result.average is not None]
        rows.append(
            (
                name,
                *(number(result.worst_loss) for result in results),
                number(max(weights, default=None)),
                number(max(averages, default=None)),
            )
        )
    return table(f"| | {' | '.join(PHASES)} | weights | average |", rows)


def pair(result: RunResult, name: str, step: int) -> tuple[str, str]:
    """The reference's number and the relative difference of ours; nothing where the phase has none."""
    if name not in result.reference[step]:
        return "", ""
    return f"{result.reference[step][name]:.6f}", number(result.relative(name, step))


def number(value: float | None, digits: int = 1) -> str:
    """A difference as 1.2e-3; nothing where none was taken."""
    if value is None:
        return ""
    return f"{value:.{digits}e}".replace("e-0", "e-") if value else "0"


def table(header: str, rows: Sequence[Sequence[object]]) -> str:
    """Markdown, numbers to the right."""
    columns = header.count("|") - 1
    return "\n".join(
        [header, "|---" + "|---:" * (columns - 1) + "|", *(f"| {' | '.join(map(str, row))} |" for row in rows)]
    )

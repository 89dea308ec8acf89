"""The sections of a report, from rows of runs."""

from collections.abc import Mapping, Sequence

from rtmo.report import analysis_figures, figures, tables
from rtmo.report.curves import columns_of
from rtmo.report.document import Block, Figure, Folded, Section, Text
from rtmo.report.gallery import galleries
from rtmo.report.networks import Timings
from rtmo.report.rows import Row, shared
from rtmo.report.runs import FINISHED
from rtmo.report.scores import CONFIDENCE

DIAGNOSTICS = (  # columns of metrics.csv beside the losses
    *(
        "train/pose_oks",
        "train/proxy_oks",
        "train/num_positives",
        "train/positives_per_image",
        "train/pred_sigma",
        "train/heatmap_peak",
    ),
    *("train/grad_norm", "train/images_per_second", "train/data_wait", "train/memory_mib"),
)


def make_sections(
    rows: Sequence[Row],
    baseline: Row,
    parameters: Mapping[str, int | None],
    timings: Timings | None,
    faults: Sequence[str],
) -> list[Section]:
    """Everything that is known of the runs, best known first.

    Args:
        parameters: By label.
        timings: None if they were not asked for.
        faults: What could not be found out, in sentences.
    """
    return [
        _results(rows, baseline, parameters, timings, faults),
        _curves(rows),
        _losses(rows),
        _analysis(rows),
        _latency(rows, timings),
        _predictions(rows),
        _configs(rows),
        Section("Runs", [tables.all_runs(rows)]),
    ]


def _results(
    rows: Sequence[Row],
    baseline: Row,
    parameters: Mapping[str, int | None],
    timings: Timings | None,
    faults: Sequence[str],
) -> Section:
    lacking = [run for row in rows for run in row.runs if run.state != FINISHED]
    blocks: list[Block] = [Text(fault, warning=True) for fault in faults]
    blocks += [
        Text(f"Run {run.name} is {'' if run.finished else 'not part of the numbers: '}{run.state}", warning=True)
        for run in lacking
    ]
    note = (
        "A row holds the runs that differ only in their seed. Scores are those of the last validation: mean ± sample "
        f"deviation over seeds. Differences are to {baseline.label!r}, ± Welch's {CONFIDENCE:.0%} interval; beyond "
        "noise: the interval excludes zero (each row by itself, not corrected for the number of rows)."
    )
    cost_note = (
        "Images are optimiser steps times images a step; seconds with validation, images/s without; parameters those "
        "that inference needs. Means over seeds."
    )
    blocks += [tables.scores(rows, baseline), Text(note), *_present(figures.scores(rows, baseline, tables.MAIN))]
    return Section("Results", [*blocks, tables.costs(rows, parameters, timings), Text(cost_note)])


def _curves(rows: Sequence[Row]) -> Section:
    columns = [name for name in columns_of(rows, "val/") if name.rpartition("/")[2] == tables.MAIN]
    drawn = _present(*(figures.learning_curves(rows, column) for column in columns))
    return Section("Learning curves", drawn or [Text("No run logged a validation.")])


def _losses(rows: Sequence[Row]) -> Section:
    terms = columns_of(rows, "train/loss")
    others = [name for name in DIAGNOSTICS if columns_of(rows, name)]
    drawn = _present(
        figures.panels(rows, terms, "losses", "Loss by term as it enters the sum"),
        figures.panels(rows, others, "diagnostics", "What else training logged"),
    )
    return Section("Training", drawn or [Text("No run logged a loss.")])


def _analysis(rows: Sequence[Row]) -> Section:
    if not any(row.analyses for row in rows):
        return Section("Analysis", [Text("No run has an analysis.json.")])
    return Section(
        "Analysis",
        [
            Text("OKS of every joint, over the labeled joints of people who were found; mean over seeds."),
            tables.by_keypoint(rows, "oks"),
            Text("PCK of every joint: share within 0.2 of the longer side of the person's box."),
            tables.by_keypoint(rows, "pck"),
            Text(
                "Errors: of labeled joints of people who were found, the share that is good, near (jitter), on the "
                "other side (inversion), on another person (swap) or nowhere near (miss); people found, missed and "
                "reported where there is none; calibration errors of the scores of people and of joints."
            ),
            tables.errors(rows),
            *_present(analysis_figures.by_group(rows), analysis_figures.calibration(rows)),
        ],
    )


def _latency(rows: Sequence[Row], timings: Timings | None) -> Section:
    if timings is None:
        return Section("Latency", [Text("Not measured; latency=true does.")])
    note = (
        "Forward pass and decoding of an image of drawn people, networks in turns in one process: "
        f"{timings.conditions}. Fresh weights find nobody, or many: decoding takes longer the more people there are."
    )
    figure = figures.latency_against_score(rows, timings, tables.MAIN)
    return Section("Latency", [tables.latencies(rows, timings), Text(note), *_present(figure)])


def _predictions(rows: Sequence[Row]) -> Section:
    found = galleries(rows)
    note = "Ground truth and prediction, the worst images first, of one run of each row."
    return Section("Predictions", [Text(note), *found] if found else [Text("No run kept pictures.")])


def _configs(rows: Sequence[Row]) -> Section:
    configs = [row.config for row in rows if row.config]
    changed = tables.config_differences(rows)
    same = [f"{key}: {tables.plain(value)}" for key, value in shared(configs).items()]
    note = "Keys in which rows differ, without seed and paths; of keys that follow one another the shortest."
    blocks: list[Block] = (
        [Text(note), changed] if changed.lines else [Text("All configs are the same but for seed and paths.")]
    )
    return Section("Configs", [*blocks, *([Folded(f"{len(same)} keys that all rows share", same)] if same else [])])


def _present(*drawn: Figure | None) -> list[Block]:
    return [figure for figure in drawn if figure is not None]

"""Lays out the dashboard of a W&B project: ``python scripts/wandb/dashboard.py entity=... project=...``.

Needs ``pip install "rtmo[dashboard]"`` and an account. Saves a view of the project, prints its address, and leaves
other views alone. ``name=...`` names it.
"""

import sys

from wandb_workspaces import workspaces
from wandb_workspaces.reports import v2 as reports

STEP = "trainer/global_step"
LOSSES = ("loss", "loss_cls", "loss_bbox", "loss_vis", "loss_oks", "loss_bbox_aux")
PHASES = "ABC"
# Section: title of a panel and what it draws over the steps.
CURVES: dict[str, dict[str, list[str]]] = {
    "Validation": {
        "AP": ["val/AP", "val/AP50", "val/AP75"],
        "AP by size": ["val/APM", "val/APL"],
        "AR": ["val/AR", "val/AR50", "val/AR75"],
    },
    "Losses, a colour for each phase": {name: [f"phase_{phase}/{name}" for phase in PHASES] for name in LOSSES},
    "Learning": {
        "pose OKS of the positives": ["train/pose_oks", "train/proxy_oks"],
        "positives per image": ["train/positives_per_image"],
        "learned spread": ["train/pred_sigma"],
        "gradient norm before clipping": ["train/grad_norm"],
        "skipped steps": ["train/skipped_steps"],
        "phase: A 0, B 1, C 2": ["train/phase"],
    },
    "Speed": {
        "images/s": ["train/images_per_second"],
        "share of time waiting for data": ["train/data_wait"],
        "memory, MiB": ["train/memory_mib"],
    },
}
# The same by a regular expression, where names depend on the optimizer or the loss.
PATTERNS: dict[str, dict[str, str]] = {
    "Losses, a colour for each phase": {"loss of the coordinate classifier": "^phase_[ABC]/loss_(mle|kld)$"},
    "Learning": {"learning rates": "^lr-"},
}
PICTURES = {"the same validation images": "val/predictions", "the first training batch": "train/batch"}
TABLE = "val/worst"


def dashboard(*, entity: str, project: str, name: str) -> workspaces.Workspace:
    """The layout as an object; ``save`` sends it."""
    sections = [_curves(title, panels) for title, panels in CURVES.items()]
    pictures: list[reports.Panel] = [
        reports.MediaBrowser(title=title, media_keys=[key], num_columns=1) for title, key in PICTURES.items()
    ]
    pictures.append(reports.WeavePanelSummaryTable(table_name=TABLE))
    comparison = [
        reports.RunComparer(diff_only="split"),
        reports.ParallelCoordinatesPlot(
            columns=[
                reports.ParallelCoordinatesPlotColumn(metric=reports.Config("optimizer.lr"), log=True),
                reports.ParallelCoordinatesPlotColumn(metric=reports.Config("model_name")),
                reports.ParallelCoordinatesPlotColumn(metric=reports.SummaryMetric("val/AP.max")),
            ]
        ),
    ]
    sections.insert(1, workspaces.Section(name="Pictures, and the worst images", panels=pictures, is_open=True))
    sections.append(workspaces.Section(name="Comparison of runs", panels=comparison))
    return workspaces.Workspace(
        entity=entity, project=project, name=name, sections=sections, settings=workspaces.WorkspaceSettings(x_axis=STEP)
    )


def _curves(title: str, panels: dict[str, list[str]]) -> workspaces.Section:
    plots: list[reports.Panel] = [
        reports.LinePlot(title=of_panel, x=STEP, y=metrics) for of_panel, metrics in panels.items()
    ]
    plots += [
        reports.LinePlot(title=of_panel, x=STEP, metric_regex=pattern)
        for of_panel, pattern in PATTERNS.get(title, {}).items()
    ]
    return workspaces.Section(name=title, panels=plots, is_open=True)


def main(arguments: list[str]) -> None:
    """Saves the layout; exits with 2 if it is not told where."""
    options = dict(argument.partition("=")[::2] for argument in arguments)
    if not {"entity", "project"} <= options.keys() <= {"entity", "project", "name"} or not all(options.values()):
        print(f"error: {' '.join(arguments)}: expected entity=... project=... [name=...]", file=sys.stderr)
        raise SystemExit(2)
    workspace = dashboard(**{"name": "rtmo", **options})
    workspace.save()
    print(workspace.url)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What scripts/wandb gives to W&B: sweeps that the training command understands, and a layout of what runs log."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb_dashboard import SCRIPTS, load_dashboard

from rtmo.config import compose, validate
from rtmo.train import KEYS

SWEEPS = sorted(SCRIPTS.glob("*.yaml"))


def arguments(sweep: dict[str, Any]) -> list[str]:
    """What W&B's agent puts for ``${args_no_hyphens}``, with the first or smallest value of each parameter."""
    chosen = {
        name: parameter["value"] if "value" in parameter else parameter.get("values", [parameter.get("min")])[0]
        for name, parameter in sweep["parameters"].items()
    }
    return [f"{name}={value}" for name, value in chosen.items()]


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_sweeps_are_understood(file: Path) -> None:
    sweep = yaml.safe_load(file.read_text())
    assert sweep["command"] == ["${env}", "${interpreter}", "-m", "${program}", "${args_no_hyphens}"]
    assert sweep["program"] == "rtmo.train"
    assert sweep["metric"] == {"name": "val/AP", "goal": "maximize"}
    cfg = validate(compose("train", [*arguments(sweep), "paths.output_dir=somewhere"]), "train", KEYS)
    assert cfg["logger"]["wandb"]["project"] == sweep["project"]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
def test_the_dashboard_is_one_object_for_wandb() -> None:
    dashboard = load_dashboard()
    layout = dashboard.dashboard(entity="us", project="rtmo", name="ours")
    assert (layout.entity, layout.project, layout.name) == ("us", "rtmo", "ours")
    sent = layout._to_model().model_dump_json(by_alias=True)
    drawn = [name for panels in dashboard.CURVES.values() for names in panels.values() for name in names]
    for name in (*drawn, *dashboard.PICTURES.values(), dashboard.TABLE):
        assert f'"{name}"' in sent, name
    patterns = [pattern for panels in dashboard.PATTERNS.values() for pattern in panels.values()]
    plots = [panel for section in layout.sections for panel in section.panels]
    assert [plot.metric_regex for plot in plots if getattr(plot, "metric_regex", None)] == patterns
    logged = ("lr-AdamW/base", "lr-Adam/dcc.", "lr-NAdam/base", "phase_A/loss_mle", "phase_C/loss_kld")
    for name in logged:
        assert len([pattern for pattern in patterns if re.search(pattern, name)]) == 1, name


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")
@pytest.mark.parametrize("given", [[], ["entity=us"], ["entity=us", "project="], ["entity=us", "project=rtmo", "x=1"]])
def test_the_dashboard_asks_for_what_it_needs(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        load_dashboard().main(given)
    assert stop.value.code == 2
    assert "expected entity=... project=..." in capsys.readouterr().err

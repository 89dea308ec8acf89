"""scripts/wandb/dashboard.py as a module."""

import importlib.util
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts" / "wandb"


def load_dashboard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboard", SCRIPTS / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""What Hydra, OmegaConf and PyYAML refuse, in one sentence with the fix."""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.errors import CompactHydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException

from rtmo.errors import InputError
from rtmo.targets import did_you_mean

# Choices that come with packages of the extra `search`.
PLUGINS = (
    "hydra/sweeper=optuna",
    *(f"hydra/launcher={name}" for name in ("joblib", "submitit_local", "submitit_slurm")),
)
SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '(.+?)=(.+)'\n")  # of Hydra's message
NO_NAME = "Config group override must be a string or a list. Got "  # Hydra's message, without the group
CONFIG_ERRORS = (InputError, CompactHydraException, OmegaConfBaseException, yaml.YAMLError)


def explain(error: Exception) -> str:
    """The message for one of ``CONFIG_ERRORS``, or for a ``RunError``."""
    if isinstance(error, MissingConfigException):
        return _explain_choice(error)
    if isinstance(error, OverrideParseException):
        reason = error.message.splitlines()[0]
        return f"{error.override}: not an override ({reason}); write key=value, and quotes around unusual values"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if not isinstance(cause, OmegaConfBaseException):
        return _explain_text(str(error))
    key = str(cause.full_key)
    if isinstance(cause, MissingMandatoryValue):
        return f"{key}: has no value; give {key}=..."
    if isinstance(cause, ConfigKeyError | ConfigAttributeError) and isinstance(cause.parent_node, DictConfig):
        known = [str(name) for name in cause.parent_node if name != "hydra"]
        hint = f" (+{key}=... passes an argument that conf/ does not list)" if "." in key else ""
        return f"{key}: no such key; {did_you_mean(str(cause.key), known)}{hint}"
    return f"{key}: {str(cause).splitlines()[0]}"


def unnamed_choice(error: ValueError, overrides: Sequence[str], conf_dir: Path) -> InputError | None:
    """What to say of a group that was given true or a number in place of a file's name; None of another error."""
    if not str(error).startswith(NO_NAME):
        return None
    for override in overrides:
        group, _, value = override.lstrip("+").partition("=")
        choices = sorted(file.stem for file in (conf_dir / group).glob("*.yaml"))
        if group and choices and value not in choices:
            return InputError(f"{group}={value}: no such choice; {group} may be {', '.join(choices)}")
    return InputError(f"{error}; give the name of a file of conf/")


def _explain_text(text: str) -> str:
    if several := SEVERAL_VALUES.match(text):
        key, values = several.groups()
        return f"{key}={values}: several values need -m, a run for each of them; a list is written {key}=[{values}]"
    # Out of a loader's worker the message comes with the worker's traceback before it.
    return text.rpartition(f"{InputError.__module__}.{InputError.__name__}: ")[2].strip()


def _explain_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    if group == "recipe":
        return (
            f"no recipe for the pair {choice} of model and data; say recipe=fast (for few steps, small batches and "
            f"small data) or recipe=published, or add conf/recipe/{choice}.yaml"
        )
    if f"{group}={choice}" in PLUGINS:
        return (
            f'{group}={choice}: is not installed; pip install "rtmo[search]", in a checkout pip install -e ".[search]"'
        )
    if error.options is None:
        return str(error).strip()
    return f"{group}={choice}: no such choice; {group} may be {', '.join(sorted(error.options))}"

"""The few names of mmdet and of mmcv's compiled operators that importing the reference asks for and RTMO does not need.

mmdet wants the full mmcv, which has to be compiled. Import this module before mmpose.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


def _operator(name: str):
    """Any compiled operator: there for those who only look, an error for those who call."""
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise NotImplementedError(f"mmcv._ext.{name} is a stand-in")

    return missing


mmdet_utils = ModuleType("mmdet.utils")
mmdet_utils.ConfigType = dict
mmdet_utils.reduce_mean = lambda tensor: tensor  # over the processes of a run; here there is one
operators = ModuleType("mmcv._ext")
operators.__getattr__ = _operator
operators.__spec__ = ModuleSpec("mmcv._ext", None)  # mmengine looks for the module by its specification
sys.modules |= {"mmdet": ModuleType("mmdet"), "mmdet.utils": mmdet_utils, "mmcv._ext": operators}

import pytest
import torch

from rtmo.errors import InputError
from rtmo.models.compiling import check_compiler


def test_a_folder_with_a_space_is_refused_before_the_compiler_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__path__", ["/my environment/torch"])
    with pytest.raises(InputError, match="compile=true: torch cannot compile for CPUs from /my environment/torch"):
        check_compiler(torch.device("cpu"))
    check_compiler(torch.device("cuda"))

    monkeypatch.setattr(torch, "__path__", ["/environment/torch"])
    check_compiler(torch.device("cpu"))

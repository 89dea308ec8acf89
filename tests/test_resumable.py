import pytest
import torch

from rtmo.errors import InputError
from rtmo.skeletons import COCO17
from rtmo.train import check_resumable


@pytest.mark.parametrize("record", [{}, [], {"skeleton": None}, {"skeleton": {"name": "x", "joints": 3}}, "text"])
def test_a_checkpoint_whose_joints_are_damaged_is_refused(record, tmp_path):
    torch.save({"state_dict": {}, "optimizer_states": [], "rtmo": record}, tmp_path / "last.ckpt")
    with pytest.raises(InputError, match=r"ckpt_path=\S*last\.ckpt: its joints cannot be read"):
        check_resumable(tmp_path / "last.ckpt", COCO17)

import pytest
import torch

from rtmo.losses.curriculum import OksCurriculum


def test_b_begins_with_the_oks_and_stays() -> None:
    curriculum, phases = OksCurriculum(threshold=0.5), ""
    for oks in [0.0] * 5 + [0.9] * 60 + [0.0] * 100:
        curriculum.follow(torch.tensor(4 * oks), torch.tensor(4.0))
        phases += curriculum.phase("A")
    assert phases == "A" * 45 + "B" * 120  # 0.9 * (1 - 0.98 ** n) passes 0.5 at n = 41
    assert curriculum.phase("C") == "C"


def test_a_run_that_goes_on_knows() -> None:
    reached, resumed = OksCurriculum(threshold=0.01), OksCurriculum(threshold=0.01)
    reached.follow(torch.tensor(1.0), torch.tensor(1.0))
    assert (reached.phase("A"), resumed.phase("B")) == ("B", "A")
    resumed.load_state_dict(reached.state_dict())
    assert resumed.phase("A") == "B"


def test_a_threshold_is_a_share() -> None:
    with pytest.raises(ValueError, match=r"refine_oks must be in 0\.\.1"):
        OksCurriculum(threshold=50.0)

import numpy as np
import pytest
import torch

from rtmo.config import compose
from rtmo.training.schedules import Segment, SegmentedLR, rate_at

BASES = (4e-3, 2e-4)  # main group, encoder


@pytest.mark.parametrize("name", ["coco600_L10", "crowdpose700_L10"])
def test_every_step_as_the_reference(shared_dir, name: str) -> None:
    """The published tables give the reference's rate at every step of a 600 and a 700 epoch run."""
    expected = np.load(shared_dir / "golden" / "lr.npz")[f"{name}/all_iters"]
    segments = PUBLISHED[name]
    ours = [[rate_at(step, base, segments, len(expected)) for base in BASES] for step in range(len(expected))]
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_epochs_of_coco_length_as_the_reference(shared_dir) -> None:
    arrays = np.load(shared_dir / "golden" / "lr.npz")
    segments, total = PUBLISHED["coco600_L10"], 600 * 251
    for column, base in enumerate(BASES):
        first = [rate_at(epoch * 251, base, segments, total) for epoch in range(600)]
        last = [rate_at(epoch * 251 + 250, base, segments, total) for epoch in range(600)]
        begin = [rate_at(step, base, segments, total) for step in range(2000)]
        np.testing.assert_allclose(first, arrays["coco600_L251/first_iter_of_epoch"][:, column], rtol=1e-6)
        np.testing.assert_allclose(last, arrays["coco600_L251/last_iter_of_epoch"][:, column], rtol=1e-6)
        np.testing.assert_allclose(begin, arrays["coco600_L251/first_2000_iters"][:, column], rtol=1e-6)


def published(epochs: int, warmup: int, first: int, boost: int, second: int, periods: tuple[int, int]) -> list[Segment]:
    return [
        Segment(warmup / epochs, "warmup"),
        Segment(first / epochs, "cosine", eta_min=2e-4, period=periods[0] / epochs),
        Segment(boost / epochs, "constant", factor=2.5),
        Segment(second / epochs, "cosine", eta_min=2e-4, period=periods[1] / epochs),
        Segment(1.0, "constant"),
    ]


PUBLISHED = {
    "coco600_L10": published(600, 5, 280, 281, 580, (280, 300)),
    "crowdpose700_L10": published(700, 5, 349, 350, 670, (350, 320)),
}


def test_conf_holds_the_published_schedule() -> None:
    cfg = compose("train", ["model=rtmo_s", "data=coco"])
    expected = PUBLISHED["coco600_L10"]
    ours = [Segment(**segment) for segment in cfg.schedule.segments]
    for step in range(0, 6000, 7):
        assert rate_at(step, 4e-3, ours, 6000) == pytest.approx(rate_at(step, 4e-3, expected, 6000), rel=1e-6)


def test_resumes_exactly() -> None:
    def scheduler() -> SegmentedLR:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        return SegmentedLR(
            optimizer, 20, segments=[{"until": 0.2, "shape": "warmup"}, {"until": 1.0, "shape": "cosine"}]
        )

    def advance(schedule: SegmentedLR, steps: int) -> list[float]:
        rates = []
        for _ in range(steps):
            rates.append(schedule.get_last_lr()[0])
            schedule.optimizer.step()
            schedule.step()
        return rates

    whole = advance(scheduler(), 20)
    first = scheduler()
    begun = advance(first, 7)
    second = scheduler()
    second.load_state_dict(first.state_dict())
    second.optimizer.param_groups[0]["lr"] = first.get_last_lr()[0]
    assert begun + advance(second, 13) == whole
    assert max(whole) == pytest.approx(0.1)


@pytest.mark.parametrize("ends", [[0.5, 0.2, 1.0], [0.5], []])
def test_segments_must_rise_to_one(ends: list[float]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="rising fractions"):
        SegmentedLR(optimizer, 10, segments=[Segment(end, "constant") for end in ends])


def test_unknown_shape() -> None:
    with pytest.raises(ValueError, match="choose warmup, cosine, constant or exponential"):
        Segment(1.0, "linear")


def test_a_part_with_rate_0_stays_frozen() -> None:
    """Though the published cosines end at a rate above it."""
    segments = [Segment(until=0.5, shape="warmup"), Segment(until=1.0, shape="cosine", eta_min=2e-4)]
    assert {rate_at(step, 0.0, segments, 10) for step in range(10)} == {0.0}
    assert rate_at(9, 1e-5, segments, 10) > 1e-5


def test_a_part_may_warm_up_for_longer() -> None:
    groups = [
        {"name": name, "params": [torch.nn.Parameter(torch.zeros(()))], "lr": 1.0}
        for name in ("base", "dcc.", "dcc./no_decay")
    ]
    schedule = SegmentedLR(torch.optim.SGD(groups), 100, segments=[Segment(1.0, "constant")], warmups={"dcc.": 0.2})
    rates = []
    for _ in range(100):
        rates.append(schedule.get_last_lr())
        schedule.optimizer.step()
        schedule.step()
    assert {row[0] for row in rates} == {1.0}
    assert [row[1] for row in rates] == [row[2] for row in rates]
    assert [row[1] for row in rates] == pytest.approx([min((step + 1) / 20, 1.0) ** 2 for step in range(100)])


def test_a_warm_up_of_a_part_that_has_no_rate_of_its_own_is_refused() -> None:
    optimizer = torch.optim.SGD([{"name": "base", "params": [torch.nn.Parameter(torch.zeros(()))], "lr": 1.0}])
    with pytest.raises(ValueError, match=r"schedule.warmups names 'neck\.', .* those that have: base"):
        SegmentedLR(optimizer, 10, segments=[Segment(1.0, "constant")], warmups={"neck.": 0.1})
    with pytest.raises(ValueError, match=r"schedule.warmups.base must be a fraction of the run, 0\.\.1; got 5"):
        SegmentedLR(optimizer, 10, segments=[Segment(1.0, "constant")], warmups={"base": 5})


def test_an_exponential_multiplies_by_the_same_factor_every_step() -> None:
    segments = [Segment(until=1.0, shape="exponential", factor=0.01, end_factor=100.0)]
    rates = np.array([[rate_at(step, base, segments, 41) for base in BASES] for step in range(41)])
    np.testing.assert_allclose(rates[[0, 20, 40]], np.outer([0.01, 1, 100], BASES))
    np.testing.assert_allclose(rates[1:] / rates[:-1], 10 ** (4 / 40))
    assert rate_at(0, 1.0, segments, 1) == 0.01


def test_an_exponential_between_other_segments() -> None:
    segments = [
        Segment(until=0.5, shape="constant", factor=2.0),
        Segment(until=0.8, shape="exponential", end_factor=0.25),
        Segment(until=1.0, shape="constant"),
    ]
    rates = [rate_at(step, 1.0, segments, 10) for step in range(10)]
    assert rates == pytest.approx([2, 2, 2, 2, 2, 2, 1, 0.5, 0.5, 0.5])


@pytest.mark.parametrize("factors", [{"factor": 0.0}, {"end_factor": -1.0}])
def test_an_exponential_neither_starts_nor_ends_at_0(factors: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Segment(until=1.0, shape="exponential", **factors)

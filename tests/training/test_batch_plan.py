import pytest

from rtmo.training.batch_plan import plan_batch


@pytest.mark.parametrize(
    ("batch_size", "devices", "nominal", "accumulate", "lr_scale"),
    [
        (32, 8, 256, 1, 1.0),
        (32, 1, 256, 8, 1.0),
        (2, 1, 256, 128, 1.0),
        (48, 1, 256, 5, 240 / 256),
        (512, 1, 256, 1, 2.0),
        (4, 1, "auto", 4, 1.0),
        (16, 1, "auto", 1, 1.0),
        (32, 2, "auto", 1, 1.0),
    ],
)
def test_meets_the_nominal_batch(
    batch_size: int, devices: int, nominal: int | str, accumulate: int, lr_scale: float
) -> None:
    plan = plan_batch(batch_size, devices, nominal)
    assert plan.accumulate == accumulate
    assert plan.lr_scale == pytest.approx(lr_scale)
    assert plan.total == batch_size * devices * accumulate


def test_says_what_it_does() -> None:
    assert "48 images x 1 device(s) x 5 accumulated = 240, nominal 256, learning rates x 0.9375" in str(
        plan_batch(48, 1, 256)
    )


def test_without_a_nominal_batch() -> None:
    plan = plan_batch(8, 1, None)
    assert (plan.accumulate, plan.lr_scale, plan.total) == (1, 1.0, 8)

import pytest
from sources import SIZE, NoiseSource, published

from rtmo.data.pipeline import TrainDataset
from rtmo.data.sampler import EpochSampler
from rtmo.phases import Phases


def sampler(images, **options):
    given = {"image_size": SIZE, "augment": published(), "phases": Phases(), "max_epochs": 10, "seed": 0}
    return EpochSampler(TrainDataset(source=NoiseSource(images), **given), **{"seed": 0, **options})


def test_every_image_once_per_epoch_with_its_epoch():
    ours = sampler(20)
    ours.set_epoch(7)
    keys = list(ours)
    assert {epoch for epoch, _ in keys} == {7}
    assert sorted(index for _, index in keys) == list(range(20))
    assert len(ours) == 20


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        ours = sampler(20, seed=seed)
        ours.set_epoch(epoch)
        return tuple(index for _, index in ours)

    assert order(0, 1) == order(0, 1)
    assert len({order(0, 0), order(0, 1), order(1, 0), order(1, 1)}) == 4


@pytest.mark.parametrize("images", [12, 13, 14, 2])
def test_ranks_share_an_epoch_equally(images):
    shares = [list(sampler(images, rank=rank, world_size=3)) for rank in range(3)]
    assert len({len(share) for share in shares}) == 1
    dealt = [index for share in shares for _, index in share]
    assert set(dealt) == set(range(images))
    assert len(dealt) < images + 3

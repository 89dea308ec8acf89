import logging
from dataclasses import replace

import numpy as np
import pytest
from sources import SIZE, SPOT, NoiseSource, published
from test_datamodule import content, fit, module

from rtmo.data.mixture import Mixture
from rtmo.data.picture import Picture
from rtmo.data.pipeline import TrainDataset
from rtmo.errors import InputError
from rtmo.phases import Phases

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]


class Numbered(NoiseSource):
    """Images whose ids tell the source."""

    def __init__(self, num_images: int, first_id: int) -> None:
        super().__init__(num_images)
        self.first_id = first_id

    def load(self, index, with_ignore_mask=False):
        sample = super().load(index, with_ignore_mask)
        sample.image_id = self.first_id + index
        return sample


def mixture(**options):
    given = {
        "name": "both",
        "sources": {"large": Numbered(6, 100), "small": Numbered(10, 200)},
        "ratios": {"large": 1.0, "small": 0.3},
        "light": ["large"],
    }
    return Mixture(**{**given, **options})


def of_epoch(source, seed, light=False):
    return source.epoch_indices(np.random.default_rng(seed), light).tolist()


def test_an_epoch_shows_the_share_of_each_source():
    ours = mixture()
    assert len(ours) == 16
    drawn = of_epoch(ours, seed=0)
    assert len(drawn) == len(set(drawn)) == 9
    ids = [ours.load(index).image_id for index in drawn]
    assert sorted(image_id for image_id in ids if image_id < 200) == list(range(100, 106))
    assert {image_id // 10 for image_id in ids} == {10, 20}


def test_a_source_gives_one_image_at_least():
    assert len(of_epoch(mixture(ratios={"large": 1.0, "small": 0.01}), seed=0)) == 7


def test_undrawn_images_are_those_of_the_source():
    class Undrawn(Numbered):
        def load_undrawn(self, index, with_ignore_mask=False):
            sample = self.load(index, with_ignore_mask)
            return replace(sample, image=Picture.of(sample), ignore_mask=None)

    ours = mixture(sources={"large": Numbered(6, 100), "small": Undrawn(10, 200)})
    for index in (0, 5, 6, 15):
        undrawn, loaded = ours.load_undrawn(index, with_ignore_mask=True), ours.load(index, with_ignore_mask=True)
        assert undrawn.image_id == loaded.image_id
        assert isinstance(undrawn.image, Picture) == (index > 5)
        np.testing.assert_array_equal(undrawn.drawn().image, loaded.image)
        np.testing.assert_array_equal(undrawn.drawn().ignore_mask, loaded.ignore_mask)


def test_every_image_has_its_turn():
    ours = mixture()
    assert {index for seed in range(30) for index in of_epoch(ours, seed)} == set(range(16))
    assert of_epoch(ours, 1) != of_epoch(ours, 2)
    assert of_epoch(ours, 1) == of_epoch(ours, 1)


def test_phase_c_shows_the_light_sources_only():
    assert sorted(of_epoch(mixture(), 0, light=True)) == list(range(6))
    assert len(of_epoch(mixture(light=None), 0, light=True)) == 9


def test_partners_come_from_the_images_of_the_epoch():
    asked = []

    class Watched(Numbered):
        def load(self, index, with_ignore_mask=False):
            asked.append(self.first_id + index)
            return super().load(index, with_ignore_mask)

    ours = mixture(sources={"large": Watched(6, 0), "small": Watched(10, 6)})
    phases = Phases(refine_start=0.25, light_start=0.5)
    data = TrainDataset(source=ours, image_size=SIZE, augment=published(), phases=phases, max_epochs=4, seed=3)
    for epoch in range(2):
        asked.clear()
        images = data.epoch_indices(epoch).tolist()
        for index in images:
            data[epoch, index]
        assert len(asked) > 4 * len(images)
        assert set(asked) == set(images)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Four epochs of which the last two are phase C: three batches each, then two, and a validation after every one."""
    return fit(module(train=mixture()), tmp_path_factory.mktemp("run"))


def test_epochs_become_shorter_in_phase_c_and_are_validated(uninterrupted):
    assert [epoch for epoch, _ in uninterrupted.shown] == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    in_c = [image for epoch, batch in uninterrupted.shown for image in batch["image_ids"] if epoch > 1]
    assert sorted(in_c) == sorted(2 * list(range(100, 106)))
    assert uninterrupted.validated == 4 * list(range(100, 105))


@pytest.mark.parametrize("num_workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(uninterrupted, tmp_path, num_workers):
    assert fit(module(train=mixture(), num_workers=num_workers), tmp_path).shown == uninterrupted.shown


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_resumed_run_sees_what_the_uninterrupted_one_did(uninterrupted, tmp_path, epochs):
    class Interrupted(type(uninterrupted)):
        def on_train_epoch_end(self):
            self.trainer.should_stop = self.current_epoch == epochs - 1

    first = fit(module(train=mixture()), tmp_path, witness=Interrupted())
    first.trainer.save_checkpoint(tmp_path / "last.ckpt")
    second = fit(module(train=mixture()), tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert first.shown + second.shown == uninterrupted.shown


def test_ranks_share_what_one_sees(monkeypatch):
    def shown(rank, world_size):
        data = module(train=mixture(), batch_size=1)
        monkeypatch.setattr(data, "_rank", lambda: (rank, world_size))
        return [content(batch) for batch in data.train_dataloader()]

    whole = shown(0, 1)
    assert [batch for pair in zip(*(shown(rank, 3) for rank in range(3)), strict=True) for batch in pair] == whole


def test_the_log_says_how_much_of_each_source(caplog):
    with caplog.at_level(logging.INFO):
        mixture()
    assert "both: 9 images an epoch: large 6 of 6, small 3 of 10; in phase C large" in caplog.text


@pytest.mark.parametrize(("options", "message"), [
    ({"ratios": {"large": 1.0}}, "must name the same data sets"),
    ({"ratios": {"large": 1.0, "small": 1.5}}, "ratios.small must be above 0 and at most 1, got 1.5"),
    ({"light": ["other"]}, "light must name some of the sources"),
    ({"light": []}, "light must name some of the sources"),
    ({"sources": {"large": None, "small": None}}, r"no source remains of \['large', 'small'\]"),
    ({"sources": {}, "ratios": {}}, "no source remains"),
])  # fmt: skip
def test_what_cannot_be_used_is_named(options, message):
    with pytest.raises(InputError, match=message):
        mixture(**options)


def test_sources_need_one_skeleton_and_cannot_be_evaluated_on_together():
    other = NoiseSource()
    other.skeleton = SPOT
    with pytest.raises(InputError, match="different skeletons"):
        mixture(sources={"large": NoiseSource(), "small": other})
    with pytest.raises(InputError, match="a mixture cannot be evaluated on"):
        mixture().ground_truth()


def test_a_source_that_is_null_is_left_out():
    both = mixture(sources={"large": Numbered(6, 100), "small": None})
    assert len(both) == 6
    with pytest.raises(InputError, match=r"light must name some of the sources \['small'\], got \['large'\]"):
        mixture(sources={"large": None, "small": Numbered(10, 200)})

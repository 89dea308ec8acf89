"""python -m rtmo.data preview: which sheets it writes of what."""

import cv2
import numpy as np

from rtmo.data_commands import preview

TINY = (
    *("data=synthetic", "model=rtmo_n", "image_size=[64,64]", "num_images=2", "height=64", "output=sheets"),
    *("data.train.num_images=4", "data.val.num_images=3", "trainer.max_epochs=10"),
)


def written(tmp_path):
    return {file.name for file in tmp_path.rglob("*") if file.is_file()}


def test_a_sheet_of_every_data_set_and_pipeline(call, tmp_path):
    code, stdout, stderr = call(preview.main, *TINY)
    assert (code, stderr) == (0, "")
    names = {"raw_train.jpg", "raw_val.jpg", "main_train.jpg", "light_train.jpg", "val_val.jpg"}
    assert written(tmp_path) == names
    assert {line.strip() for line in stdout.splitlines()} == {f"sheets/{name}" for name in names}
    shapes = {cv2.imread(str(tmp_path / "sheets" / name)).shape for name in names}
    assert len(shapes) == 1


def test_samples_are_those_of_the_training_that_the_words_describe(call, tmp_path):
    """The published augmentation is a mosaic from the first epoch on; without any, the image is as stored."""
    assert call(preview.main, *TINY, "only=train", "augment=none")[0] == 0
    plain = cv2.imread(str(tmp_path / "sheets" / "main_train.jpg"))
    assert call(preview.main, *TINY, "only=train", "recipe=published", "image_size=[64,64]")[0] == 0
    assert np.abs(cv2.imread(str(tmp_path / "sheets" / "main_train.jpg")).astype(int) - plain).mean() > 10
    assert written(tmp_path) == {"raw_train.jpg", "main_train.jpg", "light_train.jpg"}


def test_a_run_without_phase_c_has_no_sheet_of_it(call, tmp_path):
    assert call(preview.main, *TINY, "only=train", "phases.light_start=1")[0] == 0
    assert written(tmp_path) == {"raw_train.jpg", "main_train.jpg"}


def test_members_of_a_mixture_have_sheets_and_the_mixture_is_trained_on(call, tmp_path):
    people = "{_target_: rtmo.data.synthetic.source.SyntheticPeople, image_size: [64, 64], num_images: 3, seed: %d}"
    mixture = [
        *("+data.train.sources.one=" + people % 1, "+data.train.sources.two=" + people % 2),
        *("+data.train.ratios={one: 1.0, two: 0.5}", "+data.train.light=[one]", "+data.train._convert_=all"),
        *("data.train._target_=rtmo.data.mixture.Mixture", "~data.train.num_images", "~data.train.seed"),
        *(f"~data.train.{name}" for name in ("image_size", "max_people", "min_height", "max_things", "colors")),
        *(f"~data.train.{name}" for name in ("activities", "max_yaw", "keep")),
    ]
    tiny = [word for word in TINY if "train.num_images" not in word]
    assert call(preview.main, *tiny, *mixture)[0] == 0
    assert {"raw_train.sources.one.jpg", "raw_train.sources.two.jpg", "main_train.jpg"} <= written(tmp_path)
    assert "raw_train.jpg" not in written(tmp_path)
    assert call(preview.main, *tiny, *mixture, "only=train.sources.two", "output=other")[0] == 0
    assert {file.name for file in (tmp_path / "other").iterdir()} == {
        f"{kind}_train.sources.two.jpg" for kind in ("raw", "main", "light")
    }


def test_what_makes_no_sense_is_said(call):
    for words, message in (
        (["only=vall"], "only=vall: no such data set; did you mean 'val'?"),
        (["num_images=0"], "num_images: expected a whole number from 1 on, got 0"),
        (["num_image=1"], "did you mean 'num_images'?"),
        (["augment.main.flip.prob=2"], "prob and flip_prob must be in 0..1"),
    ):
        code, _, stderr = call(preview.main, *TINY, *words)
        assert code == 2
        assert message in stderr
        assert len(stderr.splitlines()) == 1


def test_the_help_page_names_every_option(call):
    code, page, _ = call(preview.main, "--help")
    assert code == 0
    for option in ("only", "num_images", "seed", "image_size", "height", "output"):
        assert f"  {option} " in page
    assert max(map(len, page.splitlines())) <= 120

import cv2
import numpy as np
import pytest
from small_coco import content, standing, write
from sources import SIZE, NoiseSource, published, spotted

from rtmo.data.coco_pose import CocoPose
from rtmo.data.pipeline import TrainDataset
from rtmo.data.preview import image_name, raw_sheet, sample_panel, training_sheet, validation_sheet
from rtmo.drawing import SIDE_COLOURS
from rtmo.phases import Phases
from rtmo.skeletons import COCO17, KeypointSet

LINE = KeypointSet("line", ("left_spot", "right_spot"), (("left_spot", "right_spot"),), (), (0.1, 0.1))
CAPTION = 22  # px


def near(image: np.ndarray, x: float, y: float) -> set[tuple[int, ...]]:
    part = image[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].reshape(-1, 3)
    return {tuple(pixel) for pixel in part.tolist()}


def test_a_panel_has_its_people_where_they_are_at_any_height():
    for factor in (1, 3):
        panel = sample_panel(spotted((30, 40), (90, 60)), LINE, "a.png", 96 * factor)
        assert panel.shape == (96 * factor + CAPTION, 128 * factor, 3)
        picture = panel[CAPTION:]
        assert SIDE_COLOURS["left"] in near(picture, 30 * factor, 40 * factor)
        assert SIDE_COLOURS["right"] in near(picture, 90 * factor, 60 * factor)


def test_only_ignored_regions_are_hatched():
    plain, masked = (spotted((30, 40), (90, 60), ignore=ignore) for ignore in (False, True))
    assert masked.ignore_mask is not None
    changed = (sample_panel(plain, LINE, "", 96) != sample_panel(masked, LINE, "", 96)).any(axis=2)[CAPTION:]
    assert changed.any()
    assert not changed[~masked.ignore_mask].any()


def test_joints_outside_do_no_harm():
    sample = spotted((30, 40), (90, 60))
    sample.keypoints[0, 1] = (4000, -4000)
    sample.visibility[0] = (2, 0)
    panel = sample_panel(sample, LINE, "", 96)
    assert SIDE_COLOURS["left"] in near(panel[CAPTION:], 30, 40)
    assert not (panel == SIDE_COLOURS["right"]).all(axis=2).any()


def dataset(max_epochs: int = 10) -> TrainDataset:
    steps = published()
    return TrainDataset(
        source=NoiseSource(), image_size=SIZE, augment=steps, phases=Phases(), max_epochs=max_epochs, seed=0
    )


def test_a_training_sheet_shows_what_training_gets():
    """One sample: its panel is that of the sample, below a heading, in the gap of the sheet."""
    samples = dataset()
    (first,) = np.random.default_rng(0).permutation(len(samples.source))[:1]
    expected = sample_panel(samples[0, int(first)].sample, COCO17, f"phase A, epoch 0, index {first}", 64)
    sheet = training_sheet(samples, [0], num_images=1, height=64)
    assert any(
        np.array_equal(sheet[top : top + expected.shape[0], 12 : 12 + expected.shape[1]], expected)
        for top in range(sheet.shape[0] - expected.shape[0])
    )


def test_sheets_are_a_function_of_the_seed_and_hold_no_more_than_there_is():
    source = NoiseSource(3)
    few, many = (raw_sheet(source, num_images=number, seed=1, height=64) for number in (3, 9))
    np.testing.assert_array_equal(few, many)
    assert not np.array_equal(few, raw_sheet(source, num_images=3, seed=2, height=64))
    light = training_sheet(dataset(), [9], num_images=2, height=64)
    np.testing.assert_array_equal(light, training_sheet(dataset(), [9], num_images=2, height=64))
    assert validation_sheet(source, SIZE, num_images=2, seed=0, height=64).shape[1] == 2 * (64 + 12) + 12


def test_captions_are_file_names(tmp_path):
    file = write(tmp_path, content(2))
    source = CocoPose(name="few", annotation_file=file, image_dir=tmp_path / "images", skeleton=COCO17)
    assert [image_name(source, index) for index in range(2)] == ["000.jpg", "001.jpg"]
    assert image_name(NoiseSource(), 3) == "image 3"


def test_people_without_keypoints_are_on_the_raw_sheet_as_ignored(tmp_path):
    described = content(1)
    described["annotations"][1].update(keypoints=[0] * 51, num_keypoints=0)
    source = CocoPose(
        name="few", annotation_file=write(tmp_path, described), image_dir=tmp_path / "images", skeleton=COCO17
    )
    sheet = raw_sheet(source, num_images=1, seed=0, height=64)
    x, y, width, height = standing(60, 10)["bbox"]
    image = cv2.imread(str(tmp_path / "images" / "000.jpg"))
    top, left = (sheet.shape[0] - 64 - 12, 12)
    region = np.s_[round(y) + 4 : round(y + height) - 4, round(x) + 4 : round(x + width) - 4]
    drawn = sheet[top : top + 64, left : left + 96]
    assert (drawn[region] != image[region]).any(axis=2).mean() > 0.9
    assert not (drawn[region] == SIDE_COLOURS["left"]).all(axis=2).any()


@pytest.mark.parametrize("height", [64, 200])
def test_long_captions_keep_their_end(height):
    sample = spotted((30, 40), (90, 60))
    long, other = (sample_panel(sample, LINE, f"{start}/{'folder/' * 20}image.png", height)[:CAPTION] for start in "ab")
    np.testing.assert_array_equal(long, other)  # the beginning is cut
    assert not np.array_equal(long, sample_panel(sample, LINE, f"{'folder/' * 20}image.jpg", height)[:CAPTION])

"""python -m rtmo.figures heatmaps: what is drawn, and the command."""

import json

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from rtmo.drawing import write_image
from rtmo.errors import InputError
from rtmo.figures import heatmaps
from rtmo.figures.found import Found
from rtmo.figures.heatmaps import samples
from rtmo.figures.network import chosen_joints
from rtmo.skeletons import COCO17
from rtmo.types import CoordinateCodes

NOSE, ANKLE = COCO17.joints.index("nose"), COCO17.joints.index("left_ankle")


def planted(bins: dict[int, tuple[int, int]]) -> Found:
    """One person in a black image whose joints lie in single bins; bin i lies at 10 + i px, in both directions."""
    heatmap_x, heatmap_y = torch.full((1, 17, 61), 1e-9), torch.full((1, 17, 81), 1e-9)
    for joint, (x, y) in bins.items():
        heatmap_x[0, joint, x], heatmap_y[0, joint, y] = 1, 1
    bins_x, bins_y = 10 + torch.arange(61.0)[None], 10 + torch.arange(81.0)[None]
    keypoints = torch.stack([(heatmap_x * bins_x[:, None]).sum(-1), (heatmap_y * bins_y[:, None]).sum(-1)], dim=-1)
    codes = CoordinateCodes(heatmap_x, heatmap_y, bins_x, bins_y, keypoints, None)
    return Found(np.zeros((100, 90, 3), np.uint8), torch.tensor([[16.0, 18, 64, 82]]), torch.tensor([0.9]), codes)


def test_the_hottest_pixel_is_where_the_heatmap_has_its_peak():
    found = planted({NOSE: (20, 10), ANKLE: (45, 70)})
    figure = heatmaps.draw_heatmaps(found, [NOSE, ANKLE], COCO17)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(float)
    redness = pixels[..., 0] - pixels[..., 2]  # of the heat; image, lines and paper are grey, curves blue

    for axes, (x, y) in zip(figure.axes[1:], [(30, 20), (55, 80)], strict=True):
        box = axes.get_window_extent()
        inside = np.zeros(redness.shape, bool)
        inside[-int(box.y1) : -int(box.y0), int(box.x0) : int(box.x1)] = True
        rows, columns = (inside & (redness > 0.9 * redness[inside].max())).nonzero()
        found_x, found_y = axes.transData.inverted().transform((columns.mean() + 0.5, len(redness) - rows.mean() - 0.5))
        assert (found_x, found_y) == pytest.approx((x, y), abs=0.75)


def test_what_is_drawn_is_described_in_px_of_the_image():
    (person,) = heatmaps.describe(planted({NOSE: (20, 10)}), [NOSE], COCO17)
    nose = person["joints"]["nose"]
    assert (person["score"], person["bins_x"], person["bins_y"]) == (0.9, [10, 70], [10, 90])
    assert nose["peak"] == nose["keypoint"] == [30, 20]
    assert np.argmax(nose["heatmap_x"]) == 20


def test_a_row_for_each_of_the_best_people(network, checkpoint, call, tmp_path):
    words = [f"checkpoint={checkpoint}", "score_thr=0", "nms_thr=1", "num_images=1", "people=2", "output=drawn"]
    code, stdout, _ = call(heatmaps.main, *words, "joints=nose")
    assert code == 0
    assert {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*")} == {
        *("drawn/heatmaps_0.png", "drawn/heatmaps_0.json"),
    }
    assert "drawn/heatmaps_0.png\n" in stdout
    people = json.loads((tmp_path / "drawn/heatmaps_0.json").read_text())
    assert [list(person["joints"]) for person in people] == [["nose"]] * 2


def test_files_of_ones_own_are_shown_as_they_are(tmp_path):
    write_image(tmp_path / "street.png", np.full((40, 70, 3), 90, np.uint8))
    ((name, sample),) = samples({"image": str(tmp_path / "street.png")}, COCO17)
    assert (name, sample.image_size, sample.num_people) == ("street", (40, 70), 0)
    with pytest.raises(InputError, match=r"image=nowhere.jpg: cannot be read \(No such file or directory\)"):
        list(samples({"image": ["nowhere.jpg"]}, COCO17))


def test_images_of_one_name_would_overwrite_each_other():
    with pytest.raises(InputError, match=r"image: a/1.jpg and b/1.jpg would be drawn into the same file"):
        list(samples({"image": ["a/1.jpg", "2.jpg", "b/1.jpg"]}, COCO17))


def test_joints_are_chosen_by_name_or_spread_over_the_body():
    assert chosen_joints(["nose", "left_ankle"], COCO17, 4) == [NOSE, ANKLE]
    assert [COCO17.joints[joint] for joint in chosen_joints([], COCO17, 4)] == (
        ["nose", "left_shoulder", "left_hip", "right_ankle"]
    )
    with pytest.raises(InputError, match="joints: coco17 has no left_wirst; did you mean"):
        chosen_joints(["left_wirst"], COCO17, 4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["score_thr=1"], "score_thr=1: the network finds nobody in any image; lower it, or give other images"),
        (["people=0"], "people: expected a whole number from 1 on, got 0"),
        (["joints=[]"], "joints: expected a name or a list of them, got []"),
        (["score_thr=banana"], "score_thr: expected a number from 0 to 1, got 'banana'"),
        (["image=street.jpg"], "num_images: of validation images, read only without image=...; remove one of them"),
        (["device=abacus"], "device=abacus: cannot be used"),
    ],
)
def test_what_cannot_be_drawn_is_said(checkpoint, call, tmp_path, words, message):
    code, _, stderr = call(heatmaps.main, f"checkpoint={checkpoint}", "num_images=1", "output=drawn", *words)
    assert code == 2
    assert stderr.startswith(f"error: {message}")
    assert len(stderr.splitlines()) == 1
    assert not (tmp_path / "drawn").exists()

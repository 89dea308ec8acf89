"""``python -m rtmo.export``: options that cannot be used, and images to compare on."""

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from exported_files import PAIR
from networks import lively_rtmo, reference_state, save_reference

from rtmo import config
from rtmo.errors import InputError
from rtmo.export import KEYS, check_candidates, check_values, drawn_people, images_of, main
from rtmo.inference.exported import FORMS, PRECISIONS, read_record
from rtmo.skeletons import COCO17


@pytest.fixture(scope="module")
def options() -> dict:
    overrides = ["checkpoint=best.ckpt", "output=model.onnx"]
    return config.validate(config.compose("export", overrides), "export", KEYS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"form": "best"}, "form=best: unknown; choose one of nms, topk, raw"),
        ({"precision": "int4"}, "precision=int4"),
        ({"score_thr": 2}, "score_thr=2: expected a number from 0 to 1"),
        ({"nms_thr": None}, "nms_thr=None"),
        ({"candidates": 0}, "candidates=0"),
        ({"max_images": 0}, "max_images=0"),
        ({"output": "model.engine"}, "end the name in .onnx"),
        ({"precision": "int8"}, "images: has no value; int8"),
    ],
)
def test_refuses_values_before_anything_takes_long(options, changes, message) -> None:
    with pytest.raises(InputError, match=message):
        check_values(options | changes)


def test_every_form_and_precision_is_an_option(options) -> None:
    for form in FORMS:
        check_values(options | {"form": form})
    assert set(options["limits"]) == set(PRECISIONS)


def test_candidates_are_at_most_the_grid_points(options) -> None:
    topk = options | {"form": "topk"}
    check_candidates(topk, (256, 256), (16, 32))
    with pytest.raises(InputError, match="an image of 128 x 128 px has 80 grid points"):
        check_candidates(topk, (128, 128), (16, 32))
    check_candidates(options, (128, 128), (16, 32))


def test_images_are_letterboxed(options, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.full((40, 80, 3), 200, np.uint8))
    given = options | {"images": str(tmp_path), "max_images": 2}
    first, _second = images_of(given, "images", (64, 64), COCO17)

    assert first.shape == (64, 64, 3)
    assert (first[0, 0] == 114).all()
    assert (first[32, 32] == 200).all()
    assert len(images_of(given, "calibration_images", (64, 64), COCO17)) == 3  # those of images, by their own number


def test_images_that_cannot_be_read(options, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(InputError, match="none of these images can be read"):
        images_of(options | {"images": str(tmp_path)}, "images", (64, 64), COCO17)


def test_drawn_people_need_joints_that_can_be_drawn() -> None:
    assert [image.shape for image in drawn_people(1, (96, 64), COCO17)] == [(96, 64, 3)]
    with pytest.raises(InputError, match="give images="):
        drawn_people(1, (96, 64), PAIR)


def test_a_missing_checkpoint_ends_with_2(call) -> None:
    code, _, error = call(main, "checkpoint=none.ckpt", "output=model.onnx")

    assert code == 2
    assert (
        error
        == "error: checkpoint=none.ckpt: no such file; give checkpoints/best.ckpt of a run, or a published model\n"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes", "collected_afterwards")
def test_exports(call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    weights = save_reference(tmp_path / "small.pth", reference_state(lively_rtmo()))
    arguments = (f"checkpoint={weights}", "output=there/model.onnx", "image_size=[160,192]", "max_images=3")
    code, printed, _ = call(main, *arguments, "score_thr=0.3")
    file = tmp_path / "there" / "model.onnx"

    assert code == 0
    assert "there/model.onnx" in printed
    assert "0 are found by one alone" in printed
    assert read_record(file).image_size == (160, 192)
    assert [path.name for path in file.parent.iterdir()] == ["model.onnx"]

    content = onnx.load(file)  # made once: to make it takes half a minute
    del content.metadata_props[:]
    monkeypatch.setattr("rtmo.deploy.file.make_onnx", lambda *_: content)
    code, _, error = call(main, *arguments, "score_thr=1", "output=other.onnx")
    assert code == 2
    assert "proves nothing" in error
    assert not (tmp_path / "other.onnx").exists()

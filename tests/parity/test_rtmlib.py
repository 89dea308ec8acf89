"""rtmlib, a client of RTMO that others wrote, runs our files unchanged and gives our poses."""

from pathlib import Path

import numpy as np
import pytest
import rtmlib
import torch
from networks import lively_rtmo

from rtmo.deploy.file import make_file
from rtmo.deploy.verification import Limits
from rtmo.inference.exported import ExportRecord
from rtmo.skeletons import COCO17

SIZE = (160, 192)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked_shapes", "collected_afterwards")
@pytest.mark.parametrize("form", ["nms", "topk"])
def test_gives_our_poses(form: str, tmp_path: Path) -> None:
    model = lively_rtmo()
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    padded, ratio = rtmlib.RTMO.preprocess(_Sized, image)  # letterboxed to the upper left
    with torch.inference_mode():
        outputs = model(torch.from_numpy(padded).permute(2, 0, 1)[None].float())
    score_thr = float(outputs.cls_logits.sigmoid().quantile(0.9))
    (expected,) = model.decode(outputs, score_thr, 0.5)
    source = {"file": "best.ckpt", "config": None}
    thresholds = {"score_thr": score_thr, "nms_thr": 0.5}
    record = ExportRecord(form=form, precision="float32", skeleton=COCO17, image_size=SIZE, source=source, **thresholds)
    limits = Limits(unmatched=0, keypoints=0.5, scores=1e-3)
    file = tmp_path / "model.onnx"
    make_file(file, model, record, candidates=100, images=[padded], calibration_images=[], limits=limits)

    client = rtmlib.RTMO(str(file), model_input_size=SIZE)
    suppresses = form == "topk"  # itself, with boxes counted one px larger: somebody close to another may be missing
    keypoints, scores = client(image, score_thr=score_thr, nms_thr=0.5 if suppresses else 1)

    distances = np.linalg.norm(keypoints[:, None] * ratio - expected.keypoints.numpy()[None], axis=-1).max(axis=-1)
    assert len(expected) > 3
    assert len(expected) * (0.9 if suppresses else 1) <= len(keypoints) <= len(expected)
    assert distances.min(axis=1).max() < 1
    assert len(set(distances.argmin(axis=1))) == len(keypoints)
    np.testing.assert_allclose(scores, expected.keypoint_scores.numpy()[distances.argmin(axis=1)], atol=1e-3)


class _Sized:
    """What rtmlib's preprocessing reads of its model."""

    model_input_size = SIZE
    mean = None

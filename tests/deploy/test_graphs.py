"""The graphs of exported files in torch: the poses of ``RTMO.decode``."""

import numpy as np
import pytest
import torch
from networks import lively_rtmo

from rtmo.deploy.graphs import graph_of
from rtmo.models.fusing import for_inference
from rtmo.types import HeadOutputs

NMS_THR, CANDIDATES = 0.65, 12
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 3, 96, 128)).astype(np.float32))
IMAGES[1] *= 0.2  # where the network finds other numbers of people


@pytest.fixture(scope="module", params=["dcc", "regression"])
def model(request):
    return for_inference(lively_rtmo(decoding=request.param))


def run(model, form: str, score_thr: float = 0.3) -> tuple[torch.Tensor, ...]:
    with torch.inference_mode():
        return graph_of(model, form, score_thr=score_thr, nms_thr=NMS_THR, candidates=CANDIDATES)(IMAGES)


def test_nms_gives_the_people_and_then_zeros(model) -> None:
    outputs = model(IMAGES)
    score_thr = float(outputs.cls_logits.sigmoid().quantile(0.8))
    expected = model.decode(outputs, score_thr, NMS_THR)
    counts = [len(poses) for poses in expected]
    detections, keypoints = run(model, "nms", score_thr)

    assert len(set(counts)) > 1
    assert detections.shape == (3, max(counts), 5)
    assert keypoints.shape == (3, max(counts), 17, 3)
    for poses, found, joints in zip(expected, detections, keypoints, strict=True):
        here = len(poses)
        torch.testing.assert_close(found[:here, 4], poses.scores)
        limits = torch.tensor([128.0, 96, 128, 96])
        torch.testing.assert_close(found[:here, :4].clamp(min=0).minimum(limits), poses.bboxes)
        torch.testing.assert_close(joints[:here, :, :2], poses.keypoints, rtol=0, atol=1e-3)
        torch.testing.assert_close(joints[:here, :, 2], poses.keypoint_scores)
        assert not found[here:].any()
        assert not joints[here:].any()


def test_nobody_is_one_row_of_zeros(model) -> None:
    detections, keypoints = run(model, "nms", score_thr=1)

    assert detections.shape == (3, 1, 5)
    assert keypoints.shape == (3, 1, 17, 3)
    assert not detections.any()
    assert not keypoints.any()


def test_topk_gives_the_best_candidates(model) -> None:
    outputs = model(IMAGES)
    best, priors = outputs.cls_logits[..., 0].sigmoid().topk(CANDIDATES)
    images = torch.arange(3)[:, None].expand(3, CANDIDATES)
    detections, keypoints = run(model, "topk")
    bboxes = detections[..., :4].flatten(0, 1)

    torch.testing.assert_close(detections[..., 4], best)
    expected = model.keypoints(outputs, images.flatten(), priors.flatten(), bboxes).unflatten(0, (3, CANDIDATES))
    torch.testing.assert_close(keypoints[..., :2], expected, rtol=0, atol=1e-3)


def test_raw_gives_what_decode_reads(model) -> None:
    graph = graph_of(model, "raw", score_thr=0.3, nms_thr=NMS_THR, candidates=CANDIDATES)
    with torch.inference_mode():
        given = dict(zip(graph.output_names, graph(IMAGES), strict=True))
    absent = {"proxy_offsets": None, "pose_vectors": given["cls_logits"][..., :0]}
    outputs = HeadOutputs(**(absent | given), image_size=(96, 128))

    for found, expected in zip(model.decode(outputs), model.decode(model(IMAGES)), strict=True):
        assert torch.equal(found.keypoints, expected.keypoints)


def test_half_precision_gives_float32() -> None:
    model = for_inference(lively_rtmo(), torch.float16)

    for form in ("nms", "topk", "raw"):
        assert {output.dtype for output in run(model, form)} == {torch.float32}

"""Networks made ready for inference compute the same."""

import pytest
import torch
from networks import lively_rtmo, small_rtmo
from torch import nn

from rtmo.models.fusing import for_inference, fused
from rtmo.models.rtmo import RTMO

IMAGES = torch.randint(0, 256, (2, 3, 96, 128), generator=torch.Generator().manual_seed(0)).float()
DENSE = ("cls_logits", "bbox_offsets", "visibility_logits", "pose_vectors")


def assert_same(model: RTMO, changed: RTMO, tolerance: float) -> None:
    """Compares the heads' outputs, and the keypoints at the same priors and boxes."""
    before, after = model(IMAGES), changed(IMAGES)
    for name in DENSE:
        expected = getattr(before, name)
        if expected.numel():  # regression has no pose vectors
            difference = (expected - getattr(after, name).float()).abs().amax()
            assert difference <= tolerance * expected.abs().amax(), name
    people = model.find_people(before, 0.02, 0.65)
    assert len(people.priors) > 3
    at = (people.images, people.priors, people.bboxes)
    difference = (model.keypoints(before, *at) - changed.keypoints(before, *at)).abs()
    assert difference.amax() < 1e-2


@pytest.mark.parametrize(
    "options", [{}, {"backbone": "resnet50"}, {"decoding": "regression"}, {"decoding": "cc_dba"}], ids=str
)
@torch.no_grad()
def test_a_fused_network_computes_the_same_without_norms(options):
    model = lively_rtmo(**options)
    ready = fused(model)
    assert_same(model, ready, tolerance=1e-3)
    assert not any(isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) for module in ready.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@torch.no_grad()
def test_half_precision_is_for_the_dense_part_only():
    model = small_rtmo()
    ready = for_inference(model, torch.bfloat16)
    assert_same(model, ready, tolerance=0.05)
    outputs = ready(IMAGES)
    assert outputs.pose_vectors.dtype == torch.bfloat16
    assert outputs.priors.dtype == ready.dcc.x_fc.weight.dtype == torch.float32
    assert ready.decode(outputs, 0.2)[0].keypoints.dtype == torch.float32

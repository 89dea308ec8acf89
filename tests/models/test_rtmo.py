import pytest
import torch

from rtmo.models.dcc import DynamicCoordinateClassifier
from rtmo.models.resnet import ResNet50
from rtmo.models.rtmo import RTMO

SMALL = {
    "num_keypoints": 5,
    "widen_factor": 0.125,
    "deepen_factor": 0.33,
    "hidden_dim": 32,
    "num_heads": 4,
    "ffn_dim": 64,
}


def small_model(**changes) -> RTMO:
    torch.manual_seed(0)
    return RTMO(**{**SMALL, **changes})


@pytest.mark.parametrize(
    ("widen", "deepen", "total", "training_only"),
    [
        (0.375, 0.33, 6_829_875, 10_422),
        (0.5, 0.33, 9_868_899, 14_230),
        (0.75, 0.67, 22_526_307, 21_302),
        (1.0, 1.0, 44_693_315, 28_374),
    ],
)
def test_published_parameter_counts(widen: float, deepen: float, total: int, training_only: int) -> None:
    with torch.device("meta"):
        counts = RTMO(num_keypoints=17, widen_factor=widen, deepen_factor=deepen).parameter_counts()
    assert counts["total"] == total
    assert counts["training_only"] == training_only


def test_resnet50_is_within_a_percent_of_the_paper() -> None:
    with torch.device("meta"):
        model = RTMO(num_keypoints=17, backbone="resnet50", widen_factor=1.0, deepen_factor=1.0)
    assert model.parameter_counts()["total"] == pytest.approx(41.7e6, rel=0.01)


def test_resnet50_has_torchvision_keys() -> None:
    with torch.device("meta"):
        keys = ResNet50().state_dict()
    assert keys["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert keys["layer4.2.bn3.running_var"].shape == (2048,)
    assert len(keys) == 318  # torchvision's 320 less fc.weight and fc.bias


@pytest.mark.parametrize("strides", [(16, 32), (8, 16, 32)])
def test_levels(strides: tuple[int, ...]) -> None:
    model = small_model(strides=strides).eval()
    with torch.no_grad():
        outputs = model(torch.zeros(2, 3, 64, 96))
    num_priors = sum((64 // stride) * (96 // stride) for stride in strides)
    assert outputs.cls_logits.shape == (2, num_priors, 1)
    assert outputs.visibility_logits.shape == (2, num_priors, 5)
    assert outputs.proxy_offsets is None
    assert outputs.strides.unique().tolist() == list(strides)


def test_proxy_only_when_asked_for() -> None:
    model = small_model().train()
    assert model(torch.zeros(2, 3, 64, 64)).proxy_offsets is None
    assert model(torch.zeros(2, 3, 64, 64), with_proxy=True).proxy_offsets.shape == (2, 20, 5, 2)


def test_image_size_must_be_a_multiple_of_32() -> None:
    with pytest.raises(ValueError, match="multiples of 32, got height 64 and width 100"):
        small_model()(torch.zeros(1, 3, 64, 100))


def test_unknown_backbone() -> None:
    with pytest.raises(ValueError, match="choose csp_darknet or resnet50"):
        small_model(backbone="vgg")


def test_nobody_found() -> None:
    model = small_model().eval()
    with torch.no_grad():
        poses = model.decode(model(torch.zeros(2, 3, 64, 64)), score_thr=0.99)
    assert [len(image) for image in poses] == [0, 0]
    assert poses[0].keypoints.shape == (0, 5, 2)


def test_decode_orders_people_and_clips_boxes() -> None:
    model = small_model().eval()
    with torch.no_grad():
        poses = model.decode(model(torch.rand(2, 3, 64, 96) * 255), score_thr=0.0, nms_thr=0.5)
    for image in poses:
        assert len(image) > 1
        assert (image.scores.diff() <= 0).all()
        assert image.bboxes.min() >= 0
        assert image.bboxes[:, 2].max() <= 96
        assert image.bboxes[:, 3].max() <= 64


def test_an_image_alone_gives_what_it_gives_in_a_batch() -> None:
    model = small_model().eval()
    images = torch.rand(3, 3, 64, 64) * 255
    with torch.no_grad():
        together = model.decode(model(images), score_thr=0.0)
        alone = model.decode(model(images[1:2]), score_thr=0.0)[0]
    torch.testing.assert_close(together[1].keypoints, alone.keypoints, rtol=1e-4, atol=1e-3)


def test_classifier_trains_on_one_person_and_on_none() -> None:
    dcc = DynamicCoordinateClassifier(in_dim=16, num_keypoints=5, num_bins=(12, 16), dim=8, attention_dim=8).train()
    bboxes = torch.tensor([[10.0, 20.0, 50.0, 100.0], [0.0, 0.0, 30.0, 40.0]])
    for people in (0, 1, 2):
        codes = dcc(torch.randn(people, 16), bboxes[:people], torch.zeros(people, 2), with_sigmas=True)
        assert codes.keypoints.shape == (people, 5, 2)
        codes.keypoints.sum().backward()


def test_classifier_stays_in_float32_under_autocast() -> None:
    dcc = DynamicCoordinateClassifier(in_dim=16, num_keypoints=5, num_bins=(12, 16), dim=8, attention_dim=8).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = dcc(torch.randn(2, 16).bfloat16(), torch.rand(2, 4).sort(-1).values * 600, torch.zeros(2, 2))
    assert codes.keypoints.dtype == torch.float32
    assert codes.heatmap_x.dtype == torch.float32


def test_keypoints_stay_within_the_padded_box() -> None:
    dcc = DynamicCoordinateClassifier(in_dim=16, num_keypoints=5, num_bins=(12, 16), dim=8, attention_dim=8).eval()
    codes = dcc(torch.randn(1, 16), torch.tensor([[100.0, 100.0, 200.0, 300.0]]), torch.tensor([[151.0, 199.0]]))
    assert codes.keypoints[..., 0].min() >= 100 - 12.5
    assert codes.keypoints[..., 1].max() <= 300 + 25
    torch.testing.assert_close(codes.heatmap_y.sum(-1), torch.ones(1, 5))


def classifier(**changes) -> DynamicCoordinateClassifier:
    torch.manual_seed(0)
    sizes = {"in_dim": 16, "num_keypoints": 5, "num_bins": (12, 16), "dim": 8, "attention_dim": 8}
    return DynamicCoordinateClassifier(**sizes, **changes).eval()


BOXES = torch.tensor([[100.0, 100.0, 200.0, 300.0], [10.0, 20.0, 40.0, 80.0]])
GRID_POINTS = torch.tensor([[151.0, 199.0], [23.0, 55.0]])


def test_static_bins_span_their_range_about_the_grid_point_whatever_the_box() -> None:
    dcc = classifier(dynamic_encoding=False, static_range=64.0)
    codes = dcc(torch.randn(2, 16), BOXES, GRID_POINTS)
    for axis, bins in enumerate((codes.bins_x, codes.bins_y)):
        torch.testing.assert_close(bins[:, 0], GRID_POINTS[:, axis] - 32)
        torch.testing.assert_close(bins[:, -1], GRID_POINTS[:, axis] + 32)


def test_without_dynamic_encoding_heatmaps_do_not_depend_on_the_box() -> None:
    pose_vectors = torch.randn(2, 16)
    moved = BOXES + torch.tensor([30.0, 0.0, 60.0, 0.0])
    for dynamic in (False, True):
        dcc = classifier(dynamic_encoding=dynamic)
        here, there = (dcc(pose_vectors, boxes, GRID_POINTS) for boxes in (BOXES, moved))
        assert torch.equal(here.heatmap_x, there.heatmap_x) is not dynamic
        assert not torch.equal(here.keypoints, there.keypoints)  # the bins follow the box


def test_a_static_range_must_be_positive() -> None:
    with pytest.raises(ValueError, match="static_range must be positive, got 0"):
        classifier(static_range=0)


@pytest.mark.parametrize("decoding", ["dcc", "cc_dba", "cc_static", "regression"])
def test_every_decoding_uses_all_its_parameters_and_finds_poses(decoding: str) -> None:
    """A parameter without a gradient would stop distributed training."""
    model = small_model(decoding=decoding, static_range=64.0 if decoding == "cc_static" else None).train()
    outputs = model(torch.rand(2, 3, 64, 64) * 255, with_proxy=True)
    assert outputs.proxy_offsets is not None
    people = (outputs.pose_vectors[:, 0], torch.tensor([[0.0, 0.0, 40.0, 60.0]]).expand(2, 4), outputs.priors[:2])
    codes = [] if model.dcc is None else [model.dcc(*people, with_sigmas=True)]
    parts = [outputs.cls_logits, outputs.bbox_offsets, outputs.visibility_logits, outputs.proxy_offsets]
    parts += [part for code in codes for part in (code.keypoints, code.pred_sigmas)]
    torch.stack([part.square().sum() for part in parts]).sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []

    model.eval()
    with torch.no_grad():
        outputs = model(torch.rand(2, 3, 64, 96) * 255)
        poses = model.decode(outputs, score_thr=0.0)
    assert all(len(image) > 0 and image.keypoints.isfinite().all() for image in poses)
    assert (outputs.proxy_offsets is not None) is (decoding == "regression")


def test_by_regression_the_pose_is_the_proxy_of_its_grid_point() -> None:
    model = small_model(decoding="regression").eval()
    assert model.dcc is None
    assert model.parameter_counts()["dcc"] == model.parameter_counts()["training_only"] == 0
    with torch.no_grad():
        outputs = model(torch.rand(1, 3, 64, 64) * 255)
        best = outputs.cls_logits[0, :, 0].argmax()
        pose = model.decode(outputs, score_thr=0.0)[0]
    expected = outputs.priors[best] + outputs.strides[best] * outputs.proxy_offsets[0, best]
    torch.testing.assert_close(pose.keypoints[0], expected)


@pytest.mark.parametrize("num_heads", [0, 3])
def test_heads_divide_the_channels(num_heads: int) -> None:
    with pytest.raises(ValueError, match=rf"num_heads={num_heads} must divide model\.hidden_dim=32"):
        small_model(num_heads=num_heads)


def test_unknown_decoding() -> None:
    with pytest.raises(ValueError, match=r"model\.decoding='heatmap' is unknown; choose one of dcc, .*, regression"):
        small_model(decoding="heatmap")


@pytest.mark.parametrize(("decoding", "static_range"), [("dcc", 64.0), ("regression", 64.0), ("cc_static", None)])
def test_the_static_range_goes_with_static_bins_alone(decoding: str, static_range: float | None) -> None:
    with pytest.raises(ValueError, match=r"static_range=.*: px for decoding=cc_static, null for"):
        small_model(decoding=decoding, static_range=static_range)

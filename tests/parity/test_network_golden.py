"""The reduced model agrees with tensors that the reference implementation computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from golden import flat_levels, largest_difference, tiny_model

from rtmo.ops.affine import unwarp_poses
from rtmo.ops.positions import sine_encoding, sine_encoding_2d
from rtmo.ops.priors import make_priors
from rtmo.types import CoordinateCodes

TOLERANCE = 5e-5  # of each tensor's maximum; float32 sums in another order


@pytest.fixture(scope="module")
def golden_dir(shared_dir: Path) -> Path:
    return shared_dir / "golden"


@pytest.fixture(scope="module")
def arrays(golden_dir: Path) -> np.lib.npyio.NpzFile:
    return np.load(golden_dir / "tiny_eval.npz")


@pytest.fixture(scope="module")
def model(golden_dir: Path):
    return tiny_model(golden_dir)


@torch.no_grad()
def test_backbone_and_encoder(model, arrays) -> None:
    features = model.backbone(torch.from_numpy(arrays["inputs_a"]).float())
    for level, feature in enumerate(features):
        assert largest_difference(feature, arrays[f"a/backbone/{level}"]) < TOLERANCE
    projected = model.neck.input_proj[2](features[2])
    encoded = model.neck.encoder(projected).flatten(2).transpose(1, 2)
    assert largest_difference(encoded, arrays["a/neck/encoder_out"]) < TOLERANCE
    assert largest_difference(sine_encoding_2d(8, 10, 32, 10_000.0)[None], arrays["a/neck/pos_enc"]) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("inputs", ["a", "b"])
def test_neck_and_head(model, arrays, inputs: str) -> None:
    images = torch.from_numpy(arrays[f"inputs_{inputs}"]).float()
    for level, feature in enumerate(model.neck(model.backbone(images))):
        assert largest_difference(feature, arrays[f"{inputs}/neck/{level}"]) < TOLERANCE
    outputs = model(images, with_proxy=True)
    for ours, reference in (
        (outputs.cls_logits, "cls_scores"),
        (outputs.bbox_offsets, "bbox_preds"),
        (outputs.proxy_offsets.flatten(2), "kpt_offsets"),
        (outputs.visibility_logits, "kpt_vis"),
        (outputs.pose_vectors, "pose_feats"),
    ):
        assert largest_difference(ours, flat_levels(arrays, f"{inputs}/head/{reference}")) < TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("inputs", ["a", "b"])
def test_predictions(model, arrays, inputs: str) -> None:
    images = torch.from_numpy(arrays[f"inputs_{inputs}"]).float()
    for index, poses in enumerate(model.decode(model(images), score_thr=0.1, nms_thr=0.65)):
        for name in ("scores", "bboxes", "keypoints", "keypoint_scores"):
            reference = arrays[f"{inputs}/pred/{index}/{name}"]
            assert largest_difference(getattr(poses, name), reference) < TOLERANCE


@torch.no_grad()
def test_predictions_in_the_original_image(model, arrays) -> None:
    width, height = arrays["meta/input_size_wh"]
    scale, center = arrays["meta/input_scale"], arrays["meta/input_center"]
    # the reference maps back by p / size * scale + center - scale / 2; this is that map's inverse
    zoom = np.array([width, height]) / scale
    warp = torch.from_numpy(np.column_stack((np.diag(zoom), -zoom * (center - scale / 2))))
    images = torch.from_numpy(arrays["inputs_a"]).float()
    for index, poses in enumerate(model.decode(model(images))):
        original = unwarp_poses(poses, warp)
        assert largest_difference(original.keypoints, arrays[f"a/pred_image_space/{index}/keypoints"]) < TOLERANCE
        assert largest_difference(original.bboxes, arrays[f"a/pred_image_space/{index}/bboxes"]) < TOLERANCE


@torch.no_grad()
def test_coordinate_classifier(model, arrays) -> None:
    bboxes, centers_scales = torch.from_numpy(arrays["dcc/bboxes"]), arrays["dcc/bbox_cs"]
    pose_vectors, priors = torch.from_numpy(arrays["dcc/pose_feats"]), torch.from_numpy(arrays["dcc/grids"])
    codes: CoordinateCodes = model.dcc(pose_vectors, bboxes, priors, with_sigmas=True)
    assert largest_difference(codes.heatmap_x, arrays["dcc/x_prob"]) < TOLERANCE
    assert largest_difference(codes.heatmap_y, arrays["dcc/y_prob"]) < TOLERANCE
    assert largest_difference(codes.keypoints, arrays["dcc/keypoints"]) < TOLERANCE
    assert codes.pred_sigmas is not None
    assert largest_difference(codes.pred_sigmas, arrays["dcc/sigmas"]) < TOLERANCE
    # the bins span the padded box, both ends included
    assert largest_difference(codes.bins_x[:, -1] - codes.bins_x[:, 0], centers_scales[:, 2]) < TOLERANCE
    assert largest_difference(codes.bins_y.mean(1), centers_scales[:, 1]) < TOLERANCE
    # dynamic bin encoding, as the reference stores it: after the linear map
    for axis, bin_fc, bins in ((0, model.dcc.x_fc, codes.bins_x), (1, model.dcc.y_fc, codes.bins_y)):
        code = sine_encoding(bins - priors[:, axis : axis + 1], model.dcc.dim, model.dcc.temperature)
        assert largest_difference(bin_fc(code), arrays[f"dcc/{'xy'[axis]}_bins_enc"]) < TOLERANCE


def test_priors(arrays) -> None:
    points, strides = make_priors((256, 320), (16, 32))
    assert np.array_equal(points.numpy(), arrays["priors"][:, :2])
    assert np.array_equal(strides.numpy(), arrays["priors"][:, 2])


def test_units(golden_dir: Path) -> None:
    units = np.load(golden_dir / "units.npz")
    for size in (32, 128):
        code = sine_encoding(torch.from_numpy(units[f"spe1d_{size}/position"]), size, 300.0)
        assert largest_difference(code, units[f"spe1d_{size}/enc"]) < TOLERANCE
    rows, columns = 8, 10
    code_2d = sine_encoding_2d(rows, columns, 256, 10_000.0)
    assert largest_difference(code_2d[None], units["spe2d_256/enc_flat"]) < TOLERANCE

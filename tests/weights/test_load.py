"""Weights go into networks whole, joint by joint, or as a backbone; whatever does not fit is said."""

import logging
from dataclasses import replace

import pytest
import torch
from networks import reference_state, save_reference, small_rtmo

from rtmo.errors import InputError
from rtmo.models.rtmo import KEYPOINT_PREFIXES, TRAINING_ONLY_PREFIXES
from rtmo.skeletons import COCO17, CROWDPOSE14, KeypointSet
from rtmo.weights.checkpoint import read_checkpoint
from rtmo.weights.load import load_pretrained, load_weights

REVERSED = replace(COCO17, name="reversed", joints=COCO17.joints[::-1], oks_sigmas=COCO17.oks_sigmas[::-1])
FIVE = KeypointSet(
    "five", ("nose", "tail", "left_hip", "right_hip", "horn"), (("left_hip", "right_hip"),), (), (0.1,) * 5
)


@pytest.fixture(scope="module")
def trained():
    return small_rtmo()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, trained):
    return read_checkpoint(save_reference(tmp_path_factory.mktemp("trained") / "best.pth", reference_state(trained)))


@pytest.fixture
def image():
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 255


def decoded(model, image):
    return model.decode(model(image), score_thr=0.0)[0]


def test_the_whole_network_gives_the_same_poses(checkpoint, trained, image):
    model = small_rtmo(seed=1)
    report = load_weights(model, checkpoint)
    ours, expected = decoded(model, image), decoded(trained, image)
    assert len(ours) > 5
    assert torch.equal(ours.keypoints, expected.keypoints)
    assert torch.equal(ours.keypoint_scores, expected.keypoint_scores)
    assert not report.is_partial
    names = set(model.state_dict())
    assert set(report.loaded) | set(report.converted) == names
    assert set(report.training_only) == {name for name in names if name.startswith(TRAINING_ONLY_PREFIXES)}
    assert report.other == ("meta",)
    assert str(report).startswith(
        f"{len(names)} weights loaded, {len(report.converted)} of them under other names, 7 of"
    )


def test_joints_in_another_order_find_the_same_poses(checkpoint, trained, image):
    model = small_rtmo(REVERSED, seed=1)
    report = load_weights(model, checkpoint, REVERSED)
    ours, expected = decoded(model, image), decoded(trained, image)
    torch.testing.assert_close(ours.keypoints.flip(1), expected.keypoints, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.keypoint_scores.flip(1), expected.keypoint_scores, rtol=1e-5, atol=1e-6)
    codes, expected_codes = (
        m.dcc(torch.ones(1, 64), torch.tensor([[5.0, 5.0, 60.0, 90.0]]), torch.tensor([[30.0, 40.0]]), with_sigmas=True)
        for m in (model, trained)
    )
    torch.testing.assert_close(codes.pred_sigmas.flip(1), expected_codes.pred_sigmas)
    proxies = model(image, with_proxy=True).proxy_offsets.flip(2), trained(image, with_proxy=True).proxy_offsets
    torch.testing.assert_close(*proxies, rtol=1e-5, atol=1e-5)
    assert report.joints_kept == REVERSED.joints
    assert not report.is_partial


def test_joints_of_the_same_name_keep_their_weights_and_others_stay_fresh(checkpoint, trained):
    fresh, model = small_rtmo(FIVE, seed=1), small_rtmo(FIVE, seed=1)
    report = load_weights(model, checkpoint, FIVE)
    assert report.joints_kept == ("nose", "left_hip", "right_hip")
    assert report.joints_fresh == ("tail", "horn")
    assert "joints kept: nose, left_hip, right_hip; fresh: tail, horn" in str(report)
    own, initial, given = model.state_dict(), fresh.state_dict(), trained.state_dict()
    wide = [name for name in own if name.startswith(KEYPOINT_PREFIXES) and own[name].ndim]
    assert len(wide) == 17  # 2 levels x 2 branches x 2, keypoint_fc 2, its norm 4, position code 1, spread 2
    for name in own:
        if name not in wide:
            assert torch.equal(own[name], given[name]), name
            continue
        blocks, fresh_blocks, theirs = (
            t.unflatten(0, (k, -1)) for t, k in ((own[name], 5), (initial[name], 5), (given[name], 17))
        )
        for joint, block, fresh_block in zip(FIVE.joints, blocks, fresh_blocks, strict=True):
            expected = theirs[COCO17.joints.index(joint)] if joint in COCO17.joints else fresh_block
            assert torch.equal(block, expected), (name, joint)


def test_a_file_that_does_not_name_its_joints(checkpoint, caplog):
    nameless = replace(checkpoint, skeleton=None)
    assert load_weights(small_rtmo(REVERSED), nameless, REVERSED).joints_kept == REVERSED.joints
    assert "taken to be those of reversed, in order" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert load_weights(small_rtmo(CROWDPOSE14), nameless, CROWDPOSE14).joints_fresh == CROWDPOSE14.joints
    assert "does not name its 17 joints: none is kept" in caplog.text


def test_a_shape_that_differs_is_named_with_both_shapes(checkpoint):
    with pytest.raises(
        InputError, match=r"backbone\.stem\.conv\.conv\.weight is \(8, 12, 3, 3\) in the file and \(16, 12"
    ):
        load_weights(small_rtmo(widen_factor=0.25), checkpoint)
    with pytest.raises(InputError, match=r"\(8, 12, 3, 3\) in the file and \(16, 12, 3, 3\)"):
        load_weights(small_rtmo(FIVE, widen_factor=0.25), checkpoint, FIVE)
    with pytest.raises(
        InputError, match=r"head\.dcc\.pose_to_kpts\.0\.weight is \(272, 64\) in the file and \(544, 64\)"
    ):
        load_weights(small_rtmo(dcc_dim=32), checkpoint)


def test_a_file_of_another_size_is_named_for_what_it_is(tmp_path):
    published = small_rtmo(widen_factor=0.375, hidden_dim=256)
    checkpoint = read_checkpoint(save_reference(tmp_path / "t.pth", reference_state(published)))
    for other in ({"widen_factor": 0.25}, {"widen_factor": 0.375, "deepen_factor": 0.67}):
        with pytest.raises(InputError, match=r"; the file is of rtmo_t: take model=rtmo_t$"):
            load_weights(small_rtmo(**{"hidden_dim": 256, **other}), checkpoint)


def test_unexpected_missing_and_training_only_weights(tmp_path, trained):
    state = reference_state(trained)
    more = save_reference(tmp_path / "more.pth", {**state, "extra.weight": torch.ones(2)})
    report = load_weights(small_rtmo(), read_checkpoint(more))
    assert report.unexpected == ("extra.weight",)
    assert report.is_partial
    assert "unexpected, not used: extra.weight" in str(report)

    deployed = {name: value for name, value in state.items() if "kpt_reg" not in name and "sigma_fc" not in name}
    report = load_weights(small_rtmo(), read_checkpoint(save_reference(tmp_path / "deployed.pth", deployed)))
    assert len(report.fresh) == 7
    assert not report.is_partial

    del state["neck.lateral_convs.0.conv.weight"]
    with pytest.raises(InputError, match=r"lacks 1 of the network's \d+ weights: neck\.lateral_convs\.0\.conv\.weight"):
        load_weights(small_rtmo(), read_checkpoint(save_reference(tmp_path / "less.pth", state)))


def test_a_detector_gives_its_backbone(tmp_path, trained):
    detector = {f"backbone.{name}": value for name, value in trained.backbone.state_dict().items()}
    detector |= {"bbox_head.conv.weight": torch.ones(3), "neck.conv.weight": torch.ones(3)}
    path = save_reference(tmp_path / "yolox.pth", detector)
    model, initial = small_rtmo(seed=1), small_rtmo(seed=1)
    report = load_pretrained(model, str(path), COCO17)
    for name, value in model.state_dict().items():
        source = trained if name.startswith("backbone.") else initial
        assert torch.equal(value, source.state_dict()[name]), name
    assert set(report.unexpected) == {"bbox_head.conv.weight", "neck.conv.weight"}
    assert len(report.loaded) == len(model.backbone.state_dict())
    with pytest.raises(
        InputError, match=r"yolox\.pth: backbone\.\S+ is \(\d.* take the backbone of the network's own size"
    ):
        load_pretrained(small_rtmo(widen_factor=0.25), str(path), COCO17)


def test_torchvisions_resnet_gives_its_backbone(tmp_path):
    model, other = small_rtmo(backbone="resnet50"), small_rtmo(backbone="resnet50", seed=1)
    weights = {**other.backbone.state_dict(), "fc.weight": torch.ones(1000, 2048), "fc.bias": torch.ones(1000)}
    old = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "resnet50.pth")
    report = load_pretrained(model, str(tmp_path / "resnet50.pth"), COCO17)
    for name, value in other.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name
    assert report.unexpected == ("fc.weight", "fc.bias")
    with pytest.raises(InputError, match=r"resnet50\.pth: no such backbone; it lacks \d+ of \d+ weights: stem\.conv"):
        load_pretrained(small_rtmo(), str(tmp_path / "resnet50.pth"), COCO17)


def test_a_training_can_start_from_a_whole_network(tmp_path, trained):
    path = save_reference(tmp_path / "best.pth", reference_state(trained))
    model = small_rtmo(CROWDPOSE14, seed=1)
    report = load_pretrained(model, str(path), CROWDPOSE14)
    assert report.joints_fresh == ("top_head", "neck")
    assert len(report.joints_kept) == 12


def test_weights_of_another_decoding_are_refused_by_name(checkpoint):
    other = replace(checkpoint, model={**checkpoint.model, "decoding": "cc_dba"})
    with pytest.raises(InputError, match=r"decodes by cc_dba and the network by dcc; take model\.decoding=cc_dba"):
        load_weights(small_rtmo(), other)
    with pytest.raises(InputError, match="decodes by dcc and the network by regression"):
        load_weights(small_rtmo(decoding="regression"), checkpoint)

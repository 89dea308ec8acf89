"""``rtmo.load_model`` by size, by path and with other joints."""

import logging

import pytest
import torch
from golden import tiny_model
from networks import reference_state, save_reference, small_rtmo
from safetensors.torch import load_file

import rtmo
from rtmo.errors import InputError
from rtmo.hub import model_names
from rtmo.models.rtmo import RTMO


@pytest.fixture
def published(tmp_path):
    return save_reference(tmp_path / "rtmo-x.pth", reference_state(small_rtmo()))


def test_a_size_gives_fresh_weights_as_published_recipes_initialise_them():
    torch.manual_seed(0)
    model = rtmo.load_model("rtmo_n")
    assert not model.training
    assert model.num_keypoints == 17
    assert model.dcc.x_fc.weight.std() > 0.04  # recipe=fast shrinks it
    assert rtmo.load_model("rtmo_n", skeleton="crowdpose14").num_keypoints == 14
    assert rtmo.load_model("rtmo_n", num_bins=(32, 48)).dcc.y_bins.shape == (48,)
    assert set(model_names()) >= {"rtmo_t", "rtmo_s", "rtmo_m", "rtmo_l"}


def test_a_path_gives_its_weights(published):
    model = rtmo.load_model(published)
    assert isinstance(model, RTMO)
    assert not model.training
    expected = small_rtmo().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_other_joints_are_said_aloud(published, tmp_path, caplog):
    skeleton = tmp_path / "horse3.yaml"
    skeleton.write_text("joints: [nose, left_ear, tail]\noks_sigmas: [0.02, 0.03, 0.1]\n")
    with caplog.at_level(logging.WARNING):
        model = rtmo.load_model(str(published), skeleton=str(skeleton))
    assert model.num_keypoints == 3
    assert "joints kept: nose, left_ear; fresh: tail" in caplog.text


def test_what_the_weights_do_not_tell_can_be_said(shared_dir, tmp_path):
    """The reduced reference network has four attention heads, which leave no trace."""
    weights = load_file(shared_dir / "golden" / "tiny_model.safetensors")
    path = save_reference(tmp_path / "tiny.pth", weights)
    image = torch.rand(1, 3, 64, 64) * 255
    expected = tiny_model(shared_dir / "golden")(image).pose_vectors
    assert torch.equal(rtmo.load_model(path, num_heads=4)(image).pose_vectors, expected)
    assert not torch.allclose(rtmo.load_model(path)(image).pose_vectors, expected)


def test_an_argument_that_contradicts_the_weights_is_refused(published):
    with pytest.raises(InputError, match="in the file and"):
        rtmo.load_model(published, ffn_dim=128)
    with pytest.raises(InputError, match="widen"):
        rtmo.load_model(published, widen=1)
    with pytest.raises(InputError, match="neither a file nor a published model"):
        rtmo.load_model("rtmo_x")

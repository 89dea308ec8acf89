"""``rtmo.Predictor`` on images of every form."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from networks import lively_rtmo, reference_state, save_reference
from PIL import Image

import rtmo
from rtmo.errors import InputError
from rtmo.inference.predictor import as_pixels
from rtmo.inference.torch_backend import TorchBackend

OPTIONS = {"image_size": [64, 96], "score_thr": 0.005, "device": "cpu"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_reference(tmp_path_factory.mktemp("weights") / "small.pth", reference_state(lively_rtmo()))


@pytest.fixture(scope="module")
def predictor(weights):
    return rtmo.Predictor(weights, **OPTIONS)


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)


def test_poses_are_those_of_the_network_in_px_of_the_image(predictor):
    """An image twice as wide as the frame: the network sees it at half the size, in the middle of the frame."""
    image = np.random.default_rng(1).integers(0, 256, (96, 192, 3), np.uint8)
    poses = predictor(image)
    pixels, warp = predictor.fit(image)
    model = lively_rtmo()
    expected = model.decode(model(torch.from_numpy(pixels).permute(2, 0, 1)[None].float()), OPTIONS["score_thr"])[0]
    assert len(poses) == len(expected) > 3
    np.testing.assert_allclose(warp, [[0.5, 0, 0], [0, 0.5, 8]])
    shift = torch.tensor([0.0, 8.0])
    torch.testing.assert_close(poses.keypoints, (expected.keypoints - shift) * 2, rtol=0, atol=0.05)
    torch.testing.assert_close(poses.scores, expected.scores, rtol=0, atol=1e-4)
    assert torch.equal(poses.bboxes, poses.bboxes.clamp(min=0).minimum(torch.tensor([192.0, 96, 192, 96])))


def test_arrays_pil_images_and_paths_are_the_same_image(predictor, image, tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), image)
    expected = predictor(image)
    assert len(expected) > 3
    for given in (path, str(path), Image.open(path), Image.fromarray(image[..., ::-1])):
        assert torch.equal(predictor(given).keypoints, expected.keypoints)


def test_pil_images_of_any_mode_are_as_if_read(predictor, image, tmp_path):
    deep = Image.fromarray(image[..., 0].astype(np.uint16) * 257)
    clear = Image.fromarray(np.dstack([image, image[..., :1]]))
    for name, given in (("deep.png", deep), ("clear.png", clear)):
        given.save(tmp_path / name)
        expected = predictor(tmp_path / name)
        assert len(expected) > 3
        assert torch.equal(predictor(given).keypoints, expected.keypoints)


def test_poses_can_be_changed_in_place(predictor, image):
    poses = predictor(image)
    for field in (poses.bboxes, poses.scores, poses.keypoints, poses.keypoint_scores):
        field.add_(1)  # tensors of torch.inference_mode would refuse


def test_a_list_gives_a_list_whatever_the_batch(weights, predictor, image):
    images = [image, image[:, :80], image[:50]]
    expected = [predictor(one) for one in images]
    batched = rtmo.Predictor(weights, **OPTIONS, batch_size=2)(images)
    assert len(batched) == 3
    assert predictor([]) == []
    assert min(map(len, expected)) > 3
    for poses, alone in zip(batched, expected, strict=True):
        torch.testing.assert_close(poses.keypoints, alone.keypoints, rtol=0, atol=0.05)


def test_what_is_no_image_is_refused(predictor, image):
    for given in (image[..., 0], image.astype(np.float32), image[:0]):
        with pytest.raises(InputError, match="BGR array of uint8"):
            predictor(given)
    for given in (None, (image, image), torch.from_numpy(image)):
        with pytest.raises(InputError, match=f"a BGR array or an image of Pillow, got {type(given).__name__}"):
            as_pixels(given)
    with pytest.raises(InputError, match="fractions"):
        predictor(Image.new("F", (4, 4)))


def test_a_bare_size_has_no_weights_and_is_refused():
    with pytest.raises(InputError, match="rtmo_s_coco"):
        rtmo.Predictor("rtmo_s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:77"}, "device=cuda:77"),
        ({"device": "toaster"}, "device=toaster"),
        ({"precision": "int4"}, "precision=int4"),
        ({"backend": "abacus"}, "backend=abacus"),
        ({"score_thr": 7}, "score_thr=7"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"image_size": [100, 100]}, "multiples of 32"),
        ({"image_size": None}, "does not tell"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(weights, options, message):
    with pytest.raises(InputError, match=message):
        rtmo.Predictor(weights, **{**OPTIONS, **options})


def test_half_precision_finds_the_same_people(weights, image):
    backend = TorchBackend(weights, precision="bfloat16", **OPTIONS)
    assert backend.description == "torch bfloat16 on cpu"
    images = rtmo.Predictor(weights, **OPTIONS).fit(image)[0][None]
    outputs = backend.network(images)
    assert outputs.pose_vectors.dtype == torch.bfloat16
    found = backend.decode(outputs)[0]
    assert len(found) > 3
    assert found.keypoints.isfinite().all()


COMPILED = """
import json
import sys
import numpy as np
import rtmo
file, weights, options = sys.argv[1:]
predictor = rtmo.Predictor(weights, **json.loads(options), compile=True)
assert predictor.backend.description == "torch compiled float32 on cpu"
np.save(file, predictor(np.load(file)).keypoints)
"""


@pytest.mark.slow  # a C++ compiler is at work
@pytest.mark.skipif(" " in torch.__path__[0], reason="torch cannot compile from a folder with a space in its name")
def test_a_compiled_network_finds_the_same_people(weights, predictor, image, tmp_path):
    """In a process of its own: shapes are checked in this one, which cannot be compiled."""
    file = tmp_path / "image.npy"
    np.save(file, image)
    subprocess.run([sys.executable, "-c", COMPILED, file, weights, json.dumps(OPTIONS)], check=True)
    found = torch.from_numpy(np.load(file))
    assert len(found) > 3
    torch.testing.assert_close(found, predictor(image).keypoints, rtol=0, atol=0.05)

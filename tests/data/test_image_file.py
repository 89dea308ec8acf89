import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from rtmo.data.image_file import ImageFile, check_complete, read_image, read_size
from rtmo.data.values import MAX_PIXELS
from rtmo.errors import InputError
from rtmo.inference.images import read_any

EXIF_TURNED = bytes.fromhex("ffe10022457869660000") + bytes.fromhex(
    "4d4d002a00000008000101120003000000010006000000000000"  # orientation 6: turn by 90 degrees to display
)
THUMBNAIL = bytes.fromhex("ffe10006") + b"\xff\xd9\xff\xd9"  # a segment that holds end markers


@pytest.fixture
def jpeg(tmp_path):
    image = np.zeros((30, 50, 3), dtype=np.uint8)
    image[..., 0] = 200
    file = tmp_path / "blue.jpg"
    cv2.imwrite(str(file), image)
    return file


def with_segment(file, segment):
    data = file.read_bytes()
    file.write_bytes(data[:2] + segment + data[2:])


def test_images_are_bgr(jpeg):
    image = read_image(jpeg)
    assert image.shape == (30, 50, 3)
    np.testing.assert_allclose(image.reshape(-1, 3).mean(0), (200, 0, 0), atol=3)


def test_exif_orientation_is_ignored(jpeg):
    with_segment(jpeg, EXIF_TURNED)
    turned = cv2.imread(str(jpeg))
    assert turned.shape == (50, 30, 3), "the segment has no effect, so this test would prove nothing"
    assert read_image(jpeg).shape == (30, 50, 3)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_truncated_jpeg_is_named(jpeg, share):
    data = jpeg.read_bytes()
    jpeg.write_bytes(data[: int(len(data) * share)])
    for look in (read_image, lambda file: read_image(file, reduction=4), check_complete):
        with pytest.raises(InputError, match=r"blue\.jpg: .*cut short.*download"):
            look(jpeg)


def test_a_thumbnail_does_not_hide_the_cut(jpeg):
    with_segment(jpeg, THUMBNAIL)
    read_image(jpeg)
    data = jpeg.read_bytes()
    jpeg.write_bytes(data[:-10])
    with pytest.raises(InputError, match="cut short"):
        read_image(jpeg)


def test_data_after_the_end_is_fine(jpeg):
    jpeg.write_bytes(jpeg.read_bytes() + b"maker's notes")
    check_complete(jpeg)
    assert read_image(jpeg).shape == (30, 50, 3)


@pytest.mark.parametrize("content", [b"", b"\xff", b"no image at all"])
def test_what_is_no_image_is_named(tmp_path, content):
    file = tmp_path / "odd.jpg"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"odd\.jpg"):
        read_image(file)


def test_an_image_wider_than_opencv_takes_is_named(tmp_path):
    file = tmp_path / "ribbon.png"
    Image.fromarray(np.zeros((1, 2**20 + 1), np.uint8)).save(file)
    with pytest.raises(InputError, match=r"ribbon\.png: not an image that OpenCV can read"):
        read_image(file)


def test_an_empty_file_is_noticed_early(tmp_path):
    file = tmp_path / "empty.jpg"
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"empty\.jpg: .*cut short"):
        check_complete(file)


def test_png_works(tmp_path):
    file = tmp_path / "image.png"
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    cv2.imwrite(str(file), image)
    check_complete(file)
    np.testing.assert_array_equal(read_image(file), image)


def test_the_size_is_in_the_header(jpeg, tmp_path):
    with_segment(jpeg, EXIF_TURNED)
    data = jpeg.read_bytes()
    jpeg.write_bytes(data[:-10])  # the header is there
    assert read_size(jpeg) == (30, 50)
    assert read_size(jpeg, displayed=True) == (50, 30)
    for content in (b"no image at all", data[:30]):
        (tmp_path / "odd.jpg").write_bytes(content)
        with pytest.raises(InputError, match=r"odd\.jpg: not an image"):
            read_size(tmp_path / "odd.jpg")


@pytest.mark.parametrize(("reduction", "shape"), [(2, (15, 25, 3)), (4, (8, 13, 3)), (8, (4, 7, 3))])
def test_jpegs_can_be_read_smaller(jpeg, reduction, shape):
    with_segment(jpeg, EXIF_TURNED)
    assert read_image(jpeg, reduction=reduction).shape == shape
    assert read_image(jpeg, displayed=True, reduction=reduction).shape == (50, 30, 3)  # whole


def test_other_formats_are_read_whole(tmp_path):
    file = tmp_path / "named.jpg"  # what it is, its bytes say
    file.write_bytes(cv2.imencode(".png", np.zeros((30, 50, 3), dtype=np.uint8))[1].tobytes())
    assert read_image(file, reduction=4).shape == (30, 50, 3)


@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_an_image_of_another_size_is_named_at_every_scale(jpeg, tmp_path, reduction):
    for size in ((15, 25), (60, 100)):
        with pytest.raises(InputError, match=rf"30 x 50 px, but \S*people\.json says {size[0]} x {size[1]}"):
            ImageFile(jpeg, size, False, tmp_path / "people.json").read(reduction)


@pytest.mark.parametrize(("depth", "channels"), [(np.uint8, 1), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3)])
def test_grey_deep_and_transparent_images_become_bgr(tmp_path, depth, channels):
    file = tmp_path / "image.png"
    cv2.imwrite(str(file), np.full((3, 5, channels), 200 * (np.iinfo(depth).max // 255), dtype=depth))
    assert read_image(file).dtype == np.uint8
    np.testing.assert_array_equal(read_image(file), np.full((3, 5, 3), 200))


def claiming(file, width, height):
    """A PNG whose header says it is as large, and that holds next to nothing."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(header))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + checksum + b"\0\0\0\0IDAT\x35\xaf\x06\x1e")
    return file


def test_an_image_of_too_many_pixels_is_refused_by_its_header(tmp_path, monkeypatch):
    file = claiming(tmp_path / "bomb.png", 65500, 65500)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("room was made for it"))
    for look in (read_image, read_size, read_any):
        with pytest.raises(
            InputError, match=r"bomb\.png: too large \(.* exceeds limit of 178956970 pixels.*reduce the image"
        ):
            look(file)


def test_the_limit_is_the_one_that_annotations_are_checked_by():
    assert MAX_PIXELS == 2 * Image.MAX_IMAGE_PIXELS


def test_formats_that_run_programs_are_no_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
    for look in (read_image, read_size):
        with pytest.raises(InputError, match=r"a\.png: not an image, or a damaged one; download"):
            look(tmp_path / "a.png")

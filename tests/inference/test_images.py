"""Image files of every form, as a viewer shows them."""

import numpy as np
import pytest
from PIL import Image

from rtmo.data.image_file import read_image
from rtmo.errors import InputError
from rtmo.inference.images import read_any

ORIENTATION = 0x0112


@pytest.fixture
def colours() -> np.ndarray:
    """RGB, no two rows or columns the same, smooth enough for lossy formats."""
    row, column = np.mgrid[:24, :32]
    return np.stack([row * 10, column * 7, 255 - row * 3 - column * 4], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_lossless_formats_keep_every_pixel(tmp_path, colours, suffix):
    Image.fromarray(colours).save(tmp_path / f"image{suffix}")
    np.testing.assert_array_equal(read_any(tmp_path / f"image{suffix}"), colours[..., ::-1])


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".gif"])
def test_lossy_formats_are_close(tmp_path, colours, suffix):
    options = {} if suffix == ".gif" else {"quality": 95}
    Image.fromarray(colours).save(tmp_path / f"image{suffix}", **options)
    difference = read_any(tmp_path / f"image{suffix}").astype(int) - colours[..., ::-1]
    assert np.abs(difference).mean() < 8


def test_a_jpeg_has_the_pixels_that_training_sees(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "image.jpg", quality=80)
    np.testing.assert_array_equal(read_any(tmp_path / "image.jpg"), read_image(tmp_path / "image.jpg"))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_images_are_turned_as_exif_says(tmp_path, colours, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(colours).save(tmp_path / f"image{suffix}", exif=exif, quality=95)
    turned = read_any(tmp_path / f"image{suffix}")
    assert turned.shape == (32, 24, 3)
    assert np.abs(turned.astype(int) - np.rot90(colours[..., ::-1], -1)).mean() < 4


def test_sixteen_bits_are_scaled_and_not_cut_off(tmp_path, colours):
    deep = colours[..., 0].astype(np.uint16) * 257
    expected = np.repeat(colours[..., :1], 3, axis=2)
    for suffix in (".png", ".tif", ".pgm"):
        Image.fromarray(deep).save(tmp_path / f"deep{suffix}")
        np.testing.assert_array_equal(read_any(tmp_path / f"deep{suffix}"), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_grey_and_other_modes_have_three_channels(tmp_path, colours, mode):
    image = Image.fromarray(colours).convert(mode)
    image.save(tmp_path / "image.tif")
    np.testing.assert_array_equal(read_any(tmp_path / "image.tif"), np.asarray(image.convert("RGB"))[..., ::-1])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_lies_on_white(tmp_path, mode):
    image = Image.new("RGBA", (8, 4), (10, 10, 10, 0))
    image.paste((90, 90, 90, 255), (0, 0, 4, 4))
    image.convert(mode).save(tmp_path / "image.png")
    read = read_any(tmp_path / "image.png")
    assert (read[:, :4] == 90).all()
    assert (read[:, 4:] == 255).all()


def test_half_transparent_is_half_way_to_white(tmp_path):
    Image.new("RGBA", (2, 2), (0, 100, 200, 51)).save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_any(tmp_path / "image.png")[0, 0], [244, 224, 204])


def test_of_an_animation_the_first_frame_is_read(tmp_path):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    assert (read_any(tmp_path / "moving.gif") == [0, 0, 255]).all()


def text(path):
    path.write_text("not an image")


def broken_avif(path):
    Image.new("RGB", (8, 8)).save(path)
    path.write_bytes(path.read_bytes().replace(b"pitm", b"none"))


def half(path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("image.jpg", text, "not an image"),
        ("image.jpg", lambda path: path.touch(), "an empty file"),
        ("image.jpg", half, "cut short"),
        ("image.png", half, "truncated"),
        ("image.avif", broken_avif, "cannot be read"),
        ("image.jpg", lambda path: None, "No such file"),
        ("image.jpg", lambda path: path.mkdir(), "directory"),
        ("image.png", lambda path: Image.new("F", (4, 4)).save(path, "TIFF"), "fractions"),
        ("image.png", lambda path: Image.new("I", (4, 4), 70000).save(path, "TIFF"), "more than 16 bits"),
        ("image.png", lambda path: Image.new("RGB", (4, 4)).save(path, "EPS"), "not an image"),
    ],
    ids=[
        "text",
        "empty",
        "half a jpeg",
        "half a png",
        "broken avif",
        "nothing",
        "folder",
        "fractions",
        "32 bits",
        "program",
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        read_any(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_images_of_absurd_size_are_refused_before_they_are_decoded(tmp_path, monkeypatch, suffix):
    Image.new("RGB", (5, 4)).save(tmp_path / f"bomb{suffix}")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9)
    with pytest.raises(InputError, match=f"bomb{suffix}: too large"):
        read_any(tmp_path / f"bomb{suffix}")


def test_a_png_that_says_to_be_larger_than_the_memory_is_named(tmp_path, colours, monkeypatch):
    Image.fromarray(colours).save(tmp_path / "large.png")

    def load(_: Image.Image) -> None:
        raise MemoryError  # as Pillow does for a chunk of gigabytes where there is no room for them

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", load)
    with pytest.raises(InputError, match=r"large\.png: cannot be read \(it says to need more memory than there is\)"):
        read_any(tmp_path / "large.png")

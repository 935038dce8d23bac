"""Every kind of image file becomes BGR uint8, upright, or is named in a clear error."""

import cv2
import numpy as np
import pytest
from PIL import Image

from yolactpp.data.image_file import ImageError, read_image, read_image_size

RED_OVER_BLUE_RGB = np.zeros((8, 4, 3), np.uint8)
RED_OVER_BLUE_RGB[:4, :, 0] = 200
RED_OVER_BLUE_RGB[4:, :, 2] = 200
RED_OVER_BLUE_BGR = RED_OVER_BLUE_RGB[:, :, ::-1]


def test_rgb_comes_as_bgr(tmp_path):
    Image.fromarray(RED_OVER_BLUE_RGB).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_OVER_BLUE_BGR)


def test_greyscale_is_repeated(tmp_path):
    grey = np.arange(32, dtype=np.uint8).reshape(8, 4)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.stack([grey] * 3, axis=-1))


def test_alpha_is_dropped(tmp_path):
    rgba = np.dstack([RED_OVER_BLUE_RGB, np.full((8, 4), 30, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_OVER_BLUE_BGR)


def test_sixteen_bits_keep_their_high_byte(tmp_path):
    deep = (np.arange(32, dtype=np.uint16).reshape(8, 4) << 8) + 17
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[:, :, 1], deep >> 8)


def test_palette_is_resolved(tmp_path):
    Image.fromarray(RED_OVER_BLUE_RGB).convert("P", palette=Image.Palette.ADAPTIVE).save(
        tmp_path / "a.png"
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RED_OVER_BLUE_BGR)


def test_cmyk_is_converted(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    blue, green, red = read_image(tmp_path / "a.jpg").mean(axis=(0, 1))
    assert red > 230
    assert max(blue, green) < 40


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, 0), (3, 2), (6, 3), (8, 1)],
    ids=["upright", "upside down", "right", "left"],
)
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(np.rot90(RED_OVER_BLUE_RGB, -turn))
    Image.fromarray(stored).resize([side * 8 for side in stored.shape[1::-1]], 0).save(
        tmp_path / "a.jpg", exif=exif, quality=95
    )
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (64, 32, 3)
    assert image[:20, :, 2].mean() > 150
    assert image[-20:, :, 0].mean() > 150
    assert read_image_size(tmp_path / "a.jpg") == (64, 32)


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [[[3, 2, 1]]]


@pytest.mark.parametrize("reader", [read_image, read_image_size])
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file|no such file"), (b"", "empty"), (b"GIF was here", "image")],
)
def test_unreadable_files_are_named(tmp_path, reader, content, reason):
    if content is not None:
        (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.png.*({reason})"):
        reader(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_file_cut_off_is_named(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    noise = np.random.RandomState(0).randint(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ImageError, match="cut off"):
        read_image(path)


def test_a_folder_is_no_image(tmp_path):
    with pytest.raises(ImageError, match="directory"):
        read_image(tmp_path)

"""Decoding: upright RGB out of whatever shops and cameras write."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, JpegImagePlugin

from stages.contracts.images import IMAGE_SUFFIXES, TooManyPixels, decode, encode_jpeg, open_rgb, pixels, resized

RED, BLUE = (250, 10, 10), (10, 10, 250)


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def two_colors(size=(60, 40), mode="RGB"):
    """Left half red, right half blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def near(color, other, tolerance=12):
    return max(abs(a - b) for a, b in zip(color, other, strict=True)) <= tolerance


def test_plain_jpeg_needs_no_repair():
    image, repairs = decode(saved(two_colors(), "JPEG", quality=95))
    assert (image.mode, image.size, repairs) == ("RGB", (60, 40), [])
    assert near(image.getpixel((5, 20)), RED)
    assert near(image.getpixel((55, 20)), BLUE)


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise to show
    image, repairs = decode(saved(two_colors(), "JPEG", quality=95, exif=exif))
    assert (image.size, repairs) == ((40, 60), ["exif_rotation"])
    assert near(image.getpixel((20, 5)), RED)  # the left half is on top now
    assert near(image.getpixel((20, 55)), BLUE)
    assert decode(encode_jpeg(image))[1] == []


def test_picture_is_turned_although_another_tag_holds_what_it_should_not():
    """A resolution of bytes instead of a fraction: PIL's own exif_transpose fails when it writes the tags anew."""
    entries = [(0x0112, 3, 1, struct.pack("<HH", 6, 0)), (0x011A, 7, 4, b"abcd")]
    tags = b"".join(struct.pack("<HHI", *entry) + value for *entry, value in entries)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + tags + struct.pack("<I", 0)
    data = saved(two_colors(), "JPEG", quality=95)
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    with pytest.raises(TypeError):
        ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    image, repairs = decode(data)
    assert (image.size, repairs) == ((40, 60), ["exif_rotation"])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pil_turns_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)), "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert decode(data)[0].tobytes() == expected.tobytes()


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (40, 40), (*RED, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 40))
    decoded, repairs = decode(saved(image, "PNG"))
    assert repairs == ["format", "mode"]
    assert decoded.getpixel((5, 20)) == (255, 255, 255)
    assert decoded.getpixel((35, 20)) == RED


def test_half_transparent_pixels_are_blended_with_white():
    decoded, _ = decode(saved(Image.new("RGBA", (40, 40), (0, 0, 0, 128)), "PNG"))
    assert near(decoded.getpixel((5, 5)), (127, 127, 127), 1)


def test_transparent_gray_becomes_white():
    decoded, _ = decode(saved(Image.new("LA", (40, 40), (0, 0)), "PNG"))
    assert decoded.getpixel((5, 5)) == (255, 255, 255)


def test_palette_keeps_its_colors_and_its_transparency_is_white():
    image = two_colors(mode="P")
    decoded, repairs = decode(saved(image, "PNG"))
    assert repairs == ["format", "mode"]
    assert near(decoded.getpixel((5, 20)), RED, 60)  # the web palette has steps of 51
    decoded, _ = decode(saved(image, "PNG", transparency=image.getpixel((5, 20))))
    assert decoded.getpixel((5, 20)) == (255, 255, 255)
    assert near(decoded.getpixel((55, 20)), BLUE, 60)


def test_cmyk_jpeg_becomes_rgb():
    decoded, repairs = decode(saved(two_colors(mode="CMYK"), "JPEG", quality=95))
    assert (decoded.mode, repairs) == ("RGB", ["mode"])
    assert near(decoded.getpixel((5, 20)), RED, 20)
    assert near(decoded.getpixel((55, 20)), BLUE, 20)


def test_gray_becomes_rgb():
    decoded, repairs = decode(saved(Image.new("L", (40, 40), 90), "JPEG"))
    assert repairs == ["mode"]
    assert near(decoded.getpixel((20, 20)), (90, 90, 90), 2)


def test_sixteen_bit_gray_is_scaled_not_clipped():
    """40,000 of 65,535 is a mid gray; clipping to 255 would make every such image white."""
    data = saved(Image.fromarray(np.full((40, 40), 40_000, np.uint16)), "PNG")
    assert near(decode(data)[0].getpixel((5, 5)), (156, 156, 156), 2)


def test_png_in_a_jpg_file_is_found_by_its_bytes():
    _, repairs = decode(saved(two_colors(), "PNG"))
    assert repairs == ["format"]


@pytest.mark.parametrize("keep", [20, 200, 600])
def test_truncated_jpeg_raises(keep):
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8)), "JPEG")
    assert len(data) > keep
    with pytest.raises((OSError, ValueError, SyntaxError)):
        decode(data[:keep])


@pytest.mark.parametrize("data", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"\xff\xd8\xff\xe0"])
def test_file_that_is_no_image_raises(data):
    with pytest.raises((OSError, ValueError, SyntaxError)):
        decode(data)


def test_image_that_claims_too_many_pixels_raises_what_callers_catch(monkeypatch):
    """PIL's DecompressionBombError is none of the three; a hostile file must be a reject, not a traceback."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises((OSError, ValueError, SyntaxError)):
        decode(saved(two_colors(), "PNG"))


def test_image_above_max_pixels_is_refused_before_it_is_decoded():
    data = saved(two_colors((60, 40)), "PNG")
    assert decode(data, max_pixels=2400)[0].size == (60, 40)
    with pytest.raises(TooManyPixels, match="60x40, more than 2399 pixels"):
        decode(data[:60], max_pixels=2399)  # the header alone: there are no pixels to decode


def test_bomb_that_pil_refuses_has_too_many_pixels():
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 40000, 40000, 8, 2, 0, 0, 0)
    with pytest.raises(TooManyPixels):
        decode(header + struct.pack(">II", zlib.crc32(header[12:]), 9) + b"IDAT")


def test_postscript_named_jpg_is_not_run():
    with pytest.raises(OSError, match="^not an image of a kind that is read$"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_bytes_turned_anywhere_never_crash(kind):
    data = bytearray(saved(two_colors(), kind))
    for place in range(0, min(len(data), 400), 3):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        try:
            decode(bytes(damaged), 10_000)
        except (OSError, ValueError, SyntaxError):
            continue


def test_broken_exif_beside_a_rotation_does_not_stop_the_stage():
    """PIL writes the EXIF anew when it rotates, and raises TypeError or struct.error on tags of the wrong type."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x011A] = 6, "hello", 72.0
    data = bytearray(saved(two_colors(), "JPEG", exif=exif))
    data[data.index(b"Exif") + 43] = 2  # XResolution: text instead of a rational
    try:
        image, _ = decode(bytes(data))
    except (OSError, ValueError, SyntaxError):
        return
    assert image.size == (40, 60)


def test_encoding_is_repeatable_and_holds_no_metadata():
    image = two_colors()
    image.info["exif"] = b"Exif\0\0x"
    assert encode_jpeg(image) == encode_jpeg(image.copy())
    assert b"Exif" not in encode_jpeg(image)
    assert open_rgb(encode_jpeg(image)).size == (60, 40)
    assert pixels(encode_jpeg(image)).shape == (40, 60, 3)


def lossless(image):
    return saved(image, "PNG")


def test_resized_keeps_proportions_on_white():
    array = np.asarray(resized(lossless(Image.new("RGB", (60, 30), RED)), 20, 20))
    assert array.shape == (20, 20, 3)
    # 60 x 30 becomes 20 x 10, in rows 5 to 14.
    assert (array[5:15] == RED).all()
    assert (array[:5] == 255).all()
    assert (array[15:] == 255).all()


def test_resized_into_a_shape_that_is_no_square():
    array = np.asarray(resized(lossless(Image.new("RGB", (60, 30), RED)), 20, 30))
    assert array.shape == (30, 20, 3)
    assert (array[10:20] == RED).all() and (array[:10] == 255).all() and (array[20:] == 255).all()


@pytest.mark.parametrize("size", [(60, 20), (20, 60)])
def test_resized_that_covers_shows_the_middle_of_the_longer_side(size):
    image = Image.new("RGB", size, RED)
    left, top = (size[0] - 20) // 2, (size[1] - 20) // 2
    image.paste(Image.new("RGB", (20, 20), "blue"), (left, top))
    covered = np.asarray(resized(lossless(image), 10, 10, "cover"))
    assert np.array_equal(covered[1:9, 1:9], np.asarray(Image.new("RGB", (8, 8), "blue")))  # borders are blended


def test_resized_that_stretches_shows_all_of_the_picture_and_no_white():
    """60 x 20 pixels become 20 x 20: each third of the width stays a third, at its whole height."""
    image = Image.new("RGB", (60, 20), RED)
    image.paste(Image.new("RGB", (30, 20), "blue"), (30, 0))
    stretched = np.asarray(resized(lossless(image), 20, 20, "stretch"))
    assert stretched.shape == (20, 20, 3)
    assert (stretched[:, :9] == RED).all() and (stretched[:, 11:] == (0, 0, 255)).all()  # the border is blended


def test_resized_thin_image_keeps_at_least_one_pixel():
    array = np.asarray(resized(lossless(Image.new("RGB", (200, 1), RED)), 20, 20))
    assert (array == RED).all(axis=2).sum() == 20


def test_resized_square_fills_a_square():
    assert (np.asarray(resized(lossless(Image.new("RGB", (64, 64), RED)), 32, 32)) == RED).all()


def smooth(size):
    """A picture that changes slowly, as photos do."""
    corners = np.random.default_rng(3).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("fit", ["pad", "cover", "stretch"])
@pytest.mark.parametrize("size", [(256, 192), (257, 190), (131, 263), (640, 481)])
def test_large_jpeg_is_decoded_smaller_and_looks_the_same(size, fit, monkeypatch):
    """Beside the same pixels from a file that is decoded whole: no shift, no other size, colors to the rounding."""
    data = saved(smooth(size), "JPEG", quality=92)
    whole = lossless(open_rgb(data))
    scales = []
    draft = JpegImagePlugin.JpegImageFile.draft

    def noted(image, mode, wanted):
        full, result = image.size, draft(image, mode, wanted)
        scales.append(round(full[0] / image.size[0]))
        return result

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "draft", noted)
    found, expected = (np.asarray(resized(one, 64, 64, fit)).astype(int) for one in (data, whole))
    scale = {"pad": {256: 2, 257: 2, 131: 2, 640: 4}, "cover": {256: 2, 257: 1, 131: 1, 640: 4}}
    assert scales == [scale["pad" if fit == "pad" else "cover"][size[0]]]
    assert np.abs(found - expected).mean() < 1 and np.abs(found - expected).max() < 16


def test_jpeg_that_is_not_much_larger_is_resized_from_all_its_pixels():
    data = saved(smooth((191, 150)), "JPEG", quality=92)
    assert np.array_equal(np.asarray(resized(data, 64, 64)), np.asarray(resized(lossless(open_rgb(data)), 64, 64)))


def test_file_of_several_pictures_gives_its_first():
    second = Image.new("RGB", (60, 40), "green")
    for kind in ("MPO", "GIF", "WEBP", "PNG"):
        decoded, _ = decode(saved(two_colors(), kind, save_all=True, append_images=[second]))
        assert (decoded.mode, decoded.size) == ("RGB", (60, 40)), kind
        assert near(decoded.getpixel((5, 20)), RED, 60), kind
        assert near(decoded.getpixel((55, 20)), BLUE, 60), kind


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_cut_off(kind):
    deep = Image.fromarray(np.full((40, 60), 0x8000, np.uint16))
    decoded, _ = decode(saved(deep, kind))
    assert decoded.getpixel((5, 20)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".avif", "AVIF"), (".jp2", "JPEG2000"), (".ppm", "PPM"), (".dib", "DIB")]
)
def test_every_suffix_of_an_image_stands_for_a_kind_that_decodes(suffix, kind):
    assert suffix in IMAGE_SUFFIXES
    decoded, repairs = decode(saved(two_colors(), kind))
    assert repairs == ["format"]
    assert near(decoded.getpixel((5, 20)), RED, 30)


@pytest.mark.parametrize("orientation", [1, 6])
def test_photo_of_a_phone_is_read_upright(orientation):
    """Red above blue, as it is seen; HEIC says how it lies in its own words, and EXIF must not turn it again."""
    import pillow_heif

    seen = Image.new("RGB", (40, 60), "red")
    seen.paste("blue", (0, 30, 40, 60))
    stored = seen if orientation == 1 else seen.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = pillow_heif.from_pillow(stored)
    file.info["exif"] = exif.tobytes()
    out = io.BytesIO()
    file.save(out, quality=90)
    image, repairs = decode(out.getvalue())
    assert image.size == (40, 60) and "format" in repairs
    top, bottom = image.getpixel((20, 10)), image.getpixel((20, 50))
    assert top[0] > 200 > 60 > top[2] and bottom[2] > 200 > 60 > bottom[0]

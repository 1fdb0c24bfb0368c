"""What becomes of pictures that strangers made: decoded apart, upright, plain, without a word about their owners."""

import asyncio
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from PIL import Image, ImageCms, ImageDraw

from lorabot.bot.config import IntakeConfig
from lorabot.bot.intake.answers import Refusal
from lorabot.bot.intake.child import Decoder
from lorabot.bot.intake.looking import CleanImage, LeftOut, Looker, Overview
from lorabot.bot.intake.questions import Decode
from tests.bot.pictures import encoded, icc_profile, photo, picture, png_bomb, zip_of_photos, zipped

CONFIG = IntakeConfig(max_pixels=4_000_000, max_side=256, min_side=32, decoders=2)


class Seen:
    """All that came of one upload."""

    def __init__(self) -> None:
        self.images: dict[str, Image.Image] = {}
        self.raw: dict[str, bytes] = {}
        self.captions: dict[str, str | None] = {}
        self.left_out: dict[str, str] = {}
        self.overview: Overview | None = None


async def look(folder: Path, data: bytes, name: str = "upload", config: IntakeConfig = CONFIG) -> Seen:
    path = folder / "upload.bytes"
    await asyncio.to_thread(path.write_bytes, data)
    seen = Seen()
    async for outcome in Looker(config, folder / "scratch").look(path, name):
        match outcome:
            case Overview():
                seen.overview = outcome
            case LeftOut():
                seen.left_out[outcome.name] = outcome.reason.code
            case CleanImage():
                seen.raw[outcome.name] = await asyncio.to_thread(outcome.path.read_bytes)
                seen.images[outcome.name] = Image.open(io.BytesIO(seen.raw[outcome.name]))
                seen.captions[outcome.name] = outcome.caption
                assert seen.images[outcome.name].size == (outcome.width, outcome.height)
                assert len(seen.raw[outcome.name]) == outcome.size
    return seen


async def look_all(folder: Path, files: Mapping[str, bytes]) -> Seen:
    return await look(folder, zipped(files), "all.zip")


def two_coloured(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, (220, 20, 20))
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=(20, 20, 220))
    return image


def is_near(pixel: object, colour: tuple[int, int, int], off: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(got - wanted) <= off for got, wanted in zip(pixel, colour, strict=True))


async def test_a_picture_taken_sideways_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    image = (await look(tmp_path, encoded(two_coloured(), "JPEG", exif=exif, quality=95))).images["upload"]
    assert image.size == (64, 96)
    assert is_near(image.getpixel((32, 10)), (220, 20, 20))
    assert is_near(image.getpixel((32, 86)), (20, 20, 220))


async def test_place_camera_and_comments_are_stripped(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    exif.get_ifd(0x8825)[1] = "N"
    data = encoded(picture(1), "JPEG", exif=exif, comment=b"taken at home", xmp=b"<x>home address</x>")
    assert b"Secret Camera" in data
    seen = await look(tmp_path, data)
    clean = seen.images["upload"]
    clean.load()
    assert not clean.getexif()
    assert not {"exif", "xmp", "icc_profile", "comment"} & set(clean.info)
    for trace in (b"Secret", b"home", b"EXIF", b"XMP"):
        assert trace not in seen.raw["upload"]


async def test_every_usual_format_is_read_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    image = picture(3)
    files = {
        "a.jpg": encoded(image, "PNG"),
        "b.png": encoded(image, "JPEG"),
        "c": encoded(image, "WEBP"),
        "d.exe": encoded(image, "BMP"),
        "e.tif": encoded(image, "TIFF"),
        "f.gif": encoded(image, "GIF"),
        "g.avif": encoded(image, "AVIF"),
        "h.avif": encoded(image, "AVIF", quality=74).replace(b"ftypavif", b"ftypmif1"),
    }
    seen = await look_all(tmp_path, files)
    assert set(seen.images) == set(files)
    assert seen.left_out == {}
    for clean in seen.images.values():
        assert clean.mode == "RGB"
        assert is_near(clean.getpixel((80, 64)), image.getpixel((80, 64)), 40)  # type: ignore[arg-type]


async def test_transparent_parts_become_white(tmp_path: Path) -> None:
    image = two_coloured().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 64))
    palette = image.quantize(8)
    seen = await look_all(tmp_path, {"rgba.png": encoded(image), "palette.png": encoded(palette)})
    for clean in seen.images.values():
        assert is_near(clean.getpixel((10, 32)), (255, 255, 255))
        assert is_near(clean.getpixel((80, 32)), (20, 20, 220), 30)


async def test_print_colours_deep_greys_and_palettes_become_plain_rgb(tmp_path: Path) -> None:
    image = two_coloured()
    ramp = Image.new("I;16", (96, 64))
    ramp.putdata([column * 600 for _ in range(64) for column in range(96)])
    files = {
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "palette.png": encoded(image.quantize(4)),
        "grey.png": encoded(image.convert("L")),
        "deep.png": encoded(ramp),
        "deep.tif": encoded(ramp, "TIFF"),
    }
    seen = await look_all(tmp_path, files)
    assert set(seen.images) == set(files), seen.left_out
    assert all(clean.mode == "RGB" for clean in seen.images.values())
    assert is_near(seen.images["cmyk.jpg"].getpixel((10, 32)), (220, 20, 20), 40)
    for name in ("deep.png", "deep.tif"):
        assert is_near(seen.images[name].getpixel((90, 32)), (210, 210, 210), 6)


async def test_colours_of_another_colour_space_are_translated(tmp_path: Path) -> None:
    linear = icc_profile(gamma=1.0)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    grey = Image.new("RGB", (96, 64), (60, 60, 60))
    ImageDraw.Draw(grey).rectangle((48, 0, 96, 64), fill=(200, 60, 60))
    files = {
        "plain.png": encoded(grey),
        "linear.png": encoded(grey, icc_profile=linear),
        "unfit.png": encoded(grey, icc_profile=lab),
        "damaged.png": encoded(grey, icc_profile=b"no profile"),
    }
    seen = await look_all(tmp_path, files)
    pixels = {name: clean.getpixel((10, 10)) for name, clean in seen.images.items()}
    assert pixels["plain.png"] == (60, 60, 60)
    assert pixels["damaged.png"] == (60, 60, 60)
    assert set(pixels) == set(files)
    # sRGB's curve (IEC 61966-2-1): light of 60/255 is written as 1.055 * (60/255) ** (1/2.4) - 0.055.
    assert is_near(pixels["linear.png"], (133, 133, 133), 4)
    assert is_near(pixels["unfit.png"], (60, 60, 60), 0)


async def test_a_large_picture_is_brought_down_and_a_small_one_left_as_it_is(tmp_path: Path) -> None:
    seen = await look_all(tmp_path, {"large.jpg": photo(1, (1600, 800)), "small.png": encoded(picture(2, (100, 90)))})
    assert seen.images["large.jpg"].size == (256, 128)
    assert seen.images["small.png"].size == (100, 90)
    assert seen.images["small.png"].tobytes() == picture(2, (100, 90)).tobytes()


async def test_captions_beside_pictures_are_kept_and_the_rest_is_passed_over(tmp_path: Path) -> None:
    files = {
        "set/one.jpg": photo(1),
        "set/one.txt": "\ufeffzuri,  on a\nroof".encode(),
        "set/two.PNG": encoded(picture(2)),
        "set/two.txt": "在屋顶上".encode("gb18030"),
        "set/three.jpg": photo(3),
        "set/readme.txt": b"hello",
        "set/.DS_Store": b"x",
        "__MACOSX/set/._one.jpg": b"x",
    }
    seen = await look_all(tmp_path, files)
    assert seen.captions == {
        "set/one.jpg": "zuri, on a roof",
        "set/two.PNG": "在屋顶上",
        "set/three.jpg": None,
    }
    assert seen.overview == Overview(candidates=3, passed_over=1), "the litter of a Mac is not spoken of"
    assert seen.left_out == {}


async def test_a_caption_of_notepads_unicode_is_read_and_one_that_cannot_be_is_named(tmp_path: Path) -> None:
    files = {
        "notepad.jpg": photo(1),
        "notepad.txt": "zuri auf dem Dach, größer".encode("utf-16"),
        "mac.jpg": photo(2),
        "mac.txt": "\ufeffzuri".encode("utf-16-be"),
        "none.jpg": photo(3),
        "none.txt": b"",
        "old.jpg": photo(4),
        "old.txt": "zuri im Café am Abend".encode("cp1252"),
        "book.jpg": photo(5),
        "book.txt": b"zuri " * 5000,
    }
    seen = await look_all(tmp_path, files)
    assert seen.captions == {
        "notepad.jpg": "zuri auf dem Dach, größer",
        "mac.jpg": "zuri",
        "none.jpg": None,
        "old.jpg": None,
        "book.jpg": None,
    }
    assert seen.left_out == dict.fromkeys(("old.txt", "book.txt"), "intake-caption-unread")
    assert seen.overview == Overview(candidates=5, passed_over=0)


async def test_a_caption_belongs_to_its_picture_however_long_their_names_are(tmp_path: Path) -> None:
    folder = "pictures of zuri, sorted by year and by place/" * 5
    name = f"{folder}{'z' * 200}"
    files = {f"{name}.webp": encoded(picture(1), "WEBP"), f"{name}.txt": b"zuri on a roof", f"y{name}.jpg": photo(2)}
    captions = (await look_all(tmp_path, files)).captions
    of_kind = {name.rpartition(".")[2]: words for name, words in captions.items()}
    assert of_kind == {"webp": "zuri on a roof", "jpg": None}


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("猫咪.jpg".encode("gb18030"), "猫咪.jpg"),
        ("ねこ.jpg".encode(), "ねこ.jpg"),
        ("für.jpg".encode("cp437"), "für.jpg"),
    ],
)
async def test_names_without_the_unicode_mark_are_read_as_their_packer_meant_them(
    tmp_path: Path, raw: bytes, name: str
) -> None:
    stand_in = b"x" * (len(raw) - 4) + b".jpg"
    data = zipped({stand_in.decode(): photo(1)}, zipfile.ZIP_STORED).replace(stand_in, raw)
    assert list((await look(tmp_path, data, "old.zip")).images) == [name]


async def test_two_entries_of_the_same_name_are_both_looked_at(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", photo(1))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.jpg", b"broken")
    seen = await look(tmp_path, buffer.getvalue(), "twice.zip")
    assert list(seen.images) == ["a.jpg"]
    assert seen.left_out == {"a.jpg": "intake-not-an-image"}


async def test_a_heic_picture_without_a_decoder_for_it_is_told_in_plain_words(tmp_path: Path) -> None:
    seen = await look(tmp_path, b"\0\0\0\x18ftypheic" + bytes(200), "iphone.heic")
    assert seen.left_out == {"iphone.heic": "intake-no-heic"}


async def test_what_takes_the_decoder_too_long_is_named_and_the_rest_go_on(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"decode_seconds": 0.0001, "decoders": 1})
    seen = await look(tmp_path, zip_of_photos(3), "slow.zip", config)
    # A question that also starts the process has a minute for that; the one in between has no time at all.
    assert set(seen.images) == {"photo-00.jpg", "photo-02.jpg"}
    assert seen.left_out == {"photo-01.jpg": "intake-too-slow"}


async def test_memory_of_the_decoder_is_limited_and_only_the_heavy_picture_is_lost(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"max_pixels": 400_000_000, "decode_bytes": 256 * 1024 * 1024})
    files = {"heavy.png": png_bomb(16_000, 16_000), "light.jpg": photo(1)}
    seen = await look(tmp_path, zipped(files, zipfile.ZIP_STORED), "heavy.zip", config)
    assert list(seen.images) == ["light.jpg"]
    assert seen.left_out == {"heavy.png": "intake-too-heavy"}


async def test_a_decoder_that_is_killed_names_its_file_and_the_rest_go_on(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"decoders": 1})
    path = tmp_path / "upload.bytes"
    await asyncio.to_thread(path.write_bytes, zip_of_photos(5))
    images, left_out = [], []
    async for outcome in Looker(config, tmp_path / "scratch").look(path, "five.zip"):
        if isinstance(outcome, CleanImage):
            images.append(outcome.name)
            if len(images) == 1:
                for child in psutil.Process(os.getpid()).children():
                    if "lorabot.bot.intake.decoder" in child.cmdline():
                        child.kill()
        elif isinstance(outcome, LeftOut):
            left_out.append(outcome.reason.code)
    assert len(images) + len(left_out) == 5
    assert left_out == ["intake-crashed"]


async def test_nothing_stays_behind_when_looking_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "upload.bytes"
    await asyncio.to_thread(path.write_bytes, zip_of_photos(6))
    looking = Looker(CONFIG, tmp_path / "scratch").look(path, "six.zip")
    assert isinstance(await anext(looking), Overview)
    assert isinstance(await anext(looking), CleanImage)
    await looking.aclose()
    assert list((tmp_path / "scratch").iterdir()) == []
    children = psutil.Process(os.getpid()).children()
    assert not [child for child in children if "lorabot.bot.intake.decoder" in child.cmdline()]


async def test_one_colour_is_blank_and_a_fine_texture_is_not(tmp_path: Path) -> None:
    sand = Image.effect_noise((300, 300), 40).convert("RGB")
    wall = Image.effect_noise((300, 300), 1).convert("RGB")
    files = {
        "sand.jpg": encoded(sand, "JPEG", quality=90),
        "wall.jpg": encoded(wall, "JPEG", quality=90),
        "white.png": encoded(Image.new("RGB", (300, 300), "white")),
        "clear.png": encoded(Image.new("RGBA", (300, 300), (10, 200, 30, 0))),
    }
    seen = await look_all(tmp_path, files)
    assert list(seen.images) == ["sand.jpg"]
    assert set(seen.left_out.values()) == {"intake-blank"}


@pytest.mark.parametrize("zipped_up", [False, True], ids=["a picture", "a picture in a zip"])
async def test_a_full_disk_is_not_called_a_damaged_picture(tmp_path: Path, zipped_up: bool) -> None:
    path = tmp_path / "upload.bytes"
    path.write_bytes(zipped({"a.jpg": photo(1)}) if zipped_up else photo(1))
    full = "/dev/full"  # takes nothing: the system says that there is no room
    asked = Decode(
        path=str(path),
        index=0 if zipped_up else None,
        scratch=full,
        target=full,
        thumb=str(tmp_path / "thumb.webp"),
        most_bytes=CONFIG.max_image_bytes,
        most_pixels=CONFIG.max_pixels,
        least_side=CONFIG.min_side,
        most_side=CONFIG.max_side,
        seconds=30,
    )
    async with Decoder(CONFIG.decode_bytes, CONFIG.max_image_bytes) as decoder:
        answer = await decoder.ask(asked, 30.0)
    assert isinstance(answer, Refusal)
    assert answer.code == "intake-disk-full"

"""Files in a folder and in S3 behave the same."""

import asyncio
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lorabot.queue.blobs import Blobs, check_key, open_blobs
from lorabot.queue.errors import BadUrl, BlobMissing, BlobsUnavailable
from lorabot.queue.keys import artefact_key, image_key, new_id, owner_prefix, resume_key
from tests.queue.servers import free_port, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, below a prefix."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    name = f"lorabot-{new_id()}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3}/{name}", method="PUT")):
        pass
    return f"s3://{name}/some/prefix?endpoint={s3}&region=us-east-1"


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return open_blobs(request.getfixturevalue("bucket") if request.param == "s3" else str(tmp_path / "blobs"))


async def pieces(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def names_below(folder: Path) -> list[str]:
    """Of all files, whether the store shows them or not."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_bytes_files_and_streams_are_stored_and_read_back(blobs: Blobs, tmp_path: Path) -> None:
    big = bytes(range(256)) * 50_000  # 12.8 MB: more than one part of an upload
    source = tmp_path / "source"
    source.write_bytes(big)
    await blobs.put("jobs/a/1/bytes.bin", b"small")
    await blobs.put("jobs/a/1/file.bin", source)
    await blobs.put("jobs/a/1/stream.bin", pieces(big))
    assert await blobs.get("jobs/a/1/bytes.bin") == b"small"
    assert await blobs.get("jobs/a/1/file.bin") == big
    assert b"".join([piece async for piece in blobs.stream("jobs/a/1/stream.bin")]) == big
    assert await blobs.size("jobs/a/1/stream.bin") == len(big)
    target = tmp_path / "target"
    await blobs.download("jobs/a/1/stream.bin", target)
    assert target.read_bytes() == big


async def test_storing_again_replaces(blobs: Blobs) -> None:
    await blobs.put("a/b.txt", b"old and longer")
    await blobs.put("a/b.txt", b"new")
    assert await blobs.get("a/b.txt") == b"new"


async def test_a_missing_file_is_said_to_be_missing(blobs: Blobs, tmp_path: Path) -> None:
    assert not await blobs.exists("no/such.file")
    for read in (blobs.get, blobs.size):
        with pytest.raises(BlobMissing) as missing:
            await read("no/such.file")
        assert missing.value.message.params == {"key": "no/such.file"}
    with pytest.raises(BlobMissing):
        await blobs.download("no/such.file", tmp_path / "target")
    assert await asyncio.to_thread(lambda: list(tmp_path.glob("*target*"))) == []
    await blobs.delete("no/such.file")


async def test_deleting_a_folder_takes_what_is_below_it_and_nothing_beside(blobs: Blobs) -> None:
    for key in ("jobs/a/1/x", "jobs/a/resume/y", "jobs/ab/1/z"):
        await blobs.put(key, b"-")
    assert await blobs.list("jobs/a/") == ["jobs/a/1/x", "jobs/a/resume/y"]
    assert await blobs.delete_prefix("jobs/a/") == 2
    assert await blobs.list("jobs/") == ["jobs/ab/1/z"]
    assert await blobs.delete_prefix("jobs/none/") == 0


async def test_what_others_put_into_a_folder_goes_with_it_and_is_never_taken_for_ours(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    await blobs.put("jobs/a/1/zuri.safetensors", b"lora")
    for foreign in (".DS_Store", "sample 1 (copy).png", "图.png", "x" * 210):
        (tmp_path / "blobs/jobs/a/1" / foreign).write_bytes(b"looked at")
    assert await blobs.older("jobs/", datetime.now(UTC) + timedelta(minutes=1)) == ["jobs/a/1/zuri.safetensors"]
    assert await blobs.delete_prefix("jobs/a/") == 5
    assert names_below(tmp_path) == []


async def test_a_file_that_was_being_written_when_its_process_was_killed_is_deleted_too(tmp_path: Path) -> None:
    code = """if True:
        import asyncio, sys
        from lorabot.queue.blobs import open_blobs

        async def never_done():
            yield b"x" * 12_000_000
            print("begun", flush=True)
            await asyncio.sleep(60)

        asyncio.run(open_blobs(sys.argv[1]).put("images/ann/1.webp", never_done()))
    """
    for delete in ("sweep", "forget"):
        writing = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert writing.stdout is not None
        assert await writing.stdout.readline() == b"begun\n"
        writing.kill()
        await writing.wait()
        assert names_below(tmp_path) == ["1.webp#1"]
        blobs = open_blobs(str(tmp_path))
        if delete == "forget":
            assert await blobs.delete_prefix("images/ann/") == 1
        else:
            current = datetime.now(UTC)
            assert await blobs.delete_unfinished("images/", current - timedelta(hours=1)) == 0, "it may be going on"
            assert await blobs.delete_unfinished("images/", current + timedelta(hours=1)) == 1
        assert names_below(tmp_path) == []


async def test_a_broken_upload_leaves_no_file(blobs: Blobs) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield b"x" * 6_000_000
        raise ConnectionResetError("the sender hung up")

    with pytest.raises(Exception, match=r"hung up|unavailable"):
        await blobs.put("a/half.bin", breaks())
    assert not await blobs.exists("a/half.bin")


async def test_a_source_that_is_not_there_is_the_callers_mistake(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.put("a/b.bin", tmp_path / "nothing")


async def test_the_store_can_be_checked(blobs: Blobs) -> None:
    await blobs.check()
    assert await blobs.list("checks/") == []


@pytest.mark.parametrize(
    "key",
    [
        "../x",
        "a/../x",
        "/etc/passwd",
        "a//b",
        "a/",
        "",
        ".",
        "..",
        "a/./b",
        ".hidden",
        "a\\b",
        "a b",
        "ü",
        "a\x00b",
        "-x",
    ],
)
async def test_keys_that_could_leave_the_store_are_refused(tmp_path: Path, key: str) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    with pytest.raises(ValueError, match="not a key"):
        await blobs.put(key, b"x")
    with pytest.raises(ValueError, match="not a key"):
        await blobs.get(key)


@pytest.mark.parametrize(
    "filename", ["zuri.safetensors", "../../x", "图 1.png", ".profile", "a" * 300, "", "-rf", "x/y"]
)
def test_any_file_name_makes_a_safe_key(filename: str) -> None:
    assert check_key(artefact_key("job", 1, filename)).startswith("jobs/job/1/")


def test_different_file_names_make_different_keys() -> None:
    names = ["图.png", "圖.png", "a b.png", "a_b.png", "a?b.png"]
    assert len({artefact_key("job", 1, name) for name in names}) == len(names)


def test_keys_name_no_person_and_keep_owners_and_attempts_apart() -> None:
    assert "ann" not in image_key("discord:ann", "ab" * 32)
    assert owner_prefix("web:a") != owner_prefix("web:b")
    assert check_key(image_key("web:a", "ab" * 32)).startswith(owner_prefix("web:a"))
    assert check_key(resume_key("job", 1, 40)) != resume_key("job", 2, 40)


async def test_a_folder_has_no_links_and_s3_has_ones_that_work(bucket: str, tmp_path: Path) -> None:
    folder = open_blobs(str(tmp_path / "blobs"))
    await folder.put("a/b", b"x")
    assert await folder.link("a/b", 60) is None
    store = open_blobs(bucket)
    await store.put(
        "jobs/a/1/l.safetensors", b"lora", content_type="application/octet-stream", filename="祖里.safetensors"
    )
    link = await store.link("jobs/a/1/l.safetensors", 60)
    assert link is not None
    assert "hunter2" not in link

    def fetch() -> tuple[bytes, str | None]:
        with urllib.request.urlopen(link) as answer:
            return answer.read(), answer.headers["Content-Disposition"]

    data, disposition = await asyncio.to_thread(fetch)
    assert data == b"lora"
    assert disposition == "attachment; filename*=UTF-8''%E7%A5%96%E9%87%8C.safetensors"


async def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    blobs = open_blobs((tmp_path / "with space").as_uri())
    await blobs.put("a/b", b"x")
    assert (tmp_path / "with space" / "a" / "b").read_bytes() == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://bucket?region=x&colour=red",
        "s3://key:hunter2@bucket/x",
        "gs://bucket",
        "file://host/x",
        "https://x/y",
        "/proc/nothing/blobs",
    ],
)
def test_a_useless_blob_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(BadUrl) as refused:
        open_blobs(url)
    assert "hunter2" not in str(refused.value)


async def test_a_store_that_does_not_answer_is_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    blobs = open_blobs(f"s3://bucket?endpoint=http://127.0.0.1:{free_port()}&region=us-east-1")
    with pytest.raises(BlobsUnavailable) as away:
        await blobs.get("a/b")
    assert "hunter2" not in str(away.value)


async def test_files_are_told_apart_by_when_they_were_written(blobs: Blobs) -> None:
    await blobs.put("images/a/1.webp", b"x")
    await blobs.put("jobs/a/1.png", b"x")
    current = datetime.now(UTC)
    assert await blobs.older("images/", current - timedelta(hours=1)) == []
    assert await blobs.older("images/", current + timedelta(hours=1)) == ["images/a/1.webp"]
    assert await blobs.older("web/", current + timedelta(hours=1)) == []

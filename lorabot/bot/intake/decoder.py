"""The decoder's process: ``python -m lorabot.bot.intake.decoder MEMORY FILE PARENT`` answers questions line by line.

It meets files that strangers made, so it has few rights and can be killed at any time; intake then starts another.
"""

import errno
import json
import sys
from dataclasses import asdict
from pathlib import Path

from lorabot.bot.intake import archive, picture
from lorabot.bot.intake.confine import confine, limit_cpu
from lorabot.bot.intake.picture import Refused
from lorabot.bot.intake.questions import Decode, Look, read


def _look(asked: Look) -> dict[str, object]:
    held = archive.contents(
        Path(asked.path), most_entries=asked.most_entries, most_bytes=asked.most_bytes, most_ratio=asked.most_ratio
    )
    found = [asdict(entry) for entry in held.entries]
    return {
        "answer": "looked",
        "found": found,
        "locked": held.encrypted,
        "unread": held.unread,
        "passed_over": held.passed_over,
    }


def _decode(asked: Decode) -> dict[str, object]:
    source = Path(asked.path)
    if asked.index is not None:
        archive.extract(source, asked.index, Path(asked.scratch), asked.most_bytes)
        source = Path(asked.scratch)
    with source.open("rb") as file:
        done = picture.clean(
            file,
            Path(asked.target),
            Path(asked.thumb),
            most_pixels=asked.most_pixels,
            least_side=asked.least_side,
            most_side=asked.most_side,
        )
    return {"answer": "decoded", "width": done.width, "height": done.height}


def _refused(code: str, params: dict[str, str | int]) -> dict[str, object]:
    return {"answer": "refused", "code": code, "params": params}


def _answer(line: str) -> dict[str, object]:
    asked = read(line)
    limit_cpu(asked.seconds)
    try:
        return _look(asked) if isinstance(asked, Look) else _decode(asked)
    except Refused as refused:
        return _refused(refused.code, refused.params)
    except MemoryError:
        return _refused("intake-too-heavy", {})
    except OSError as error:
        # What Pillow makes of a damaged file has no number of the system's.
        return _refused("intake-disk-full" if error.errno == errno.ENOSPC else "intake-broken", {})
    except Exception:  # a made-up file can raise anything in a decoder, and it always means the same
        return _refused("intake-broken", {})


def main() -> None:
    memory, file, parent = (int(argument) for argument in sys.argv[1:4])
    confine(memory, file, parent)
    for line in sys.stdin:
        print(json.dumps(_answer(line)), flush=True)


if __name__ == "__main__":
    main()

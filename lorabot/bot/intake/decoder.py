"""The decoder's process: ``python -m lorabot.bot.intake.decoder MEMORY FILE PARENT`` answers questions line by line.

It meets files that strangers made, so it has few rights and can be killed at any time; intake then starts another.
"""

import sys

from lorabot.bot.intake import archive, picture
from lorabot.bot.intake.confine import confine, limit_cpu
from lorabot.bot.intake.picture import Refused
from lorabot.bot.intake.protocol import Answer, Decode, Decoded, Found, Look, Looked, Refusal, question


def _look(asked: Look) -> Looked:
    held = archive.contents(
        asked.path, most_entries=asked.most_entries, most_bytes=asked.most_bytes, most_ratio=asked.most_ratio
    )
    found = tuple(Found(index=entry.index, name=entry.name, caption=entry.caption) for entry in held.entries)
    return Looked(found=found, locked=held.encrypted, passed_over=held.passed_over)


def _decode(asked: Decode) -> Decoded:
    source = asked.path
    if asked.index is not None:
        archive.extract(asked.path, asked.index, asked.scratch, asked.most_bytes)
        source = asked.scratch
    with source.open("rb") as file:
        done = picture.clean(
            file,
            asked.target,
            asked.thumb,
            most_pixels=asked.most_pixels,
            least_side=asked.least_side,
            most_side=asked.most_side,
        )
    return Decoded(width=done.width, height=done.height)


def _answer(line: str) -> Answer:
    asked = question.validate_json(line)
    limit_cpu(asked.seconds)
    try:
        return _look(asked) if isinstance(asked, Look) else _decode(asked)
    except Refused as refused:
        return Refusal(code=refused.code, params=refused.params)
    except MemoryError:
        return Refusal(code="intake-too-heavy")
    except Exception:  # a made-up file can raise anything in a decoder, and it always means the same
        return Refusal(code="intake-broken")


def main() -> None:
    memory, file, parent = (int(argument) for argument in sys.argv[1:4])
    confine(memory, file, parent)
    for line in sys.stdin:
        print(_answer(line).model_dump_json(), flush=True)


if __name__ == "__main__":
    main()

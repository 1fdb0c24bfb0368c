"""``lorabot train``: one LoRA from a folder or a zip, without queue or chat."""

import asyncio
import json
import secrets
import tempfile
import zipfile
from contextlib import ExitStack, aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

from lorabot.bot.card import duration_left
from lorabot.bot.commands.training import refuse_count
from lorabot.bot.commands.trigger import check_trigger, made_up
from lorabot.bot.config import IntakeConfig
from lorabot.bot.intake.looking import CleanImage, LeftOut, Looker, Overview
from lorabot.bot.intake.report import left_out_lines
from lorabot.cli.bases import bases_of, store_of
from lorabot.cli.logs import configure
from lorabot.cli.meter import Meter
from lorabot.cli.stopping import run_stoppable
from lorabot.cli.terminal import Terminal
from lorabot.folders import make_private, make_results_folder
from lorabot.locale import Message, Translator, UserError
from lorabot.presets import Base, Bases, UnknownBase, load_presets
from lorabot.settings import Settings
from lorabot.trainer import wire
from lorabot.trainer.bases.locating import locate
from lorabot.trainer.local import LocalImage, LocalOutcome, train
from lorabot.trainer.naming import file_name

_MOST_SEED = 2**31 - 1


class AnotherLora(UserError):
    """The folder for the results holds those of a LoRA with another name, which would be overwritten."""


class NoPhotos(UserError):
    """What is at the path that was given can't be looked through: nothing, far too much, or what nobody may read."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line; without ``out`` each LoRA gets a folder of its own."""

    photos: Path
    preset: str
    trigger: str | None
    base: str | None
    name: str | None
    seed: int | None
    out: Path | None


@dataclass(frozen=True, slots=True)
class _Photos:
    images: tuple[LocalImage, ...]
    left_out: tuple[LeftOut, ...]


def run_train(terminal: Terminal, wish: Wish) -> int:
    """Train and say where the files are; returns the exit code. Raises ``UserError`` where it can't be done."""
    settings = terminal.settings()
    configure("debug" if terminal.debug else "warning", settings.secrets())
    catalogue = load_presets(settings.presets_dir, bases_of(settings))
    catalogue.log()
    preset = catalogue.get(wish.preset)
    base = catalogue.bases.usual if wish.base is None else _wished(wish.base, catalogue.bases, settings)
    caption = preset.recipe(base.family).caption
    if not wish.photos.exists():
        raise NoPhotos("cli-train-no-photos", path=str(wish.photos))
    if wish.trigger is None:
        trigger = made_up(wish.photos.resolve().name, catalogue)
        terminal.print("cli-train-made-up", trigger=trigger)
    else:
        trigger = check_trigger(wish.trigger, catalogue)
    name = wish.name or trigger
    out = wish.out or Path("lora-out", file_name(name))
    _refuse_another_lora(out, name)

    async def work(meter: Meter, folders: ExitStack) -> LocalOutcome:
        folder = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="lorabot-photos-")))
        photos = await _look(wish.photos, settings.intake, folder, meter, terminal.translate)
        for line in left_out_lines(photos.left_out, terminal.translate):
            meter.print(line, "yellow")
        refuse_count(preset, len(photos.images), terminal.translate)
        make_results_folder(out)
        with suppress(OSError):  # what is measured is kept there, and need not be
            make_private(settings.data_dir)
        meter.show(terminal.translate("cli-train-loading"))
        return await train(
            photos.images,
            preset=preset,
            vocabulary=catalogue.vocabulary_for(caption),
            trigger=trigger,
            base=await locate(store_of(settings), base),
            name=name,
            seed=secrets.randbelow(_MOST_SEED) if wish.seed is None else wish.seed,
            language=terminal.translate.language,
            out=out,
            config=settings.trainer,
            measured=settings.data_dir / "trainer" / "measured.json",
            on_event=lambda event: _show(event, meter, terminal.translate),
        )

    # The folder of photos is made once signals are heard, and removed once no thread puts anything there.
    try:
        with Meter(terminal.err) as meter, ExitStack() as folders:
            outcome = run_stoppable(work(meter, folders))
    except KeyboardInterrupt:
        with suppress(OSError):  # there is something in it, or it was never made
            out.rmdir()
        terminal.fail(terminal.translate("cli-train-stopped"))
        raise
    terminal.print("cli-train-done", "bold green", folder=str(out))
    for file in outcome.files:
        terminal.out.print(f"  {file.path}", markup=False)
    return 0


def _wished(wish: str, bases: Bases, settings: Settings) -> Base:
    """The base model that is meant; of one that the settings name and that can't be used, why not is raised."""
    try:
        return bases.wished(wish)
    except UnknownBase:
        for named in settings.bases:
            if wish.strip().casefold() in (named.id, named.title.casefold()):
                store_of(settings).survey(named)
        raise


def _refuse_another_lora(out: Path, name: str) -> None:
    """Raise ``AnotherLora`` where reports and pictures would be lost; those of the same LoRA are made anew."""
    try:
        made = json.loads((out / "report.json").read_text(encoding="utf-8"))["job"]["name"]
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, LookupError, TypeError):
        made = None  # a report that is none of ours now is not ours to overwrite
    if made != name:
        raise AnotherLora("cli-train-another-lora", folder=str(out))


async def _look(path: Path, config: IntakeConfig, folder: Path, meter: Meter, text: Translator) -> _Photos:
    """The clean images of a zip, a folder or a single picture, as files in ``folder``; the same picture counts once."""
    source = await asyncio.to_thread(_one_file, path, folder / "photos.zip", config)
    images: dict[str, LocalImage] = {}
    left_out: list[LeftOut] = []
    total = 0
    async with aclosing(Looker(config, folder / "scratch").look(source, path.name)) as outcomes:
        async for outcome in outcomes:
            match outcome:
                case Overview():
                    total = outcome.candidates
                case LeftOut():
                    left_out.append(outcome)
                case CleanImage() if outcome.sha256 in images:
                    left_out.append(LeftOut(outcome.name, Message("intake-duplicate")))
                case CleanImage():
                    kept = folder / f"{outcome.sha256}.webp"
                    outcome.path.rename(kept)  # the looker would delete it
                    images[outcome.sha256] = LocalImage(kept, outcome.name, outcome.caption)
            meter.show(text("cli-train-looking"), len(images) + len(left_out), total)
    # Decoders finish in any order; the same photos must make the same dataset.
    return _Photos(tuple(sorted(images.values(), key=lambda image: (image.name, image.path.name))), tuple(left_out))


def _one_file(path: Path, target: Path, config: IntakeConfig) -> Path:
    """``path``, or its files as one zip: a folder is looked through exactly as what people send."""
    path = path.absolute()  # the decoder works elsewhere
    if not path.is_dir():
        return path
    files = _files_in(path, config)
    if not files:
        raise NoPhotos("cli-train-empty", path=str(path))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
        for file in files:
            try:
                archive.write(file, file.relative_to(path))
            except OSError as error:
                reason = error.strerror or str(error)
                raise NoPhotos("cli-train-unreadable", path=str(file), reason=reason) from error
    return target


def _files_in(folder: Path, config: IntakeConfig) -> list[Path]:
    """Raises ``NoPhotos`` before anybody's whole disk is copied: more than this would be refused anyway."""
    files: list[Path] = []
    size = 0
    for file in folder.rglob("*"):
        if file.is_file():
            files.append(file)
            size += file.stat().st_size
        if len(files) > config.max_zip_entries or size > config.max_unpacked_bytes:
            most = config.max_unpacked_bytes // (1024 * 1024)
            raise NoPhotos("cli-train-too-much", path=str(folder), files=config.max_zip_entries, megabytes=most)
    return sorted(files)


def _show(event: wire.Event, meter: Meter, text: Translator) -> None:
    match event:
        case wire.Progress():
            rate = text("cli-rate", rate=f"{event.rate:.2g}") if event.rate else ""
            left = duration_left(event.eta_s, text) if event.eta_s is not None else ""
            loss = text("cli-loss", loss=f"{event.loss[-1][1]:.4f}") if event.loss else ""
            stage = text(f"card-stage-{event.stage}")
            meter.show(stage, event.step, event.total_steps, details=(rate, left, loss))
        case wire.Notice():
            meter.print(text.text(event.message), "yellow")
        case _:
            pass

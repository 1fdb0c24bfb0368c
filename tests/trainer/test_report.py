"""What people get to see at the end: report, loss plot, sample grid."""

import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lorabot.locale import translator
from lorabot.presets import load_presets
from lorabot.trainer.grid import draw_grid
from lorabot.trainer.lettering import drawable
from lorabot.trainer.plotting import LossPlot, plot_losses
from lorabot.trainer.rates import share
from lorabot.trainer.telling import Stopwatch
from tests.trainer.conftest import Trained
from tests.trainer.test_planning import make


def test_the_report_for_programs_says_everything_and_names_no_folder(trained: Trained) -> None:
    text = trained.file("report_json").read_text()
    report = json.loads(text)
    assert report["dataset"]["images"] == 10
    assert report["dataset"]["training"] == 8
    assert [each["name"] for each in report["dataset"]["files"]] == [f"photo {index}.png" for index in range(10)]
    assert sum(each["held_out"] for each in report["dataset"]["files"]) == 2
    assert report["dataset"]["files"][1]["caption_source"] == "person"
    assert len(report["training"]["loss"]) == report["training"]["steps"] == 6
    assert report["training"]["chosen_step"] in [each["step"] for each in report["training"]["candidates"]]
    assert report["plan"]["reasons"][0]["code"].startswith("plan-")
    assert report["file"]["size"] == trained.file("lora").stat().st_size
    assert {"lorabot", "torch", "diffusers", "peft"} <= set(report["versions"])
    assert str(trained.job.folder) not in text


def test_what_was_expected_is_compared_with_what_came_true_and_kept(trained: Trained) -> None:
    report, summary = json.loads(trained.file("report_json").read_text()), trained.done.summary
    took = sum(report["seconds"].values())
    assert report["estimate"]["seconds"] == summary["estimated_seconds"] == 10
    assert report["estimate"]["true_seconds"] == summary["seconds"] == pytest.approx(took, abs=0.1)
    assert report["estimate"]["error"] == summary["estimate_error"] == pytest.approx(took / 10 - 1, abs=1e-3)
    assert summary["seconds_training"] == report["seconds"]["training"]
    assert f"8 to 12 s were expected for all of it; it took {took:.0f} s" in trained.file("report").read_text()


def test_all_of_a_jobs_time_is_accounted_for(trained: Trained) -> None:
    report = json.loads(trained.file("report_json").read_text())
    began, ended = (datetime.fromisoformat(report["job"][key]) for key in ("started", "finished"))
    wall = (ended - began).total_seconds()
    assert sum(report["seconds"].values()) == pytest.approx(wall, abs=1.5)  # both ends are whole seconds


def test_what_was_done_when_is_told_in_order_and_adds_up(trained: Trained) -> None:
    report = json.loads(trained.file("report_json").read_text())
    spans = report["spans"]
    assert [span["name"] for span in spans[:2]] == ["preparing", "captioning"]
    assert spans[-1]["name"] == "exporting"
    for before, after in itertools.pairwise(spans):
        # in whole milliseconds, of which the shortest part of a small job's fills none
        assert before["begin"] <= before["first"] <= before["end"] <= after["begin"] + 0.002
        assert before["name"] != after["name"]
    took = dict.fromkeys(report["seconds"], 0.0)
    for span in spans:
        took[span["name"]] += span["end"] - span["begin"]
    for name, seconds in report["seconds"].items():  # between two steps there is a little that is neither's
        assert name == "other" or took[name] > seconds - 0.01


def test_parts_of_one_kind_on_end_are_one_span_that_knows_the_first_of_them() -> None:
    stopwatch = Stopwatch()
    for name in ("preparing", "training", "training", "saving"):
        with stopwatch.running(name):
            time.sleep(0.01)
    preparing, training, saving = stopwatch.spans
    assert preparing.begin < preparing.first == preparing.end <= training.begin
    assert training.begin < training.first <= training.end - 0.01
    assert training.end <= saving.begin < saving.first == saving.end


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_report_for_people_is_whole_in_their_language(
    trained: Trained, language: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from lorabot.trainer import resume
    from lorabot.trainer.report import LoraFile, Report, markdown

    state = resume.read(next(iter(sorted((trained.job.folder / "resume").glob("000006*")))))
    report = Report(
        job=trained.job,
        base_identity="0123456789abcdef",
        plan=state.plan,
        captions=state.captions,
        course=replace(state.course, validation=[(0, 0.31), (4, 0.11), (6, 0.13)]),
        chosen=4,
        file=LoraFile("My-Zuri.safetensors", 100_000, "ab" * 32, 56),
        seconds=json.loads(trained.file("report_json").read_text())["seconds"],
        spans=(),
        started=datetime(2026, 1, 1, tzinfo=UTC),
        finished=datetime(2026, 1, 1, tzinfo=UTC),
        peak=5_000 << 20,
    )
    text = markdown(report, translator(language))
    assert not caplog.records
    assert "report-" not in text
    assert "{" not in text.replace("{}", "")
    assert "My-Zuri.safetensors" in text
    assert "5000 MB" in text.replace(",", "")
    assert "zuri" in text
    assert text.count("0.1100") == 3, "in the words, in the table of numbers and in that of the losses"
    assert "0.3100 → 0.1100" in text
    assert "photo 3.png" in text
    assert text.count("\n## ") == 7
    assert ("触发词" in text) == (language == "zh-CN")


def test_names_of_images_cannot_break_the_reports_tables(trained: Trained) -> None:
    from lorabot.trainer.report import _cell

    assert _cell("a | b <img src=x>\n") == "a \\| b &lt;img src=x> "


def test_the_loss_plot_holds_its_lines(trained: Trained, tmp_path: Path) -> None:
    made = make(views=1200, batch=4)
    losses = [0.2 * 0.995**step + 0.02 * ((step * 7919) % 13 - 6) / 6 for step in range(300)]
    plot = LossPlot(
        title="Zuri",
        losses=losses,
        validation=[(step, 0.2 * 0.996**step) for step in (0, *made.validate_at)],
        seen=[(step, 0.19 * 0.994**step) for step in (0, *made.validate_at)],
        rates=[made.learning_rate * share(made, step) for step in range(300)],
        samples=(0, 100, 200, 300),
        chosen=270,
    )
    plot_losses(plot, tmp_path / "loss.png", translator("en"))
    picture = Image.open(tmp_path / "loss.png").convert("RGB")
    assert picture.size == (1280, 896)
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    for colour in ((0x2F, 0x5F, 0xAE), (0xD2, 0x50, 0x2D), (0x1D, 0x8A, 0x5A), (0x6A, 0x5A, 0xCD), (0x9A, 0x9A, 0x9A)):
        assert (np.abs(pixels - colour).sum(axis=1) < 12).sum() > 60, colour
    small = Image.open(trained.file("plot"))
    assert small.size == picture.size


def test_every_sign_of_a_chinese_picture_can_be_drawn() -> None:
    titles = [preset.title.zh for preset in load_presets(None).presets.values()]
    for text in (*translator("zh-CN").templates("picture-").values(), *titles):
        assert drawable(text, "") == text


@pytest.mark.filterwarnings("error")  # matplotlib warns of a sign that it has no glyph for
def test_a_chinese_plot_is_in_chinese(tmp_path: Path) -> None:
    losses = [0.2, 0.1, 0.1]
    plot = LossPlot("zuri · 动漫角色", losses, [(0, 0.2), (3, 0.1)], [(0, 0.2), (3, 0.1)], [1e-3] * 3, (0, 3), 3)
    pictures = []
    for language in ("en", "zh-CN"):
        plot_losses(plot, tmp_path / "loss.png", translator(language))
        pictures.append(np.asarray(Image.open(tmp_path / "loss.png").convert("RGB")).astype(int))
    english, chinese = pictures
    legend = slice(int(0.82 * english.shape[0]), None)
    assert (np.abs(english - chinese)[legend].sum(axis=2) > 100).sum() > 500


@pytest.mark.parametrize("losses", [[], [None, None], [0.1], [0.1, None, 0.3]])
def test_a_plot_of_hardly_anything_is_still_drawn(losses: list[float | None], tmp_path: Path) -> None:
    plot = LossPlot("祖里", losses, [(0, 0.5)], [], [1e-3] * len(losses), (0,), 0)
    plot_losses(plot, tmp_path / "loss.png", translator("en"))
    assert Image.open(tmp_path / "loss.png").size == (1280, 896)


def test_the_grid_has_a_row_a_prompt_and_a_column_a_moment(tmp_path: Path) -> None:
    def picture(colour: str) -> bytes:
        content = BytesIO()
        Image.new("RGB", (128, 128), colour).save(content, format="PNG")
        return content.getvalue()

    colours = [["#ff0000", "#00ff00"], ["#0000ff", "#ffff00"], ["#00ffff", "#ff00ff"]]
    columns = {f"step {index}": [picture(colour) for colour in column] for index, column in enumerate(colours)}
    draw_grid(("a zuri", "雪中的祖里"), columns, tmp_path / "grid.png", translator("en"), chosen="step 2")
    grid = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    places = {}
    for column in range(3):
        for row in range(2):
            colour = tuple(bytes.fromhex(colours[column][row][1:]))
            ys, xs = np.nonzero((grid == colour).all(axis=2))
            assert len(ys) == 256 * 256
            places[column, row] = (xs.min(), ys.min())
    assert places[0, 0][0] < places[1, 0][0] < places[2, 0][0]
    assert places[0, 0][1] < places[0, 1][1]
    assert places[0, 0][1] == places[2, 0][1]


def test_text_without_letters_in_the_font_is_replaced() -> None:
    assert drawable("zuri in a café") == "zuri in a café"
    assert drawable("雪中的祖里", "prompt 2") == "prompt 2"

"""An operator's own presets: strictly read, and a broken one harms no other."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import lorabot.presets
from lorabot.presets import load_presets

BUILT_IN = len(load_presets().presets)
GOOD = (Path(lorabot.presets.__file__).parent / "pet.yaml").read_text(encoding="utf-8").replace("id: pet", "id: robot")


def line_of(text: str, needle: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if needle in line)


def test_an_operators_preset_joins_the_others(tmp_path: Path) -> None:
    (tmp_path / "robot.yaml").write_text(GOOD, encoding="utf-8")
    catalogue = load_presets(tmp_path)
    assert catalogue.broken == ()
    assert catalogue.get("robot").title.en == "Pet"
    assert len(catalogue.presets) == BUILT_IN + 1


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("unet_lr: 2e-4", "unet_rate: 2e-4", "recipes.sd15.unet_rate", "did you mean unet_lr?"),
        ("unet_lr: 2e-4", "unet_lr: fast", "recipes.sd15.unet_lr", "'fast'"),
        ("unet_lr: 2e-4", "unet_lr: '2e-4'", "recipes.sd15.unet_lr", "'2e-4'"),
        ("unet_lr: 2e-4", "unet_lr: 2", "recipes.sd15.unet_lr", "less than or equal to 0.01"),
        ("unet_lr: 2e-4", "unet_lr: .nan", "recipes.sd15.unet_lr", ""),
        ("resolution: 512", "resolution: 500", "recipes.sd15.resolution", "multiple of 64"),
        ("resolution: 512", "resolution: 512.5", "recipes.sd15.resolution", "512.5"),
        ("resolution: 512", "resolution: true", "recipes.sd15.resolution", "True"),
        ("views: 1300", "views: 0", "recipes.sdxl.views", "greater than or equal to 1"),
        ("vocabulary: pet", "vocabulary: pets", "recipes.sd15.caption.vocabulary", "no vocabulary pets"),
        (
            "method: zero-shot, vocabulary: pet",
            "method: guess, vocabulary: pet",
            "recipes.sd15.caption.method",
            "guess",
        ),
        ("  sd15:", "  sd35:", "recipes.sd35", "'sd15'"),
        ("  min_images: 5", "  min_images: 30", "send", "min_images <= best <= max_images"),
        ("  min_images: 5", "  min_images: five", "send.min_images", "'five'"),
        ("id: robot", "id: Robot 1", "id", "'Robot 1'"),
        (
            '- "{trigger} sleeping on a sofa, soft light"',
            '- "{word} sleeping"',
            "recipes.sd15.sample_prompts",
            "braces",
        ),
        ("flip: false", "flip: no", "recipes.sd15.flip", "'no'"),
        ('en: "Pet"', 'en: ""', "title.en", ""),
        ('  zh: "宠物"\n', "", "title.zh", "is missing"),
    ],
)
def test_a_fault_is_named_with_its_line_and_field(tmp_path: Path, old: str, new: str, field: str, reason: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    (tmp_path / "robot.yaml").write_text(text, encoding="utf-8")
    catalogue = load_presets(tmp_path)
    assert len(catalogue.presets) == BUILT_IN
    (fault,) = catalogue.broken
    assert fault.path == tmp_path / "robot.yaml"
    assert fault.field == field
    assert reason in fault.reason
    # What is missing has no line: that of what should hold it counts. A list is named as a whole.
    leaf = {"title.zh": "title", "send": "send"}.get(field, field.rpartition(".")[2])
    assert re.search(rf"\b{leaf}:", text.splitlines()[fault.line - 1])


def test_words_that_older_yaml_took_for_switches_are_words(tmp_path: Path) -> None:
    (tmp_path / "robot.yaml").write_text(GOOD.replace("id: robot", "id: no"), encoding="utf-8")
    assert load_presets(tmp_path).get("no").id == "no"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 0, "is empty"),
        ("just words", 1, "input should be fields with values, not 'just words'"),
        ("- a list", 1, "input should be fields with values"),
        ("id: [1, 2", 1, "is not YAML"),
        ("id: a\n\ttitle: b", 2, "is not YAML"),
        ("id: a\nid: b", 2, "given twice (first on line 1)"),
        ("&a\nid: *a", 2, "refers to itself"),
        ("id: !!python/object/apply:os.system [echo]", 1, ""),
        ("id: \x07", 0, "is not YAML"),
        ("id: " + 1000 * "[", 0, "nested too deeply"),
        ("\n".join(f"a{n}: &a{n} [{', '.join(9 * [f'*a{n - 1}'] if n else [])}]" for n in range(10)), 0, "more than"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else value,
)
def test_what_is_no_preset_at_all_is_named_too(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "robot.yaml").write_text(text, encoding="utf-8")
    catalogue = load_presets(tmp_path)
    assert len(catalogue.presets) == BUILT_IN
    assert reason in catalogue.broken[0].reason
    assert catalogue.broken[0].line == line
    assert str(tmp_path / "robot.yaml") in str(catalogue.broken[0])


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("rank: 8", "rank: 0", 1).replace("views: 1300", "views: many", 1)
    (tmp_path / "robot.yaml").write_text(text, encoding="utf-8")
    assert [fault.field for fault in load_presets(tmp_path).broken] == ["recipes.demo.rank", "recipes.sdxl.views"]


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "robot.yaml").write_bytes(b"id: \xff\xfe")
    assert "UTF-8" in load_presets(tmp_path).broken[0].reason


def test_a_folder_that_is_not_there_is_named_and_the_built_in_ones_work(tmp_path: Path) -> None:
    catalogue = load_presets(tmp_path / "nowhere")
    assert catalogue.broken[0].reason == "is not a folder; LORABOT_PRESETS_DIR names it"
    assert len(catalogue.presets) == BUILT_IN


def test_an_override_takes_the_place_of_the_built_in_one_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("id: robot", "id: pet").replace("views: 1800", "views: 900"))
    catalogue = load_presets(tmp_path)
    assert catalogue.presets["pet"].recipes["sd15"].views == 900
    assert [(override.id, override.path.name) for override in catalogue.overrides] == [("pet", "mine.yaml")]
    assert len(catalogue.presets) == BUILT_IN


def test_a_broken_override_leaves_the_built_in_one_in_place(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD.replace("id: robot", "id: pet").replace("views: 1800", "views: 0", 1))
    catalogue = load_presets(tmp_path)
    assert catalogue.presets["pet"].recipes["sd15"].views == 1800
    assert catalogue.overrides == ()
    assert len(catalogue.broken) == 1


def test_who_shows_it_nowhere_logs_what_was_left_out_and_what_was_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "mine.yaml").write_text(GOOD.replace("id: robot", "id: pet"), encoding="utf-8")
    (tmp_path / "odd.yaml").write_text("- a\n", encoding="utf-8")
    catalogue = load_presets(tmp_path)
    assert caplog.messages == []
    catalogue.log()
    assert caplog.messages == [
        f"preset left out: {tmp_path / 'odd.yaml'}:1: input should be fields with values",
        f"{tmp_path / 'mine.yaml'} takes the place of the built-in pet",
    ]


def test_two_files_with_one_id_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD, encoding="utf-8")
    (fault,) = load_presets(tmp_path).broken
    assert fault.path.name == "b.yaml"
    assert "a.yaml" in fault.reason


def test_a_preset_can_use_a_vocabulary_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "vocabularies").mkdir()
    (tmp_path / "vocabularies" / "robots.yaml").write_text(
        "id: robots\ngroups:\n  - name: pose\n    template: a robot {label}\n    labels: [standing, flying]\n"
        "    threshold: 0.4\n"
    )
    (tmp_path / "robot.yaml").write_text(GOOD.replace("vocabulary: pet", "vocabulary: robots"), encoding="utf-8")
    catalogue = load_presets(tmp_path)
    assert catalogue.broken == ()
    assert catalogue.vocabulary("robots").groups[0].labels == ("standing", "flying")


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("{name: a, template: a robot, labels: [x, y], threshold: 0.4}", "must hold {label} once"),
        ("{name: a, template: 'a {label}', labels: [x, x], threshold: 0.4}", "label given twice: x"),
        ("{name: a, template: 'a {label}', labels: x, threshold: 0.4}", "input should be a list, not 'x'"),
        ("{name: a, template: 'a {label}', labels: [x], threshold: 0.4}", "list should have at least 2 items, not 1"),
        ("{name: a, template: 'a {label}', labels: [x, y], threshold: 4}", "less than or equal to 1"),
        ("{name: a, template: 'a {label}', labels: [x, y], unsaid: [z], threshold: 0}", "what is no label: z"),
        ("{name: a, template: 'a {label}', labels: [x, y], unsaid: [x, y], threshold: 0}", "can be said"),
        ("{name: a, template: 'a {label}', labels: [x, y], treshold: 0.4, threshold: 0}", "did you mean threshold?"),
    ],
)
def test_a_faulty_vocabulary_is_named_with_its_line(tmp_path: Path, group: str, reason: str) -> None:
    (tmp_path / "vocabularies").mkdir()
    (tmp_path / "vocabularies" / "robots.yaml").write_text(f"id: robots\ngroups:\n  - {group}\n")
    (fault,) = load_presets(tmp_path).broken
    assert reason in fault.reason
    assert fault.field.startswith("groups[0]")
    assert fault.line == 3


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # each example reads all presets, so shrinking takes long and says little
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, len(GOOD)), st.integers(0, 40), st.text(max_size=8))
def test_no_damage_to_a_file_stops_the_others(tmp_path: Path, at: int, length: int, put: str) -> None:
    damaged = (GOOD[:at] + put + GOOD[at + length :]).encode("utf-8", "surrogatepass")
    (tmp_path / "robot.yaml").write_bytes(damaged)
    catalogue = load_presets(tmp_path)
    assert len(catalogue.presets) >= BUILT_IN
    assert "robot" in catalogue.presets or catalogue.broken or len(catalogue.presets) > BUILT_IN or catalogue.overrides


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "folder.yaml").mkdir()
    assert load_presets(tmp_path).broken == ()

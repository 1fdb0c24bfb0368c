"""The saved state of a running job, to go on from after whatever happens."""

from dataclasses import replace
from pathlib import Path

from lorabot.trainer import wire
from lorabot.trainer.course import Candidate, Course
from lorabot.trainer.saving import Saver
from lorabot.trainer.telling import Stopwatch
from tests.trainer.conftest import make_job
from tests.trainer.lessons import make_setup

COURSE = Course(losses=[0.3, 0.2], rates=[1e-4] * 2, durations=[0.1] * 2, pictures={0: (b"picture",)})


def test_what_was_saved_last_stays_what_it_was_while_the_training_goes_on(tmp_path: Path) -> None:
    setup, events = make_setup(), list[wire.Event]()
    saver = Saver(make_job(tmp_path, 1), setup.base, (), 3600, Stopwatch(), events.append)
    course = COURSE.copy()
    saver.save(setup.plan, {}, course, {})
    course.losses.append(0.1)
    course.pictures[2] = (b"another",)
    course.propose(Candidate(3, 0.2, {}))
    assert saver.last is not None
    assert saver.last.course == replace(COURSE, losses=[0.3, 0.2], pictures={0: (b"picture",)})
    assert [event.type for event in events] == ["checkpoint"]

"""Steps that crawl because a driver moves a card's memory to the host's."""

from lorabot.trainer.memory import Crawl


def noticed(crawl: Crawl, *seconds: float) -> list[int]:
    """The steps after which it is noticed."""
    return [step for step, each in enumerate(seconds, 1) if crawl.noticed(each)]


def test_a_lasting_collapse_is_noticed_after_a_few_steps() -> None:
    (step,) = noticed(Crawl(0.2), *[0.2] * 20, *[6.0] * 6)
    assert 22 <= step <= 26


def test_one_slow_step_or_a_computer_that_slept_is_not() -> None:
    assert not noticed(Crawl(0.2), *[*[0.2] * 9, 30.0, *[0.2] * 9, 40_000.0] * 3)


def test_steps_that_are_slower_for_long_but_not_by_much_are_not() -> None:
    assert not noticed(Crawl(0.2), *[0.7] * 200)


def test_tiny_steps_are_not_worth_it() -> None:
    assert not noticed(Crawl(0.001), *[0.05] * 50)


def test_where_a_smaller_plan_did_not_help_it_is_left_at_that() -> None:
    crawl = Crawl(0.2)
    assert len(noticed(crawl, *[6.0] * 8)) == 1
    assert not noticed(crawl, *[5.0] * 50), "it is not memory that is scarce: the card is busy"
    crawl = Crawl(0.2)
    assert len(noticed(crawl, *[6.0] * 8)) == 1
    assert len(noticed(crawl, *[2.0] * 8)) == 1, "it helped, and not enough"
    assert not noticed(crawl, *[0.3] * 50)


def test_a_way_that_is_slower_by_itself_has_its_time() -> None:
    crawl = Crawl(0.5)
    crawl.changed(slower=3.0)
    assert not noticed(crawl, *[4.0] * 50)
    assert noticed(crawl, *[30.0] * 10)

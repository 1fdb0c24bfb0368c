"""Rows of the store as domain values, and back. Payloads are checked on the way in."""

from typing import Any

from sqlalchemy import RowMapping

from lorabot.queue.model import (
    Act,
    Address,
    Card,
    Dataset,
    Draft,
    Event,
    Job,
    JobState,
    Line,
    NewJob,
    OutboxEntry,
    Person,
    Proposal,
    UploadLink,
)
from lorabot.queue.payload import IMAGES, MESSAGE, OBJECT, OUTCOME, PROGRESS, RESUME, Payload


def _optional(payload: Payload[Any], stored: object) -> Any:
    return None if stored is None else payload.read(stored)


def new_job_values(new: NewJob) -> dict[str, object]:
    return {
        "name": new.name,
        "owner": new.owner,
        "address": str(new.address),
        "scope": new.address.scope,
        "language": new.language,
        "preset": OBJECT.write(dict(new.preset)),
        "vocabulary": None if new.vocabulary is None else OBJECT.write(dict(new.vocabulary)),
        "trigger": new.trigger,
        "base": new.base,
        "dataset_id": new.dataset_id,
        "seed": new.seed,
        "options": OBJECT.write(dict(new.options)),
    }


def job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        address=Address.parse(row["address"]),
        language=row["language"],
        preset=OBJECT.read(row["preset"]),
        vocabulary=_optional(OBJECT, row["vocabulary"]),
        trigger=row["trigger"],
        base=row["base"],
        dataset_id=row["dataset_id"],
        seed=row["seed"],
        options=OBJECT.read(row["options"]),
        state=JobState(row["state"]),
        priority=row["priority"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        attempt=row["attempt"],
        crashes=row["crashes"],
        cancel_requested=row["cancel_requested"],
        version=row["version"],
        progress=_optional(PROGRESS, row["progress"]),
        outcome=_optional(OUTCOME, row["outcome"]),
        failure=_optional(MESSAGE, row["failure"]),
        resume=_optional(RESUME, row["resume"]),
    )


def card(row: RowMapping) -> Card:
    return Card(row["id"], row["card_ref"], row["card_version"])


def draft(row: RowMapping) -> Draft:
    return Draft(row["owner"], Address.parse(row["address"]), IMAGES.read(row["images"]), row["updated_at"])


def dataset(row: RowMapping) -> Dataset:
    return Dataset(row["id"], row["owner"], IMAGES.read(row["images"]), row["created_at"])


def event(row: RowMapping) -> Event:
    details = OBJECT.read(row["details"])
    return Event(row["job_id"], row["at"], row["kind"], row["attempt"], row["actor"], details)


def outbox_entry(row: RowMapping) -> OutboxEntry:
    return OutboxEntry(
        id=row["id"],
        job_id=row["job_id"],
        address=Address.parse(row["address"]),
        kind=row["kind"],
        message=_optional(MESSAGE, row["message"]),
        created_at=row["created_at"],
        tries=row["tries"],
    )


def line(row: RowMapping) -> Line:
    return Line(
        id=row["id"],
        conversation=row["conversation"],
        key=row["key"],
        author=row["author"],
        at=row["at"],
        revision=row["revision"],
        payload=OBJECT.read(row["payload"]),
    )


def person(row: RowMapping) -> Person:
    return Person(row["owner"], row["language"], row["consented_at"], row["unreachable_at"])


def proposal(row: RowMapping) -> Proposal:
    return Proposal(
        id=row["id"],
        owner=row["owner"],
        address=Address.parse(row["address"]),
        request=OBJECT.read(row["request"]),
        digest=row["digest"],
        dataset=row["dataset_id"],
        job=row["job_id"],
        created_at=row["created_at"],
    )


def upload_link(row: RowMapping) -> UploadLink:
    return UploadLink(
        id=row["id"],
        owner=row["owner"],
        address=Address.parse(row["address"]),
        language=row["language"],
        created_at=row["created_at"],
        closed=row["closed_at"] is not None,
    )


def act(row: RowMapping) -> Act:
    return Act(row["at"], row["actor"], row["action"], row["scope"], row["job_id"])

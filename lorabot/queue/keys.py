"""Names of files in the blobs, and ids. The one place that decides where things lie."""

import re
import secrets
from hashlib import sha256

# No vowels and nothing that is read as something else: ids are typed by people and should not spell words.
_ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def new_id(length: int = 10) -> str:
    """A random id, lowercase and fit for URLs: 27**10 is 2e14."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


IMAGES, CONVERSATIONS, JOBS = "images/", "web/", "jobs/"
"""The folders of everything: pictures to train on, small ones that the web chat shows, what jobs make."""


def owner_prefix(owner: str) -> str:
    """The folder of an owner's images. The owner is hashed: ids of platforms have no place in file names."""
    return f"{IMAGES}{sha256(owner.encode()).hexdigest()[:32]}/"


def image_key(owner: str, digest: str) -> str:
    """Where an owner's clean image lies. By content: the same picture sent twice is kept once."""
    return f"{owner_prefix(owner)}{digest}.webp"


def conversation_prefix(conversation: str) -> str:
    """The folder of the small pictures that a conversation of the web chat shows."""
    return f"{CONVERSATIONS}{safe_name(conversation)}/"


def job_prefix(job_id: str) -> str:
    """The folder of everything a job made."""
    return f"{JOBS}{job_id}/"


def artefact_key(job_id: str, attempt: int, filename: str) -> str:
    return f"{job_prefix(job_id)}{attempt}/{safe_name(filename)}"


def resume_key(job_id: str, attempt: int, step: int) -> str:
    """The state after ``step``. The attempt is part of it, so that a worker that lost its lease overwrites nothing."""
    return f"{job_prefix(job_id)}resume/{attempt}-{step}.safetensors"


def safe_name(filename: str) -> str:
    """``filename`` as a key's last segment: plain characters as they are, a short hash where others were."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", filename).lstrip(".-")[-100:].lstrip(".-")
    if plain == filename and plain:
        return plain
    return f"{sha256(filename.encode(errors='replace')).hexdigest()[:8]}_{plain}"

"""How the trainer behaves on its host; what is trained and how is the preset's matter."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LEAST_BYTES = 1024**3
DEVICE_PATTERN = r"^(auto|cpu|cuda|cuda:\d+)$"


class TrainerConfig(BaseModel):
    """Device, saving and supervision of the trainer. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: str = Field(
        "auto", pattern=DEVICE_PATTERN, description="Where to train: auto, cpu, cuda, or one card such as cuda:1"
    )
    memory_limit: float = Field(
        1.0,
        gt=0.0,
        description="The most of a card's memory that training may hold: up to 1 a share of it, above that bytes",
    )
    memory_wait_s: float = Field(
        1800.0,
        ge=0.0,
        le=86_400.0,
        description="How long a training waits for others to let go of the card's memory, or of the disk (seconds)",
    )
    threads: int = Field(0, ge=0, le=1024, description="CPU threads for training; 0 takes every core")
    sample_rounds: int = Field(
        2, ge=0, le=20, description="How often sample pictures are drawn while training, besides before and after"
    )
    validations: int = Field(10, ge=1, le=200, description="How often the validation loss is measured in a training")
    checkpoint_s: float = Field(
        20.0, ge=0.0, le=3600.0, description="How often the state to resume from is saved (seconds); 0: every step"
    )
    progress_s: float = Field(
        1.0, ge=0.0, le=60.0, description="The least time between two progress reports of the engine (seconds)"
    )
    recycle_jobs: int = Field(50, ge=1, le=100_000, description="Jobs after which the engine process is started afresh")
    recycle_gib: float = Field(
        4.0,
        gt=0.0,
        le=1024.0,
        description="Host memory that the engine process may gain from job to job before it is started afresh (GiB)",
    )
    cancel_grace_s: float = Field(
        10.0, ge=0.0, le=600.0, description="How long an engine may take to obey before it is terminated (seconds)"
    )
    terminate_grace_s: float = Field(
        5.0, ge=0.0, le=600.0, description="How long an engine may take to end before it is killed (seconds)"
    )
    start_timeout_s: float = Field(
        300.0, ge=1.0, le=3600.0, description="How long an engine may take to load its libraries and models (seconds)"
    )
    alive_s: float = Field(2.0, ge=0.05, le=60.0, description="How often an engine says that it lives (seconds)")
    silence_s: float = Field(
        60.0, ge=0.5, le=3600.0, description="An engine that says nothing for this long is taken for dead (seconds)"
    )

    @model_validator(mode="after")
    def _limit_is_no_slip(self) -> Self:
        if 1.0 < self.memory_limit < _LEAST_BYTES:
            raise ValueError(f"memory_limit is a share up to 1, or bytes from {_LEAST_BYTES} on")
        return self

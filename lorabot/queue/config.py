"""How the queue behaves; where its parts are (the URLs) is told to ``open_queue``."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class QueueConfig(BaseModel):
    """Leases, limits and intervals of the queue. Times are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lease_s: float = Field(
        5.0, ge=1.0, le=600.0, description="A worker that has not renewed its claim for this long has lost it (seconds)"
    )
    heartbeat_s: float = Field(1.0, ge=0.05, le=60.0, description="How often a worker renews its claim (seconds)")
    reconcile_s: float = Field(
        2.0, ge=0.1, le=300.0, description="How often tickets are compared with runnable jobs (seconds)"
    )
    poll_s: float = Field(
        0.5,
        ge=0.02,
        le=60.0,
        description="How often an idle worker looks for tickets (seconds)",
    )
    shutdown_s: float = Field(
        20.0,
        ge=0.0,
        le=3600.0,
        description="How long a stopping worker may take to give its job back (seconds)",
    )
    jobs_per_owner: int = Field(1, ge=1, le=1000, description="Unfinished jobs one person may have at a time")
    same_crashes: int = Field(3, ge=1, le=100, description="A job that crashed this often in the same way is failed")
    any_crashes: int = Field(10, ge=1, le=1000, description="A job that crashed this often in any way is failed")
    keep_days: float = Field(
        30.0,
        gt=0,
        le=3650,
        description="A job that ended this long ago is deleted with its photos, samples and results (days)",
    )
    draft_days: float = Field(
        7.0, gt=0, le=3650, description="Photos that nobody trained on for this long are deleted (days)"
    )
    ticket_expiry_s: float = Field(
        604_800.0,
        ge=60.0,
        description="A ticket that nobody took for this long is dropped (seconds)",
    )

    @model_validator(mode="after")
    def _lease_outlives_a_missed_beat(self) -> Self:
        if self.lease_s < 2 * self.heartbeat_s:
            raise ValueError("lease_s must be at least twice heartbeat_s, or one late beat loses the job")
        return self

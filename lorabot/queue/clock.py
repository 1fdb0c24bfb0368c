"""Time by the database's clock, so that hosts whose clocks differ agree on who holds a lease."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from lorabot.queue.tables import UtcTime


class now_plus(FunctionElement[datetime]):
    """The database's time now, plus so many seconds."""

    type = UtcTime()
    inherit_cache = True
    name = "now_plus"


@compiles(now_plus, "postgresql")
def _postgresql(element: now_plus, compiler: Any, **kw: Any) -> str:
    # statement_timestamp, not now(): a transaction that waited for a lock must not see an old time.
    seconds = compiler.process(element.clauses, **kw)
    return f"(statement_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(now_plus, "sqlite")
def _sqlite(element: now_plus, compiler: Any, **kw: Any) -> str:
    # Julian day 2440587.5 is 1970-01-01; SQLite keeps the day to the millisecond.
    seconds = compiler.process(element.clauses, **kw)
    milliseconds = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
    return f"({milliseconds} * 1000 + CAST({seconds} * 1000000 AS INTEGER))"


def now() -> ColumnElement[datetime]:
    return now_plus(0.0)

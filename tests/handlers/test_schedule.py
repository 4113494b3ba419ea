"""When a scheduled run was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from handlers.schedule import due


@pytest.mark.parametrize("at", ["October", "", "2026-13-01T06:00:00Z", 7])
def test_what_is_no_time_is_refused_and_not_taken_for_now(at: object) -> None:
    with pytest.raises(ValueError, match="has to be a time such as"):
        due({"at": at})


def test_a_time_is_read_as_scheduler_writes_it() -> None:
    assert due({"at": "2026-11-01T06:00:00Z"}) == datetime(2026, 11, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize("event", [{}, {"at": "<aws.scheduler.scheduled-time>"}])
def test_without_a_time_and_with_a_keyword_left_in_place_it_is_now(event: dict[str, str]) -> None:
    assert abs(datetime.now(UTC) - due(event)) < timedelta(minutes=1)

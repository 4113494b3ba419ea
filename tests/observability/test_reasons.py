"""Reasons, as the real service has worded them; names and times are changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from handlers.paging.notification import latest_value
from observability.model import MetricAlarm, Missing, State, read_metric_alarm
from observability.reasons import Reading, number, reason, reason_data

OK, ALARM = State.OK, State.ALARM
FIVE = int(datetime(2026, 11, 22, 15, 5, tzinfo=UTC).timestamp())


def make(n: int, m: int | None = None, operator: str = "GreaterThanThreshold", threshold: float = 5.0) -> MetricAlarm:
    document: dict[str, Any] = {
        "AlarmName": "a",
        "Namespace": "N",
        "MetricName": "M",
        "Statistic": "Sum",
        "Unit": "Count",
        "Period": 300,
        "EvaluationPeriods": n,
        "ComparisonOperator": operator,
        "Threshold": threshold,
    }
    return read_metric_alarm(document if m is None else {**document, "DatapointsToAlarm": m})


def readings(*values: float | None) -> tuple[Reading, ...]:
    """Newest first, the newest from 15:00 to 15:05."""
    return tuple(Reading(FIVE - 300 * age, value) for age, value in enumerate(values, 1))


SEEN = [
    (
        make(3, 2, "GreaterThanOrEqualToThreshold"),
        ALARM,
        (9.0, 1.0, 7.0),
        Missing.NOT_BREACHING,
        (
            "Threshold Crossed: 2 out of the last 3 datapoints [9.0 (22/11/26 15:00:00), 7.0 (22/11/26 14:50:00)] were"
            " greater than or equal to the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition)."
        ),
    ),
    (
        make(8, 2, "GreaterThanOrEqualToThreshold"),
        OK,
        (1.0, 2.0, 3.0, None, None, None, None, None),
        Missing.NOT_BREACHING,
        (
            "Threshold Crossed: 3 out of the last 8 datapoints [1.0 (22/11/26 15:00:00), 2.0 (22/11/26 14:55:00), 3.0"
            " (22/11/26 14:50:00)] were not greater than or equal to the threshold (5.0) and 5 missing datapoints were"
            " treated as [NonBreaching] (minimum 7 datapoints for ALARM -> OK transition)."
        ),
    ),
    (
        make(2, 1),
        ALARM,
        (613.0, None),
        Missing.NOT_BREACHING,
        (
            "Threshold Crossed: 1 out of the last 2 datapoints [613.0 (22/11/26 15:00:00)] was greater than the"
            " threshold (5.0) and 1 missing datapoint was treated as [NonBreaching] (minimum 1 datapoint for OK ->"
            " ALARM transition)."
        ),
    ),
    (
        make(2, operator="LessThanThreshold"),
        OK,
        (5.0, None),
        Missing.BREACHING,
        (
            "Threshold Crossed: 1 datapoint [5.0 (22/11/26 15:00:00)] was not less than the threshold (5.0) and 1"
            " missing datapoint was treated as [Breaching]."
        ),
    ),
    (
        make(3),
        ALARM,
        (7.0, 8.0, 6.0),
        Missing.MISSING,
        (
            "Threshold Crossed: 3 datapoints [7.0 (22/11/26 15:00:00), 8.0 (22/11/26 14:55:00), 6.0"
            " (22/11/26 14:50:00)] were greater than the threshold (5.0)."
        ),
    ),
    (
        make(3),
        OK,
        (0.0, 8.0, 6.0),
        Missing.MISSING,
        "Threshold Crossed: 1 datapoint [0.0 (22/11/26 15:00:00)] was not greater than the threshold (5.0).",
    ),
    (
        make(2, 2),
        ALARM,
        (None, None),
        Missing.BREACHING,
        (
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as"
            " [Breaching]."
        ),
    ),
    (
        make(1),
        OK,
        (None,),
        Missing.NOT_BREACHING,
        (
            "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as"
            " [NonBreaching]."
        ),
    ),
    (
        make(3, 2),
        ALARM,
        (0.0, None, None),
        Missing.BREACHING,
        (
            "Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as"
            " [Breaching]."
        ),
    ),
    (make(3), State.INSUFFICIENT_DATA, (None,) * 3, Missing.MISSING, "Insufficient Data: 3 datapoints were unknown."),
    (make(1), State.INSUFFICIENT_DATA, (None,), Missing.MISSING, "Insufficient Data: 1 datapoint was unknown."),
]


@pytest.mark.parametrize(("alarm", "state", "values", "missing", "expected"), SEEN)
def test_worded_as_cloudwatch_does(
    alarm: MetricAlarm, state: State, values: tuple[float | None, ...], missing: Missing, expected: str
) -> None:
    assert reason(alarm, state, readings(*values), missing, kept=False) == expected


def test_a_kept_state_says_what_was_ignored() -> None:
    told = reason(make(3), OK, readings(7.0, None, None), Missing.IGNORE, kept=True)
    assert told == "State kept: 2 missing datapoints were ignored."
    told = reason(make(1), OK, readings(7.0), Missing.IGNORE, kept=True)
    assert told == "State kept: there are too few samples."


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5.0"),
        (0.0, "0.0"),
        (-0.25, "-0.25"),
        (0.0144, "0.0144"),
        (9_999_999.5, "9999999.5"),
        (43_200_000, "4.32E7"),
        (1e7, "1.0E7"),
        (0.001, "0.001"),
        (0.00001, "1.0E-5"),
        (-0.000123, "-1.23E-4"),
    ],
)
def test_numbers_are_written_as_java_writes_them(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize("value", [7.0, 12.5, 0.0000123, -6.0e-9])
def test_the_notifier_reads_the_newest_value_out_of_the_reason(value: float) -> None:
    alarm = make(1, threshold=-1.0)
    assert latest_value(reason(alarm, ALARM, readings(value), Missing.MISSING, kept=False)) == value


def test_reason_data_has_the_fields_of_the_real_service_in_its_order() -> None:
    assert reason_data(make(3), FIVE, readings(9.0, None, 7.0)) == {
        "version": "1.0",
        "queryDate": "2026-11-22T15:05:00.000+0000",
        "startDate": "2026-11-22T14:50:00.000+0000",
        "unit": "Count",
        "statistic": "Sum",
        "period": 300,
        "recentDatapoints": [7.0, 9.0],
        "threshold": 5.0,
        "evaluatedDatapoints": [
            {"timestamp": "2026-11-22T15:00:00.000+0000", "value": 9.0},
            {"timestamp": "2026-11-22T14:55:00.000+0000"},
            {"timestamp": "2026-11-22T14:50:00.000+0000", "value": 7.0},
        ],
    }


def test_reason_data_without_data_points_has_no_start() -> None:
    data = reason_data(make(1), FIVE, readings(None))
    assert "startDate" not in data
    assert data["recentDatapoints"] == []

"""What people are told about an alarm: pure, from CloudWatch's notification to the words."""

from __future__ import annotations

import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.paging.incident import Incident, Transition, begins, change_id, incident
from handlers.paging.links import encoded
from handlers.paging.message import chat, email, in_words, quantity, severity, webhook, write_page
from handlers.paging.notification import (
    MalformedNotification,
    Measure,
    Notification,
    State,
    latest_value,
    parse_notification,
)
from handlers.paging.orders import MOST_ORDERS, MOST_REASONS, Found, affected, clues, insights_query, pattern, window
from handlers.telemetry import contract
from tests.handlers.alarms import BEGAN, GROUPS, NAMES, changed, golden, page, parsed, told

ROOT = Path(__file__).parent.parent.parent
NEEDED = {"AlarmName", "NewStateValue", "StateChangeTime"}

# ---- Reading ----


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "null", '"x"', "{}", '{"AlarmName": 1}', "[" * 100_000])
def test_what_names_no_alarm_is_refused(body: str) -> None:
    with pytest.raises(MalformedNotification):
        parse_notification(body, region="us-east-1")


@pytest.mark.parametrize(
    "changes",
    [{"NewStateValue": "BROKEN"}, {"NewStateValue": None}, {"StateChangeTime": None}, {"StateChangeTime": "at noon"}],
)
def test_a_state_or_time_that_cannot_be_read_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedNotification):
        parsed("metric-alarm", **changes)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("missing", sorted((golden("metric-alarm") | golden("composite-alarm")).keys() - NEEDED))
def test_a_field_that_is_not_there_costs_no_page_unless_it_is_name_state_or_time(name: str, missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    notification = parsed(name, **without)
    assert email(page(name, **without)), missing
    assert notification.name == golden(name)["AlarmName"]


def test_an_alarm_is_read_with_all_that_it_says() -> None:
    notification = parsed("metric-alarm")
    assert (notification.state, notification.before) == (State.ALARM, "OK")
    assert notification.at == datetime(2026, 11, 22, 15, 6, 1, 123_000, UTC)
    assert (notification.account, notification.region, notification.partition) == ("123456789012", "us-east-1", "aws")
    assert notification.card.severity == "page"
    assert notification.card.runbook.endswith("#send-email-failures-page")
    assert [(each.namespace, each.name, each.stat) for each in notification.series] == [
        ("Mailroom", "SendFailures", "sum")
    ]
    assert (notification.value, notification.threshold, notification.periods) == (9.0, 5.0, (2, 3))


def test_the_region_is_the_alarms_own_and_not_cloudwatchs_name_for_it() -> None:
    assert parsed("metric-alarm").region == "us-east-1"
    without = parse_notification(told("metric-alarm", AlarmArn=None), region="eu-central-1")
    assert without.region == "eu-central-1"
    china = "arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:a"
    links = webhook(page("metric-alarm", AlarmArn=china))["links"]
    assert links["alarm"].startswith("https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#")


@pytest.mark.parametrize(
    ("reason", "value"),
    [
        ("Threshold Crossed: 1 datapoint [1.0 (05/02/18 06:28:00)] was greater than the threshold (1.0).", 1.0),
        ("Threshold Crossed: 2 datapoints [0.5 (11/03/22 10:58:00), 4.0 (11/03/22 10:53:00)] were ...", 0.5),
        ("Threshold Crossed: 1 out of the last 1 datapoints [-1.5E-4 (11/03/22 10:58:00)] was less than", -0.00015),
        ("Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was [Breaching].", None),
        ("Insufficient Data: 3 datapoints were unknown.", None),
        ("tried by hand", None),
        ("", None),
    ],
)
def test_the_value_is_the_most_recent_data_point_in_cloudwatchs_words(reason: str, value: float | None) -> None:
    assert latest_value(reason) == value


# ---- Incidents ----


def key(name: str, history: list[Transition] | None = None, **changes: Any) -> str:
    found = incident(parsed(name, **changes), history)
    assert found
    return found.key


def test_an_incident_keeps_its_key_from_alarm_to_ok() -> None:
    alarm = key("metric-alarm")
    assert alarm == "mailroom-prod-send-email-failures-page/2026-11-22T15:06:01Z"
    assert key("metric-insufficient-data", [changed(14, "INSUFFICIENT_DATA"), changed(0, "ALARM")]) == alarm
    assert key("metric-ok", [changed(23, "OK"), changed(0, "ALARM"), changed(-60, "OK")]) == alarm
    through_both = [changed(23, "OK"), changed(14, "INSUFFICIENT_DATA"), changed(0, "ALARM"), changed(-60, "OK")]
    assert key("metric-ok", through_both) == alarm


def test_an_alarm_that_comes_back_for_want_of_data_stays_the_same_incident() -> None:
    history = [changed(20, "ALARM"), changed(14, "INSUFFICIENT_DATA"), changed(0, "ALARM"), changed(-60, "OK")]
    again = {"OldStateValue": "INSUFFICIENT_DATA", "StateChangeTime": "2026-11-22T15:26:01.000+0000"}
    assert key("metric-alarm", history, **again) == key("metric-alarm")


def test_the_next_incident_has_another_key() -> None:
    assert key("metric-alarm", StateChangeTime="2026-11-22T16:06:01.123+0000") != key("metric-alarm")
    history = [changed(23, "OK"), changed(20, "ALARM"), changed(10, "OK"), changed(0, "ALARM")]
    assert key("metric-ok", history).endswith("/2026-11-22T15:26:01Z")


def test_another_alarm_at_the_same_time_has_another_key() -> None:
    assert key("metric-alarm", AlarmName="another") != key("metric-alarm")


def test_what_happened_later_does_not_matter_to_a_notification_that_comes_late() -> None:
    history = [changed(99, "ALARM"), changed(23, "OK"), changed(0, "ALARM"), changed(-60, "OK")]
    assert key("metric-ok", history) == key("metric-alarm")


def test_changes_within_a_second_are_told_apart_by_their_order() -> None:
    history = [changed(14.01, "OK"), changed(14, "INSUFFICIENT_DATA"), changed(0, "ALARM"), changed(-60, "OK")]
    assert key("metric-insufficient-data", history) == key("metric-alarm")


def test_a_history_that_does_not_have_the_change_yet_will_do() -> None:
    assert key("metric-ok", [changed(0, "ALARM"), changed(-60, "OK")]) == key("metric-alarm")
    assert key("metric-insufficient-data", [changed(99, "OK"), changed(0, "ALARM")]) == key("metric-alarm")


def test_the_first_ok_of_a_new_alarm_ends_no_incident() -> None:
    assert incident(parsed("metric-ok", OldStateValue="INSUFFICIENT_DATA"), []) is None
    assert incident(parsed("metric-ok"), [changed(23, "OK"), changed(-60, "OK")]) is None


def test_a_beginning_that_cannot_be_found_out_is_the_day() -> None:
    assert incident(parsed("metric-ok"), None) == Incident("mailroom-prod-send-email-failures-page/2026-11-22", None)
    assert incident(parsed("composite-ok"), None) == Incident("mailroom-prod-pipeline-down-page/2026-11-22", None)


def test_an_alarm_after_ok_needs_no_history() -> None:
    assert begins(parsed("metric-alarm"))
    assert not begins(parsed("metric-ok"))
    assert not begins(parsed("metric-alarm", OldStateValue="INSUFFICIENT_DATA"))


@given(
    st.lists(st.sampled_from(list(State)), min_size=1, max_size=12).map(
        lambda states: [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]]
    )
)
def test_all_that_is_told_between_two_oks_has_one_key_and_across_them_never(states: list[State]) -> None:
    """A history of states, a minute each, told one by one as CloudWatch would."""
    moments = [BEGAN + timedelta(minutes=number) for number in range(len(states))]
    keys: list[tuple[int, str]] = []
    number_of_oks, before = 0, State.OK
    for position, (state, at) in enumerate(zip(states, moments, strict=True)):
        history = [Transition(*each) for each in zip(moments[: position + 1], states, strict=False)][::-1]
        stamp = f"{at:%Y-%m-%dT%H:%M:%S}.000+0000"
        told_of = incident(
            parsed("metric-alarm", NewStateValue=state.value, OldStateValue=before.value, StateChangeTime=stamp),
            history,
        )
        if told_of:
            keys.append((number_of_oks, told_of.key))
        number_of_oks += state is State.OK
        before = state
    assert len({key for _, key in keys}) == len({number for number, _ in keys}) == len(set(keys))


def test_each_change_of_an_incident_has_an_id_of_its_own_in_ascii() -> None:
    about = Incident("größe/2026-11-22", None)
    ids = {change_id(parsed(name), about) for name in ("metric-alarm", "metric-insufficient-data", "metric-ok")}
    assert len(ids) == 3
    assert all(each.isascii() and each.isprintable() for each in ids)
    assert change_id(parsed("metric-alarm"), about) == change_id(parsed("metric-alarm"), about)


# ---- Words ----


def test_a_page_for_somebody_who_has_just_been_woken_up() -> None:
    text = email(page("metric-alarm", orders=("A-1001", "A-1002"), after=5))
    assert text.splitlines()[:7] == [
        "ALARM since 15:06 UTC",
        "SES refuses emails for good: customers get no confirmation",
        "",
        "How bad     SendFailures: 9 ≥ 5 in 2 of 3 periods of 5 min",
        "Severity    page: somebody has to act now",
        "Orders      A-1001, A-1002",
        "Stack       prod, us-east-1, account 123456789012",
    ]
    assert (
        "What to do:\n  https://github.com/example/mailroom/blob/main/docs/runbook.md#send-email-failures-page" in text
    )
    assert "CloudWatch says: Threshold Crossed: 2 out of the last 3 datapoints" in text


def test_the_end_says_how_long_it_lasted_and_that_nothing_is_left_to_do() -> None:
    text = email(page("metric-ok"))
    assert text.startswith("Over after 23 min (15:06 to 15:29 UTC)\nIt was: SES refuses emails for good")
    assert "it is over; the runbook says what may be left to do" in text
    assert "SendFailures: 0 now; the limit is ≥ 5" in text


def test_missing_data_is_told_as_such() -> None:
    text = email(page("metric-insufficient-data"))
    assert text.startswith("NO DATA since 15:20 UTC; not OK since 15:06 UTC\nWithout data nobody can tell whether")
    assert "SendFailures: no data; the limit is" in text
    breaching = email(page("missing-data-alarm"))
    assert "ProbeFailures: no data, which counts as bad; the limit is ≥ 1 in 2 of 2 periods of 15 min" in breaching


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("metric-math-alarm", "bounce rate: 6.43 % > 5 % in one period of 6 h"),
        ("percentile-alarm", "DeliveryLatency (p95): 47.2 s > 30 s in 3 of 3 periods of 5 min"),
        ("composite-alarm", ""),
    ],
)
def test_how_bad_it_is_has_its_unit(name: str, words: str) -> None:
    assert webhook(page(name))["measured"] == words


def test_a_composite_names_the_alarms_that_made_it_change() -> None:
    text = email(page("composite-alarm"))
    assert "Because of  mailroom-prod-send-email-errors-page (ALARM since 15:06 UTC)\n" in text
    assert "            mailroom-prod-send-email-waiting-page (ALARM since 15:04 UTC)\n" in text
    assert "How bad" not in text
    over = email(page("composite-ok"))
    assert over.startswith("Over after 1 h 35 min (15:06 to 16:41 UTC)")
    assert "mailroom-prod-send-email-errors-page (OK since 16:41 UTC)" in over


@pytest.mark.parametrize(
    ("began", "now", "words"),
    [
        ("2026-11-22T15:06:01", "2026-11-22T15:06:30", "ALARM since 15:06 UTC"),
        ("2026-11-22T15:06:01", "2026-11-22T15:18:30", "ALARM since 15:06 UTC (12 min)"),
        ("2026-11-21T23:50:00", "2026-11-22T15:18:00", "ALARM since 2026-11-21 23:50 UTC (15 h 28 min)"),
        ("2026-11-19T15:00:00", "2026-11-22T15:18:00", "ALARM since 2026-11-19 15:00 UTC (3 d)"),
        (None, "2026-11-22T15:18:00", "ALARM since 15:06 UTC or earlier"),
    ],
)
def test_since_when(began: str | None, now: str, words: str) -> None:
    about = Incident("key", datetime.fromisoformat(f"{began}+00:00") if began else None)
    assert in_words(parsed("metric-alarm"), about, datetime.fromisoformat(f"{now}+00:00")) == words


def test_an_end_whose_beginning_is_not_known_says_so() -> None:
    words = in_words(parsed("metric-ok"), Incident("key", None), BEGAN)
    assert words == "over since 15:29 UTC; when it began is not known"


@pytest.mark.parametrize(
    ("value", "measure", "words"),
    [
        (0.0421, Measure.FRACTION, "4.21 %"),
        (0.05, Measure.PERCENT, "0.05 %"),
        (3.0, Measure.NUMBER, "3"),
        (1234567.0, Measure.NUMBER, "1,234,567"),
        (14.4, Measure.NUMBER, "14.4"),
        (-3.0, Measure.NUMBER, "-3"),
        (250.0, Measure.MILLISECONDS, "250 ms"),
        (27_001.0, Measure.MILLISECONDS, "27 s"),
        (45.0, Measure.SECONDS, "45 s"),
        (119.9, Measure.SECONDS, "120 s"),
        (900.0, Measure.SECONDS, "15 min"),
        (7_500.0, Measure.SECONDS, "2 h 5 min"),
        (200_000.0, Measure.SECONDS, "2 d 7 h"),
    ],
)
def test_a_value_is_written_for_people(value: float, measure: Measure, words: str) -> None:
    assert quantity(value, measure) == words


@pytest.mark.parametrize(
    ("namespace", "metric", "measure"),
    [
        ("Mailroom", "OldestOpenEmail", Measure.SECONDS),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", Measure.SECONDS),
        ("AWS/Lambda", "Duration", Measure.MILLISECONDS),
        ("AWS/SES", "Reputation.BounceRate", Measure.FRACTION),
        ("AWS/Lambda", "Errors", Measure.NUMBER),
    ],
)
def test_a_metrics_unit_is_known_by_its_name(namespace: str, metric: str, measure: Measure) -> None:
    trigger = {**golden("metric-alarm")["Trigger"], "Namespace": namespace, "MetricName": metric}
    assert parsed("metric-alarm", Trigger=trigger).measure is measure


def test_a_share_is_told_in_percent() -> None:
    reason = "Threshold Crossed: 1 datapoint [0.0281 (22/11/26 15:00:00)] was greater than the threshold (0.0144)."
    given = golden("metric-alarm")["Trigger"]
    single = {**given, "MetricName": "SendMisses", "Statistic": "AVERAGE", "Threshold": 0.0144, "EvaluationPeriods": 1}
    told_of = page("metric-alarm", Trigger=single, NewStateReason=reason)
    assert told_of.measured.startswith("SendMisses (average): 2.81 % ≥ 1.44 %")
    rate = golden("metric-math-alarm")["Trigger"]
    formula = {**rate["Metrics"][0], "Expression": "IF(valid >= 100, missed, 0)", "Label": "share missed"}
    math = {**rate, "Metrics": [formula, *rate["Metrics"][1:]], "Threshold": 0.0144}
    assert page("metric-math-alarm", Trigger=math, NewStateReason=reason).measured.startswith(
        "share missed: 2.81 % > 1.44 %"
    )


def test_an_alarm_without_a_severity_pages() -> None:
    assert severity(parsed("metric-alarm")) == "page"
    assert severity(parsed("percentile-alarm")) == "ticket"
    foreign = {"AlarmDescription": "somebody else's words\nSeverity: whatever"}
    assert severity(parsed("metric-alarm", **foreign)) == "page"
    assert severity(parsed("metric-alarm", AlarmDescription=None)) == "page"
    assert page("metric-alarm", AlarmDescription=None).summary == "mailroom-prod-send-email-failures-page"


# ---- Threads ----


def test_all_messages_of_an_incident_go_into_one_thread() -> None:
    pages = [page(name) for name in ("metric-alarm", "metric-insufficient-data", "metric-ok")]
    assert len({each.subject for each in pages}) == 1
    assert len({chat(each, "slack")["metadata"]["threadId"] for each in pages}) == 1
    assert len({webhook(each)["incident"] for each in pages}) == 1
    assert not re.search("ALARM|OK|INSUFFICIENT|over", pages[0].subject, re.IGNORECASE), "the subject keeps no state"
    later = page("metric-alarm", StateChangeTime="2026-11-22T15:07:01.000+0000")
    assert later.subject != pages[0].subject


@pytest.mark.parametrize("name", NAMES)
def test_a_subject_is_one_that_sns_takes(name: str) -> None:
    subject = page(name).subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) <= 100
    assert "2026-11-22 15:0" in subject, "the incident's time is never cut off"


@given(st.text())
def test_any_description_makes_a_subject_that_sns_takes(description: str) -> None:
    subject = page("metric-alarm", AlarmDescription=description).subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) <= 100


# ---- Links ----


def decoded(text: str) -> Any:
    """What the console makes of a JSURL, as its library decodes it: a reader of our own, to hold the writer to."""

    def value() -> Any:
        nonlocal text
        if text.startswith("("):
            text = text[1:]
            if text.startswith("~"):
                items = []
                while text.startswith("~"):
                    text = text[1:]
                    items.append(value())
                text = text.removeprefix(")")
                return items
            members = {}
            while not text.startswith(")"):
                found = re.match(r"~?([A-Za-z]+)~", text)
                assert found, text
                text = text[found.end() :]
                members[found[1]] = value()
            text = text[1:]
            return members
        found = re.match(r"'([^~()']*)", text)
        assert found, text
        text = text[found.end() :]
        plain = re.sub(r"\*\*([0-9a-f]{4})", lambda unit: chr(int(unit[1], 16)), found[1])
        return re.sub(r"\*([0-9a-f]{2})", lambda unit: chr(int(unit[1], 16)), plain)

    assert text.startswith("~")
    text = text[1:]
    made = value()
    assert text == ""
    return made


@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="*")))
def test_any_text_survives_the_consoles_encoding(text: str) -> None:
    assert decoded(f"~'{encoded(text)}") == text


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_the_alarm_its_logs_and_its_traces(name: str) -> None:
    told_of = page(name, after=60)
    links = webhook(told_of)["links"]
    assert set(links) == {"runbook", "alarm", "logs", "traces"}
    for link in links.values():
        parts = urlsplit(link)
        assert parts.scheme == "https"
        assert not re.search(r"""[\s<>"|{}\\^`]""", link), "nothing that ends a link in a mail or a chat"
    console = urlsplit(links["alarm"])
    assert (console.hostname, console.path, console.query) == (
        "us-east-1.console.aws.amazon.com",
        "/cloudwatch/home",
        "region=us-east-1",
    )
    assert unquote(console.fragment) == f"alarmsV2:alarm/{golden(name)['AlarmName']}"

    query = decoded(urlsplit(links["logs"]).fragment.removeprefix("logsV2:logs-insights$3FqueryDetail$3D"))
    assert query["source"] == GROUPS
    assert query["timeType"] == "ABSOLUTE"
    begin, end = (datetime.fromisoformat(query[each]) for each in ("start", "end"))
    assert begin < told_of.notification.at <= end
    assert end - begin <= timedelta(days=1, minutes=1)
    assert query["editorString"].startswith("fields @timestamp, level, message, order_id")

    traces = decoded(urlsplit(links["traces"]).fragment.removeprefix("xray:traces/query?"))
    assert traces["query"]["expression"] == 'annotation.stack = "prod"'
    assert traces["context"]["timeRange"] == {"end": query["end"], "start": query["start"]}


def test_an_alarm_with_an_odd_name_is_still_linked() -> None:
    link = webhook(page("metric-alarm", AlarmName="a/b c#d"))["links"]["alarm"]
    assert link.endswith("#alarmsV2:alarm/a%2Fb%20c%23d")


def test_without_log_groups_there_is_no_log_link() -> None:
    about = Incident("key", BEGAN)
    told_of = write_page(parsed("metric-alarm"), about, stack="prod", log_groups=[], found=Found(), now=BEGAN)
    assert set(webhook(told_of)["links"]) == {"runbook", "alarm", "traces"}


# ---- Chat and webhook ----


@pytest.mark.parametrize("name", NAMES)
def test_a_chat_message_has_the_schema_of_custom_notifications(name: str) -> None:
    message = chat(page(name), "slack")
    assert (message["version"], message["source"], message["content"]["textType"]) == (
        "1.0",
        "custom",
        "client-markdown",
    )
    assert message.keys() == {"version", "source", "content", "metadata"}
    assert message["content"].keys() == {"textType", "title", "description", "nextSteps", "keywords"}
    assert message["metadata"].keys() == {
        "threadId",
        "summary",
        "eventType",
        "relatedResources",
        "additionalContext",
    }
    assert message["content"]["title"].endswith(page(name).summary)
    assert all(isinstance(value, str) for value in message["metadata"]["additionalContext"].values())


def test_links_are_written_as_the_platform_reads_them() -> None:
    alarm = webhook(page("metric-alarm"))["links"]["alarm"]
    assert f"<{alarm}|Graph>" in chat(page("metric-alarm"), "slack")["content"]["nextSteps"]
    assert f"[Graph](<{alarm}>)" in chat(page("metric-alarm"), "teams")["content"]["nextSteps"]


def test_a_webhook_is_told_all_of_it_in_a_documented_shape() -> None:
    body = webhook(page("composite-alarm"))
    table = (ROOT / "docs" / "paging.md").read_text(encoding="utf-8").split("| Field | What |")[1].split("\n\n")[0]
    documented = {field for row in re.findall(r"(?m)^\| (`.*?) \|", table) for field in re.findall(r"`(\w+)`", row)}
    assert set(body) == documented
    assert json.loads(json.dumps(body)) == body
    assert body["began"] == body["at"] == "2026-11-22T15:06:01Z"
    assert body["children"][1] == {
        "alarm": "mailroom-prod-send-email-waiting-page",
        "state": "ALARM",
        "at": "2026-11-22T15:04:40Z",
    }
    assert body["text"] == email(page("composite-alarm"))


# ---- Orders ----


def line(order_id: object = "A-1", **values: object) -> str:
    return json.dumps({"_aws": {}, "Stack": "prod", "order_id": order_id, **values})


def of(metric: str, unit_threshold: float = 5.0) -> Notification:
    trigger = {**golden("metric-alarm")["Trigger"], "MetricName": metric, "Threshold": unit_threshold}
    return parsed("metric-alarm", Trigger=trigger)


def test_the_orders_are_those_whose_records_speak_against_them() -> None:
    found = clues(parsed("metric-alarm"))
    assert pattern(found) == "{ ($.SendFailures >= 1) }"
    lines = [
        line("A-1", SendFailures=1),
        line("A-2", EmailsSent=1),
        line("A-3", SendFailures=0),
        line("A-4", SendFailures=True),
        line("A-5", SendFailures="1"),
        line("A-1", SendFailures=1),
        line(None, SendFailures=1),
        line("", SendFailures=1),
        "REPORT RequestId: 1",
        "[]",
        "[" * 100_000,
        line("A-6", SendFailures=2),
    ]
    assert [*affected(lines, found)][-1] == Found(orders=("A-1", "A-6"))


def test_of_a_rate_the_good_part_names_no_order() -> None:
    assert [clue.metric for clue in clues(parsed("metric-math-alarm"))] == ["Bounces"]
    for good in ("EmailsSent", "Deliveries", "DuplicatesPrevented"):
        assert clues(of(good)) == ()


def test_a_duration_speaks_when_it_is_over_the_threshold() -> None:
    found = clues(parsed("percentile-alarm"))
    assert pattern(found) == "{ ($.DeliveryLatency > 30000) }"
    lines = [line("A-1", DeliveryLatency=30_000), line("A-2", DeliveryLatency=30_000.5)]
    assert [*affected(lines, found)] == [Found(orders=("A-2",))]


def test_aws_own_metrics_and_composites_name_no_orders() -> None:
    trigger = {**golden("metric-alarm")["Trigger"], "Namespace": "AWS/Lambda", "MetricName": "Errors"}
    assert clues(parsed("metric-alarm", Trigger=trigger)) == ()
    assert clues(parsed("composite-alarm")) == ()
    assert 'level in ["WARNING", "ERROR", "CRITICAL"]' in insights_query(())


def test_every_declared_metric_but_good_news_leads_to_orders() -> None:
    named = {metric.name for metric in contract.METRICS if clues(of(metric.name))}
    assert {metric.name for metric in contract.METRICS} - named == {
        "EmailsSent",
        "Deliveries",
        "DuplicatesPrevented",
    }


def test_what_a_guard_says_of_a_lane_is_why() -> None:
    held = {"lane": "order-confirmation", "reason": "2.01 of 2.00 USD in an hour", "by": "send_email"}
    found = clues(of("BrakeEngaged", 1))
    lines = [line(None, BrakeEngaged=1, **held), line(None, BrakeEngaged=0), line(None, BrakeEngaged=1, **held)]
    why = "order-confirmation: 2.01 of 2.00 USD in an hour (send_email)"
    assert [*affected(lines, found)][-1] == Found(reasons=(why,))
    warning = line(None, ReputationWarnings=1, lane="probe", reason="3 of 90 emails bounced")
    told_of = [*affected([warning, *lines], clues(of("ReputationWarnings", 1)))][-1]
    assert told_of.reasons == ("probe: 3 of 90 emails bounced",)
    many = [line(None, BrakeEngaged=1, **{**held, "reason": f"{number} of 2"}) for number in range(9)]
    assert len([*affected(many, found)][-1].reasons) == MOST_REASONS


def test_why_is_told_everywhere() -> None:
    why = "order-confirmation: 2.01 of 2.00 USD in an hour (send_email)"
    told_of = page("metric-alarm", reasons=(why,))
    assert f"Why         {why}" in email(told_of)
    assert webhook(told_of)["reasons"] == [why]
    assert why in chat(told_of, "slack")["content"]["description"]
    assert "Why" not in email(page("metric-alarm"))


def test_logs_are_read_until_there_are_more_orders_than_are_told() -> None:
    found = clues(parsed("metric-alarm"))
    endless = (line(f"A-{number}", SendFailures=1) for number in itertools.count())
    assert len([*affected(endless, found)][-1].orders) == MOST_ORDERS + 1


def test_a_page_names_a_few_orders_and_says_that_there_are_more() -> None:
    many = tuple(f"A-{number}" for number in range(MOST_ORDERS + 1))
    assert "A-4 and more" in email(page("metric-alarm", orders=many))
    assert "A-5" not in email(page("metric-alarm", orders=many))
    assert webhook(page("metric-alarm", orders=many))["moreOrders"] is True
    assert "Orders" not in email(page("metric-alarm")).split("What to do")[0]


def test_the_window_holds_the_data_that_the_alarm_judged_and_ends_with_it() -> None:
    begin, end = window(parsed("metric-alarm"), BEGAN, BEGAN + timedelta(minutes=2))
    assert (BEGAN - begin, end - BEGAN) == (timedelta(minutes=20), timedelta(minutes=2))
    over = parsed("metric-ok")
    assert window(over, BEGAN, BEGAN + timedelta(days=9))[1] == over.at + timedelta(minutes=5)
    begin, end = window(over, over.at - timedelta(days=9), over.at)
    assert end - begin == timedelta(days=1)

"""Quarantine can be looked at without losing from it, and is emptied only on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import Exit, OpsError
from ops.quarantine import choose, held
from ops.stack import Stack
from tests.ops.conftest import Run

Put = Callable[..., str]
Bodies = Callable[[str], list[str]]
Attributes = Callable[[str], list[dict[str, str]]]


def test_looking_gives_every_message_back(stack: Stack, ops: Run, quarantine: Put, bodies: Bodies) -> None:
    for number in range(25):
        quarantine(f"body {number}")
    for _ in range(2):
        assert "25 messages in quarantine" in ops("quarantine", "list").output
    assert len(bodies(stack.outputs.quarantine_queue_url)) == 25, "they can be had again at once"


def test_a_failure_while_messages_are_held_gives_them_back(stack: Stack, quarantine: Put, bodies: Bodies) -> None:
    quarantine("one")
    with pytest.raises(RuntimeError), held(stack.sqs, stack.outputs.quarantine_queue_url):
        raise RuntimeError("interrupted")
    assert bodies(stack.outputs.quarantine_queue_url) == ["one"]


def test_the_list_says_what_is_wrong_and_masks_addresses(ops: Run, quarantine: Put) -> None:
    body = json.dumps({"orderId": "A-1", "customerEmail": "leonie@example.com", "note": "\x1b[31mred"})
    quarantine(body, code="invalid-order", reason="customerEmail 'leonie@example.com': is odd", traceId="1-2-3")
    shown = ops("quarantine", "list").output
    assert "invalid-order" in shown
    assert "l***@example.com" in shown
    assert "leonie" not in shown
    assert "\x1b" not in shown, "what somebody else wrote must not steer the terminal"
    assert "leonie@example.com" in ops("quarantine", "list", "--show-address").output


def test_the_list_for_machines_holds_the_body_only_when_addresses_may_be_shown(ops: Run, quarantine: Put) -> None:
    message = quarantine('{"customerEmail": "leonie@example.com"}', traceId="1-2-3")
    [masked] = json.loads(ops("quarantine", "list", "--json").stdout)["messages"]
    assert masked["messageId"] == message
    assert masked["traceId"] == "1-2-3"
    assert "body" not in masked
    assert "leonie" not in json.dumps(masked)
    [full] = json.loads(ops("quarantine", "list", "--json", "--show-address").stdout)["messages"]
    assert full["body"] == '{"customerEmail": "leonie@example.com"}'


def test_an_empty_quarantine_says_so(ops: Run) -> None:
    assert ops("quarantine", "list").output == "Quarantine is empty.\n"


def test_resubmitting_publishes_the_body_and_then_takes_it_out(
    stack: Stack, ops: Run, quarantine: Put, bodies: Bodies
) -> None:
    message = quarantine("mend me")
    quarantine("leave me")
    result = ops("quarantine", "resubmit", message[:13])
    assert result.exit_code == Exit.DONE, result.output
    assert bodies(stack.outputs.send_queue_url) == ["mend me"]
    assert bodies(stack.outputs.quarantine_queue_url) == ["leave me"]


@pytest.mark.parametrize("lane", ["probe", "order-confirmation", ""])
def test_a_message_goes_back_into_the_lane_that_it_came_from(
    stack: Stack, ops: Run, quarantine: Put, attributes: Attributes, lane: str
) -> None:
    quarantine("mend me", messageType=lane)
    assert ops("quarantine", "resubmit", "--all").exit_code == Exit.DONE
    assert attributes(stack.outputs.send_queue_url) == [{"messageType": lane or "order-confirmation"}]


def test_a_mended_body_takes_the_place_of_the_messages_own(
    stack: Stack, ops: Run, quarantine: Put, bodies: Bodies, tmp_path: Path
) -> None:
    message = quarantine("broken")
    mended = tmp_path / "mended.json"
    mended.write_text('{"orderId": "Ü-1"}\n', encoding="utf-8")
    ops("quarantine", "resubmit", message, "--body", str(mended))
    assert bodies(stack.outputs.send_queue_url) == ['{"orderId": "Ü-1"}']


def test_a_message_that_cannot_be_published_stays(stack: Stack, ops: Run, quarantine: Put, bodies: Bodies) -> None:
    too_long = "x" * (262_144 - 10)
    quarantine(too_long)
    result = ops("quarantine", "resubmit", "--all")
    assert result.exit_code == Exit.NOT_DONE
    assert "stays in quarantine" in result.output
    assert bodies(stack.outputs.quarantine_queue_url) == [too_long]


def test_a_message_whose_deletion_fails_after_publishing_is_kept_rather_than_lost(
    stack: Stack, ops: Run, quarantine: Put, bodies: Bodies
) -> None:
    stack.sns.delete_topic(TopicArn=stack.outputs.order_topic_arn)
    quarantine("keep me")
    result = ops("quarantine", "resubmit", "--all")
    assert result.exit_code == Exit.UNREACHABLE, "without the topic nothing can be published"
    assert bodies(stack.outputs.quarantine_queue_url) == ["keep me"]


def test_dropping_asks_and_a_no_drops_nothing(stack: Stack, ops: Run, quarantine: Put, bodies: Bodies) -> None:
    quarantine("precious")
    result = ops("quarantine", "drop", "--all", stdin="n\n")
    assert result.exit_code != Exit.DONE
    assert "Drop 1 message for good?" in result.output
    assert bodies(stack.outputs.quarantine_queue_url) == ["precious"]


def test_dropping_takes_exactly_what_was_named(stack: Stack, ops: Run, quarantine: Put, bodies: Bodies) -> None:
    dropped = quarantine("drop me")
    quarantine("keep me")
    result = ops("quarantine", "drop", dropped, "--yes", "--json")
    assert json.loads(result.stdout) == {"dropped": [dropped]}
    assert bodies(stack.outputs.quarantine_queue_url) == ["keep me"]


def test_an_id_that_is_not_there_is_named_and_nothing_happens(
    stack: Stack, ops: Run, quarantine: Put, bodies: Bodies
) -> None:
    message = quarantine("still here")
    result = ops("quarantine", "drop", message, "no-such-id", "--yes")
    assert result.exit_code == Exit.NOT_DONE
    assert "no-such-id" in result.output
    assert bodies(stack.outputs.quarantine_queue_url) == ["still here"]


def test_a_beginning_that_fits_two_messages_is_refused(stack: Stack, quarantine: Put) -> None:
    quarantine("one")
    quarantine("two")
    with (
        held(stack.sqs, stack.outputs.quarantine_queue_url) as messages,
        pytest.raises(OpsError, match="2 messages"),
    ):
        choose(messages, [""])


@pytest.mark.parametrize(
    "arguments", [["drop"], ["drop", "an-id", "--all"], ["resubmit"], ["resubmit", "--all", "--body", "FILE"]]
)
def test_what_to_act_on_has_to_be_said_one_way(ops: Run, arguments: list[str], tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text("x")
    result = ops("quarantine", *(str(body) if argument == "FILE" else argument for argument in arguments))
    assert result.exit_code == Exit.USAGE

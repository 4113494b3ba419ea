"""The guards on the deployed stack: what they hold waits, what is released goes out once, and what fails is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from components.consumer import PRICE_LIST
from handlers.guarding.brake import Hold, Holder, engage
from handlers.guarding.spending import estimate
from handlers.guarding.tally import SPEND, USD, count
from handlers.telemetry.contract import Lane
from local.aws import LocalAws
from local.budgets import notify
from local.deployer.permissions import dropping
from local.drill import Drill
from local.incidents import QUICKLY
from local.run import depth
from observability.model import State
from ops.brake import release_lanes
from ops.errors import OpsError

pytestmark = pytest.mark.local

ORDERS, LIMIT = 200, "0.03"
"""As many as cost more than the limit, and less than twice the limit."""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    with LocalAws(folder=tmp_path_factory.mktemp("guards"), watched=True) as aws:
        yield aws


def holders(drill: Drill, lane: Lane = Lane.CONFIRMATION) -> list[Holder]:
    return list(drill.stack.control.lane(lane).holds)


def parked(drill: Drill) -> int:
    return depth(drill.stack, drill.stack.outputs.send_queue_url)


def sent(drill: Drill) -> list[str]:
    """The orders that were sent a confirmation, once for each email."""
    probes = {row.order_id for row in drill.stack.ledger.all() if row.kind == Lane.PROBE}
    orders = [mail.tags["order"] for mail in drill.aws.twin.mailbox() if "order" in mail.tags]
    return [order for order in orders if order.replace("_2d", "-") not in probes]


def let_go(drill: Drill) -> None:
    done = release_lanes(drill.stack, [Lane.CONFIRMATION], reason="tried", now=datetime.now(UTC))
    assert [each.fault for each in done] == [""]
    drill.settle(all_back=True)


def spent(drill: Drill) -> float:
    now = datetime.now(UTC)
    return float(count(drill.stack.control.hours(SPEND, now - timedelta(hours=1), now), USD, now))


def test_a_runaway_is_stopped_within_the_hours_limit_and_one_batch_and_then_each_order_is_sent_once(
    account: LocalAws,
) -> None:
    drill = Drill(account, overrides={**QUICKLY, "spendPerHour": LIMIT, "spendPerDay": "1"})
    drill.send(ORDERS)
    drill.settle()
    assert holders(drill) == [Holder.SPEND]
    assert holders(drill, Lane.PROBE) == []
    first = sent(drill)
    prices = {name: Decimal(price) for name, price in json.loads(PRICE_LIST).items()}
    assert spent(drill) <= float(LIMIT) + float(estimate(10, prices))
    assert len(first) == len(set(first)) > ORDERS / 4
    assert parked(drill) == ORDERS - len(first) > 0
    let_go(drill)
    assert holders(drill) == []
    assert len(sent(drill)) == len(set(sent(drill))) == ORDERS
    assert (parked(drill), depth(drill.stack, drill.stack.outputs.send_dlq_url)) == (0, 0)


def test_a_spent_budget_holds_what_the_setting_says_and_nothing_is_lost_by_it(account: LocalAws) -> None:
    drill = Drill(account, overrides=QUICKLY)
    notify(account, "ACTUAL", 80)
    drill.settle()
    assert holders(drill) == [], "80 % only tells"
    notify(account, "ACTUAL", 100)
    drill.settle()
    assert holders(drill) == [Holder.BUDGET]
    assert holders(drill, Lane.PROBE) == []
    drill.send(12)
    drill.settle()
    assert (sent(drill), parked(drill)) == ([], 12)
    drill.minute()
    assert [mail.alarm for mail in drill.pages if mail.state is State.ALARM] == ["brake-engaged-page"]
    let_go(drill)
    assert len(sent(drill)) == len(set(sent(drill))) == len(drill.published)
    topic = drill.stack.sns
    topic.set_topic_attributes(
        TopicArn=account.outputs["budgetTopicArn"],
        AttributeName="Policy",
        AttributeValue='{"Version": "2012-10-17", "Statement": []}',
    )
    with pytest.raises(OpsError, match=r"budgets\.amazonaws\.com"):
        notify(account, "ACTUAL", 100)


def without_the_mapping(drill: Drill) -> None:
    functions = drill.aws.client("lambda")
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=drill.stack.outputs.send_queue_arn)[
        "EventSourceMappings"
    ]
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


@pytest.mark.parametrize(
    ("action", "broken"),
    [
        pytest.param("lambda:UpdateEventSourceMapping", None, id="may not disable the mapping"),
        pytest.param(
            "ses:PutConfigurationSetSendingOptions",
            None,
            id="may not pause the configuration set",
            marks=pytest.mark.proof,
        ),
        pytest.param("", without_the_mapping, id="the mapping is gone"),
    ],
)
def test_a_brake_that_cannot_do_its_part_pages(
    account: LocalAws, action: str, broken: Callable[[Drill], None] | None
) -> None:
    drill = Drill(account, transform=dropping("mailroom-brake", action)) if action else Drill(account)
    drill.open()
    if broken:
        broken(drill)
    now = datetime.now(UTC)
    hold = Hold(holder=Holder.OPERATOR, by="somebody", reason="to try it", since=now)
    drill.stack.control.alter(Lane.CONFIRMATION, lambda lane: engage(lane, hold))
    assert drill.until(lambda: "brake-failing-page" in [mail.alarm for mail in drill.pages], within=10 * 60)

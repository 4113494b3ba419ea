"""The promises of the pipeline, on the real program: nothing lost, nothing twice, whatever the queue and SES do."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email.utils import parseaddr
from random import Random

import pytest

from handlers.mail.lifecycle import Milestone, Row, Status
from handlers.mail.sending import sandbox_recipient
from local.aws import LocalAws
from local.orders import NO_MISHAP, dumps, good_order
from local.report import duplicates, lost, take_account
from local.run import Run, prepare, run
from local.twin.options import Options
from ops.publish import Line
from ops.stack import Outputs, Stack

pytestmark = pytest.mark.local
SETTLED_WITHIN = 90

FATES = (
    ("success+{order}@simulator.amazonses.com", "DELIVERED"),
    ("bounce+{order}@simulator.amazonses.com", "BOUNCE"),
    ("complaint+{order}@simulator.amazonses.com", "COMPLAINT"),
    ("ooto+{order}@simulator.amazonses.com", "DELIVERED"),
)


class Shop:
    """A deployed pipeline, and orders of its own for each test: order ids are never used twice."""

    def __init__(self, aws: LocalAws, stack: Stack) -> None:
        self.aws = aws
        self.stack = stack
        self._next = 0

    def orders(self, count: int, fates: Sequence[tuple[str, str]] = (NO_MISHAP,), seed: int = 1) -> list[str]:
        """Bodies of valid orders that meet these fates in turn."""
        rng = Random(seed)
        bodies = []
        for number in range(count):
            self._next += 1
            body, _ = good_order(rng, 900, self._next, fates[number % len(fates)])
            bodies.append(dumps(body))
        return bodies

    def run(self, bodies: Sequence[str]) -> Run:
        lines = [Line(number, body) for number, body in enumerate(bodies, start=1)]
        return run(self.aws, self.stack, lines, timeout=SETTLED_WITHIN)

    def row(self, body: str) -> Row:
        (row,) = self.stack.ledger.of_order(json.loads(body)["orderId"])
        return row

    def mails_for(self, body: str) -> int:
        return Counter(mail.tags["message_id"] for mail in self.aws.twin.mailbox())[self.row(body).message_id]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with LocalAws(folder=tmp_path_factory.mktemp("pipeline")) as aws:
        yield Shop(aws, prepare(aws))


@pytest.fixture
def shop(deployed: Shop) -> Iterator[Shop]:
    """The deployed shop with an SES that is well again after each test."""
    kind = {"max_send_rate": 100.0, "outcome_delay_ms": (0.0, 50.0)}
    deployed.aws.twin.configure(**kind)
    yield deployed
    deployed.aws.twin.configure(**{**Options().to_json(), **kind})


def test_an_order_published_three_times_concurrently_gets_one_letter(shop: Shop) -> None:
    orders = shop.orders(60)
    published = orders * 3
    Random(3).shuffle(published)
    ran = shop.run(published)
    account = take_account(ran.evidence.published, ran.evidence.quarantined)
    assert {shop.mails_for(order) for order in orders} == {1}
    assert duplicates(ran.evidence.mails) == 0
    assert lost(account, ran.evidence.mails, ran.evidence.rows) == []
    assert account.duplicates_prevented == 2 * len(orders)
    assert {shop.row(order).status for order in orders} == {Status.DELIVERED}
    assert ran.abandoned == 0


def test_feedback_shuffled_and_tripled_gives_the_rows_of_feedback_in_order(shop: Shop) -> None:
    in_order, in_disorder = shop.orders(16, FATES, seed=5), shop.orders(16, FATES, seed=5)
    shop.run(in_order)
    shop.aws.twin.configure(event_copies=3, reorder_window=24, event_delay_ms=(0, 400))
    shop.run(in_disorder)

    def knows(body: str) -> tuple[Status, frozenset[Milestone], str, bool]:
        row = shop.row(body)
        return (
            row.status,
            frozenset(row.milestones),
            row.reason.replace(row.order_id.lower(), ""),
            bool(row.ses_message_id),
        )

    assert [knows(body) for body in in_disorder] == [knows(body) for body in in_order]
    assert [shop.row(body).status for body in in_disorder] == [Status(FATES[n % 4][1]) for n in range(16)]


def test_an_email_whose_answer_was_lost_is_not_sent_again_and_its_evidence_settles_it(shop: Shop) -> None:
    orders = shop.orders(4)
    shop.aws.twin.configure(faults={"*": "reset"})
    shop.run([*orders, *orders])
    assert {shop.mails_for(order) for order in orders} == {1}
    rows = [shop.row(order) for order in orders]
    assert {row.status for row in rows} == {Status.DELIVERED}
    assert {row.order for row in rows} == {""}, "the order is kept only as long as its fate is unknown"


def test_an_email_without_an_answer_is_unknown_and_keeps_its_order_until_evidence_comes(shop: Shop) -> None:
    (order,) = shop.orders(1)
    shop.aws.twin.configure(faults={"*": "reset"}, event_delay_ms=(4_000, 4_000))
    shop.stack.sns.publish(
        TopicArn=shop.stack.outputs.order_topic_arn,
        Message=order,
        MessageAttributes={"messageType": {"DataType": "String", "StringValue": "order-confirmation"}},
    )
    unknown = eventually(lambda: shop.row(order), lambda row: row.status is Status.UNKNOWN)
    assert json.loads(unknown.order) == json.loads(order)
    assert "no usable answer" in unknown.reason
    settled = eventually(lambda: shop.row(order), lambda row: row.status is Status.DELIVERED)
    assert settled.ses_message_id
    assert settled.order == ""


def test_throttled_orders_come_back_and_each_is_sent_once(shop: Shop) -> None:
    orders = shop.orders(12, FATES[:1])  # an address of its own each: the fault strikes each address once
    shop.aws.twin.configure(faults={"*": "throttle"}, fault_times=1)
    ran = shop.run(orders)
    assert {shop.mails_for(order) for order in orders} == {1}
    assert {shop.row(order).attempts for order in orders} == {2}
    assert ran.abandoned == 0


def test_without_production_sending_no_letter_goes_to_a_customer(tmp_path_factory: pytest.TempPathFactory) -> None:
    with LocalAws(folder=tmp_path_factory.mktemp("sandbox")) as aws:
        aws.deploy({"mailroom:productionSending": "false"})
        sandbox = Shop(aws, Stack(Outputs.parse(aws.outputs)))
        orders = sandbox.orders(6)
        sandbox.run(orders)
        customers = {json.loads(order)["customerEmail"] for order in orders}
        written_to = {address for mail in aws.twin.mailbox() for address in mail.to}
        headers = {parseaddr(str(mail.message()["To"]))[1] for mail in aws.twin.mailbox()}
        assert len(aws.twin.mailbox()) == len(orders)
        assert written_to == headers
        assert all(address.endswith("@simulator.amazonses.com") for address in written_to)
        for order in orders:
            row = sandbox.row(order)
            assert row.sandboxed, "the ledger says that nobody was written to"
            assert row.sent_to == sandbox_recipient(row.to)
        assert not customers & written_to


def eventually(look: Callable[[], Row], enough: Callable[[Row], bool]) -> Row:
    """What `look` finds once it is `enough`."""
    deadline = time.monotonic() + SETTLED_WITHIN
    while True:
        try:
            found = look()
        except ValueError:  # no row yet
            found = None
        if found is not None and enough(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {SETTLED_WITHIN} s; last seen: {found}")
        time.sleep(0.2)

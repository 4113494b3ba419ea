from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from handlers.adapters.control import Control
from handlers.environment import Brake, InvalidEnvironment
from handlers.guarding.brake import Hold, Holder, engage, release
from handlers.guarding.tally import SPEND
from tests.handlers import brakes
from tests.handlers.brakes import HELD, LANE, OPEN, PROBE, RAMPED, Account, at, denied, hold, start, stream_record
from tests.handlers.entries import printed

if TYPE_CHECKING:
    from types import ModuleType


class Context:
    """Lambda's context of an invocation with so many seconds left."""

    memory_limit_in_mb = "256"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> float:
        return self.seconds * 1000


class Lambda:
    """The entry with an account in memory, and time that only its pauses use up."""

    def __init__(self, entry: ModuleType, account: Account) -> None:
        self.entry = entry
        self.account = account
        self.context = Context(60)
        self.told = 0

    def sleep(self, seconds: float) -> None:
        self.context.seconds -= seconds
        if seconds:
            self.account.pass_time()

    def stream(self) -> None:
        """The brake is called with what was written since it was last."""
        items = self.account.written[self.told :]
        self.told = len(self.account.written)
        self.run({"Records": [stream_record(item) for item in items]})

    def schedule(self, minutes: float = 5) -> None:
        self.run({"at": at(minutes).isoformat().replace("+00:00", "Z")})

    def run(self, event: dict[str, Any]) -> None:
        self.context.seconds = 60
        try:
            self.entry.handler(event, self.context)
        finally:
            self.account.pass_time()

    @property
    def control(self) -> Control:
        return self.account.control()

    def engage(self, given: Hold | None = None, lane: str = LANE) -> None:
        self.control.alter(lane, lambda lane: engage(lane, given or hold()))

    def release(self, minutes: float = 0, lane: str = LANE) -> None:
        self.control.alter(lane, lambda lane: release(lane, by="kim", reason="mended", start=start(minutes)))


class Sums:
    """Where the meter adds up."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def add(self, scope: str, *_: Any, **__: Any) -> None:
        self.scopes.append(scope)


@pytest.fixture
def sums(brake: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Sums:
    sums = Sums()
    monkeypatch.setattr(brake.meter, "_tally", sums)
    return sums


@pytest.fixture
def account() -> Account:
    return Account(LANE, PROBE)


@pytest.fixture
def here(brake: ModuleType, account: Account, sums: Sums, monkeypatch: pytest.MonkeyPatch) -> Lambda:
    here = Lambda(brake, account)
    monkeypatch.setattr(brake, "control", account.control())
    monkeypatch.setattr(brake, "sluices", {lane: account.sluice(lane) for lane in (LANE, PROBE)})
    monkeypatch.setattr(brake, "time", here)
    return here


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Log lines and metric records since it was last asked, without the meter's."""

    def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        lines, records = printed(capsys.readouterr().out)
        return lines, [record for record in records if "EstimatedSpend" not in record]

    return read


Said = Callable[[], tuple[list[dict[str, Any]], list[dict[str, Any]]]]


class TestFaults:
    def test_a_call_that_is_refused_fails_the_invocation_and_is_counted(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.account.refusals["update_event_source_mapping"] = denied("UpdateEventSourceMapping")
        with pytest.raises(here.entry.BrakeFault, match=f"^not as the control table says: {LANE}$"):
            here.stream()
        lines, records = said()
        assert [record["BrakeFaults"] for record in records if "BrakeFaults" in record] == [1]
        (line,) = [line for line in lines if line["level"] == "ERROR"]
        assert (line["message"], line["lane"]) == ("brake not taken", LANE)
        assert line["reason"].startswith(f"event source mapping {LANE}-mapping: UpdateEventSourceMapping: AccessDenied")

    def test_an_invocation_that_is_repeated_after_the_fault_was_mended_brings_the_lane_where_it_belongs(
        self, here: Lambda
    ) -> None:
        here.engage()
        here.account.refusals["put_configuration_set_sending_options"] = denied("PutConfigurationSetSendingOptions")
        with pytest.raises(here.entry.BrakeFault):
            here.stream()
        here.account.refusals.clear()
        here.told = 0
        here.stream()
        assert here.account.stands(LANE) == HELD

    @pytest.mark.parametrize("broken", [LANE, PROBE])
    def test_a_fault_of_one_lane_does_not_keep_the_other_from_being_settled(
        self, here: Lambda, said: Said, broken: str
    ) -> None:
        other = PROBE if broken == LANE else LANE
        here.engage(lane=LANE)
        here.engage(lane=PROBE)
        del here.account.mappings[f"{broken}-mapping"]
        with pytest.raises(here.entry.BrakeFault, match=f": {broken}$"):
            here.stream()
        assert here.account.stands(other) == HELD
        assert here.account.sets[f"{broken}-set"] is False
        faults = [record for record in said()[1] if "BrakeFaults" in record]
        assert [(fault["lane"], fault["reason"]) for fault in faults] == [
            (broken, f"event source mapping {broken}-mapping: does not exist any more; deploy the stack again")
        ]

    def test_a_control_table_that_cannot_be_read_is_a_fault_of_every_lane(self, here: Lambda, said: Said) -> None:
        here.account.refusals["get_item"] = denied("GetItem")
        with pytest.raises(Exception, match="AccessDeniedException"):
            here.schedule()
        assert [record["lane"] for record in said()[1] if "BrakeFaults" in record] == [LANE, PROBE]

    def test_a_lane_that_the_stack_does_not_have_is_a_fault_with_its_name(self, here: Lambda, said: Said) -> None:
        here.engage(lane="newsletter")
        here.engage(lane=LANE)
        with pytest.raises(here.entry.BrakeFault, match=r"says: newsletter$"):
            here.stream()
        assert here.account.stands(LANE) == HELD
        (fault,) = [record for record in said()[1] if "BrakeFaults" in record]
        assert fault["reason"] == "LANES has no such lane, only order-confirmation, probe"

    def test_no_pause_is_begun_that_the_invocation_has_no_time_for(self, here: Lambda) -> None:
        here.engage()
        here.account.mappings[f"{LANE}-mapping"]["State"] = "Creating"
        with pytest.raises(here.entry.BrakeFault):
            here.stream()
        assert here.context.seconds >= here.entry.LAST_SECONDS

    def test_a_ramp_stays_where_it_is_while_the_lane_is_not_what_it_should_be(self, here: Lambda) -> None:
        here.engage()
        here.release()
        here.account.refusals["put_configuration_set_sending_options"] = denied("PutConfigurationSetSendingOptions")
        here.account.sets[f"{LANE}-set"] = False
        with pytest.raises(here.entry.BrakeFault):
            here.schedule(5)
        assert here.control.lane(LANE).stage_since is None


class TestFollowing:
    def test_a_write_to_a_lane_is_followed(self, here: Lambda) -> None:
        here.engage()
        here.stream()
        assert (here.account.stands(LANE), here.account.stands(PROBE)) == (HELD, OPEN)
        here.release()
        here.stream()
        assert here.account.stands(LANE) == RAMPED

    def test_what_counts_is_the_lane_as_it_stands_and_not_the_write_that_was_told(self, here: Lambda) -> None:
        here.engage()
        here.release()
        here.run({"Records": [stream_record(here.account.written[0])]})
        assert here.account.stands(LANE) == RAMPED

    def test_a_write_that_was_missed_is_followed_on_schedule(self, here: Lambda) -> None:
        here.engage()
        here.schedule()
        assert here.account.stands(LANE) == HELD

    def test_an_open_stack_is_looked_at_on_schedule_and_left_alone(self, here: Lambda, said: Said) -> None:
        here.schedule()
        looks = ["get_configuration_set", "get_event_source_mapping"]
        assert sorted(call for call in here.account.calls if call != "get_item") == sorted(2 * looks)
        assert said() == ([], [])

    def test_a_ramp_moves_on_with_the_schedule_and_ends_with_full_batches(self, here: Lambda) -> None:
        here.engage()
        here.release()
        shares = []
        for minutes in range(5, 30, 5):
            here.schedule(minutes)
            shares.append(here.control.lane(LANE).share)
        assert shares == [0.05, 0.1, 0.25, 0.5, 1.0]
        assert here.account.stands(LANE) == OPEN

    def test_the_schedules_own_time_counts_and_now_where_it_has_none(self, here: Lambda) -> None:
        here.engage()
        here.release()
        here.schedule(5)
        assert here.control.lane(LANE).stage_since == at(5)
        here.release()
        here.engage()
        here.release()
        here.run({"at": "<aws.scheduler.scheduled-time>"})
        since = here.control.lane(LANE).stage_since
        assert since
        assert datetime.now(UTC) - since < timedelta(minutes=1)

    def test_a_row_that_was_deleted_is_an_open_lane(self, here: Lambda) -> None:
        here.engage()
        here.stream()
        record = stream_record(here.account.items.pop(LANE))
        del record["dynamodb"]["NewImage"]
        here.run({"Records": [{**record, "eventName": "REMOVE"}]})
        assert here.account.stands(LANE) == OPEN

    def test_its_own_calls_are_counted_as_spend(self, here: Lambda, sums: Sums) -> None:
        here.schedule()
        assert sums.scopes == [SPEND]


class TestTelling:
    def test_who_engaged_and_released_what_and_why_is_logged_once(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.stream()
        (line,) = said()[0]
        assert {**line, "timestamp": ""} == {
            "level": "INFO",
            "message": "engaged",
            "function": "brake",
            "stack": "test",
            "timestamp": "",
            "lane": LANE,
            "holder": "spend",
            "by": "send_email",
            "reason": "2.01 of 2.00 USD in an hour",
            "since": at(0).isoformat(),
        }
        here.told = 0
        here.stream()
        here.schedule()
        assert said()[0] == [], "nor when it is told again"
        here.release(minutes=3)
        here.stream()
        for minutes in range(5, 35, 5):
            here.schedule(minutes)
            here.stream()
        (line,) = said()[0]
        assert (line["message"], line["holder"], line["by"], line["reason"]) == ("released", "spend", "kim", "mended")

    def test_writes_that_come_together_are_each_logged(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.engage(hold(Holder.OPERATOR), PROBE)
        here.release()
        here.stream()
        assert [(line["message"], line["lane"]) for line in said()[0]] == [
            ("engaged", LANE),
            ("engaged", PROBE),
            ("released", LANE),
        ]

    def test_held_lanes_are_told_with_who_holds_them_in_every_run(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.engage(hold(Holder.OPERATOR, minutes=1))
        here.engage(hold(Holder.OPERATOR), PROBE)
        here.stream()
        here.schedule()
        first, second = said()[1]
        assert first["BrakeEngaged"] == second["BrakeEngaged"] == 2
        assert first["lane"] == second["lane"] == f"{LANE}, {LANE}, {PROBE}"
        assert first["holder"] == "spend, operator, operator"
        assert first["by"] == "send_email, send_email, send_email"
        assert first["since"] == ", ".join(moment.isoformat() for moment in (at(0), at(1), at(0)))

    def test_a_lane_that_is_held_elsewhere_is_counted_when_another_one_is_let_go(
        self, here: Lambda, said: Said
    ) -> None:
        here.engage()
        here.engage(lane=PROBE)
        here.stream()
        here.release()
        said()
        here.stream()
        (record,) = said()[1]
        assert (record["BrakeEngaged"], record["lane"]) == (1, PROBE)

    def test_that_no_lane_is_held_any_more_is_told_once(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.stream()
        here.release()
        said()
        here.stream()
        for minutes in range(5, 35, 5):
            here.schedule(minutes)
            here.stream()
        assert [record["BrakeEngaged"] for record in said()[1]] == [0]

    def test_a_lane_that_could_not_be_shut_counts_as_held(self, here: Lambda, said: Said) -> None:
        here.engage()
        here.account.refusals["update_event_source_mapping"] = denied("UpdateEventSourceMapping")
        with pytest.raises(here.entry.BrakeFault):
            here.stream()
        assert [record["BrakeEngaged"] for record in said()[1] if "BrakeEngaged" in record] == [1]


class TestEnvironment:
    def test_it_reads_exactly_its_variables(self) -> None:
        assert Brake.variables() == brakes.SETTINGS.keys()
        assert Brake.read(brakes.SETTINGS).lanes[PROBE] == {
            "mapping": f"{PROBE}-mapping",
            "configurationSet": f"{PROBE}-set",
        }

    @pytest.mark.parametrize(
        "lanes",
        [
            "",
            "[]",
            "{}",
            '{"probe": []}',
            '{"probe": {"mapping": "m"}}',
            '{"probe": {"mapping": "m", "configurationSet": ""}}',
            '{"probe": {"mapping": "m", "configurationSet": "c", "queue": "q"}}',
        ],
    )
    def test_lanes_without_their_parts_are_refused(self, lanes: str) -> None:
        with pytest.raises(InvalidEnvironment, match=r"^LANES is .*, has to be JSON like .*, with one lane at least$"):
            Brake.read({**brakes.SETTINGS, "LANES": lanes})

    @pytest.mark.parametrize("batch", ["", "0", "11", "-1", "1.5", "ten", "９", "9" * 30])
    def test_a_batch_that_lambda_would_not_take_is_refused(self, batch: str) -> None:
        with pytest.raises(
            InvalidEnvironment, match=r"^FULL_BATCH is .*, has to be a whole number of messages, 1 to 10"
        ):
            Brake.read({**brakes.SETTINGS, "FULL_BATCH": batch})

"""SendEmail beyond the emulator's permission: SES's refusals, the mailbox, and the events that follow."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.twin import outcomes, refusals
from local.twin.account import Account, Suppressed
from local.twin.events import Sent
from local.twin.lookup import ConfigurationSet, Lookup
from local.twin.mail import Mail, as_delivered, bare, new_id, simulated, utc_now
from local.twin.options import Fault, Options, Outcome
from local.twin.outcomes import Held, choose, first_match, fraction
from local.twin.proxy import Caller
from local.twin.publisher import Publisher
from local.twin.refusals import Refusal
from local.twin.request import SendRequest, read, template_name

log = logging.getLogger(__name__)


@dataclass(slots=True)
class State:
    """What the twin remembers. `calls` numbers the SendEmail calls, for the random choices made about each."""

    options: Options
    account: Account = field(default_factory=Account)
    mailbox: list[Mail] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    strikes: Counter[str] = field(default_factory=Counter)
    calls: int = 0

    def reset(self) -> None:
        """Forget everything but the options."""
        self.account = Account()
        self.mailbox.clear()
        self.counts.clear()
        self.strikes.clear()
        self.calls = 0

    def fault(self, recipients: tuple[str, ...]) -> Fault | None:
        """What is to go wrong with the next call, which goes to these recipients."""
        self.calls += 1
        options = self.options
        for address in (bare(each).lower() for each in recipients):
            if (named := first_match(options.faults, address)) is not None:
                self.strikes[address] += 1
                struck = options.fault_times and self.strikes[address] > options.fault_times
                return None if struck else named
        return choose(options.fault_shares, fraction(options.seed, "fault", self.calls))

    def reply_delay(self) -> float:
        """Seconds that the reply to the current call takes longer."""
        low, high = self.options.reply_delay_ms
        return (low + (high - low) * fraction(self.options.seed, "reply", self.calls)) / 1000


class Sender:
    """Judges and accepts mails. Raises botocore's errors where the emulator does not answer a question."""

    def __init__(self, state: State, lookup: Lookup, publisher: Publisher) -> None:
        self._state = state
        self._lookup = lookup
        self._publisher = publisher

    async def read(self, data: Mapping[str, Any], region: str) -> SendRequest:
        """Raises ValueError where the body is not what the API's model says."""
        name = template_name(data)
        return read(data, await self._lookup.template(region, name) if name else None)

    async def accept(self, request: SendRequest, caller: Caller) -> Mail | Refusal:
        """Take the mail and publish what becomes of it, or say why SES would not."""
        named = request.configuration_set
        found = await self._lookup.configuration_set(caller.region, named) if named else None
        source_arn = await self._lookup.source_arn(caller.region, request.source)
        account_id = await self._lookup.account(caller.region)
        if refusal := self._refusal(request, found):
            return refusal
        now = utc_now()
        message_id = new_id(caller.region, now, uuid.uuid4())
        mail = Mail(
            ses_message_id=message_id,
            source=request.source,
            to=request.recipients,
            tags={str(tag["Name"]): str(tag["Value"]) for tag in request.tags},
            configuration_set=named,
            raw=as_delivered(request.raw, message_id, caller.region, now),
            sent_at=now,
        )
        self._state.mailbox.append(mail)
        sent = Sent(
            mail=mail,
            headers=request.headers,
            operation=request.operation,
            source_arn=source_arn,
            account_id=account_id,
            region=caller.region,
            source_ip="127.0.0.1",
            caller_identity=caller.identity,
        )
        self._follow(sent, request, found)
        return mail

    def _refusal(self, request: SendRequest, found: ConfigurationSet | None) -> Refusal | None:
        """The first thing that SES objects to. The quota comes last, so that only what goes out counts."""
        state = self._state
        if refusal := refusals.malformed(request.recipients, request.tags, len(request.raw)):
            return refusal
        if state.options.account_suspended:
            return refusals.SUSPENDED
        if not state.account.sending_enabled:
            return refusals.ACCOUNT_PAUSED
        if request.configuration_set and not found:
            return refusals.set_missing(request.configuration_set)
        if found and not found.sending_enabled:
            return refusals.set_paused(found.name)
        counted = sum(simulated(address) is None for address in request.recipients)
        over = state.account.throttled(len(request.recipients), counted, state.options, time.monotonic())
        return refusals.throttled(over) if over else None

    def _follow(self, sent: Sent, request: SendRequest, found: ConfigurationSet | None) -> None:
        state = self._state
        override = found.suppressed_reasons if found else None
        met = {
            address: outcomes.decide(address, state.options, state.account.held_back(address, override))
            for address in request.recipients
        }
        if outcomes.infected(request.raw):
            met = dict.fromkeys(met, Outcome.REJECT)
        for address, outcome in met.items():
            state.counts[f"outcome {outcome.name}"] += 1
            if simulated(address) not in outcomes.SIMULATOR:
                state.counts[f"reputed {outcome.name}"] += 1
        told = ", ".join(outcome.name for outcome in met.values())
        log.info("%s accepted for %s: %s", sent.mail.ses_message_id, request.configuration_set, told)
        low, high = state.options.outcome_delay_ms
        share = fraction(state.options.seed, "delay", state.calls)
        planned = outcomes.plan(sent, met, timedelta(milliseconds=low + (high - low) * share), request.failure)
        if found:
            self._publisher.schedule(sent.region, found, planned)
        self._list(sent, met, state.account.reasons(override))

    def _list(self, sent: Sent, met: Mapping[str, Outcome | Held], reasons: Collection[str]) -> None:
        """Put the addresses that bounced or complained on the account's list, where the settings ask for it."""
        for address, outcome in met.items():
            reason = outcomes.LISTING_REASON.get(outcome)
            if reason in reasons and simulated(address) not in outcomes.SIMULATOR:
                message_id = sent.mail.ses_message_id
                entry = Suppressed(bare(address), str(reason), sent.mail.sent_at, message_id)
                self._state.account.put(entry)

"""The stack's settings: the only reader of pulumi.Config.

Types, meanings and defaults of the keys are in Pulumi.yaml; the rules that a type cannot express are here, in RULES
(one key at a time) and in `_conflicts` (keys that contradict each other). Faults are reported all together.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi
from pulumi.runtime.config import CONFIG, get_config, get_config_env

from components.consumer import CONCURRENCY
from components.cost_guard import MOST_EMAILS, THRESHOLDS
from components.function import LOG_LEVELS
from components.paging import ChatChannels
from handlers.telemetry.contract import Lane

# The periods that PutRetentionPolicy takes.
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_RETENTION_DAYS: Final = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip

_HOST: Final = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
_DOMAIN: Final = re.compile(_HOST)
_ADDRESS: Final = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_HOST}")
_ZONE: Final = re.compile(r"(?:Z[A-Z0-9]{1,31})?")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
# Slack and Teams: the shapes that the provider's resources take.
# https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html
_SLACK: Final = re.compile(r"(?:T[A-Z0-9]{2,}/C[A-Z0-9]{2,})?")
_GUID: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_TEAMS: Final = re.compile(rf"(?:{_GUID}/{_GUID}/[^\s/]{{1,256}})?")
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
_POLICY: Final = re.compile(r"(?:arn:aws[a-z-]*:iam::(?:[0-9]{12}|aws):policy/[\w+=,.@/-]{1,512})?", re.ASCII)
_LOOPBACK: Final = re.compile(r"http://(?:127\.0\.0\.1|localhost|\[::1\]):([0-9]{1,5})")
_PLACEHOLDER: Final = re.compile(r"(.+\.)?example\.(com|net|org)")
# What every AWS service takes as a tag's value. https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
_TAG: Final = re.compile(r"[\w .:/=+\-@]{1,256}")
_LANES: Final = tuple(lane.value for lane in Lane)
# The kinds of a budget's threshold, ours to AWS's.
_KINDS: Final = {"actual": "ACTUAL", "forecast": "FORECASTED"}
_HOLD: Final = re.compile(r"(?P<kind>[a-z]+):(?P<percent>[1-9][0-9]{0,2}):(?P<lanes>[a-z+-]+)")
_ORDINARY: Final = "ordinary"
# A batch of ten emails is reserved at about 0.002 USD. A limit that one batch is over holds the lane for good, however
# often it is released.
_LEAST_SPEND: Final = Decimal("0.01")


class SettingsError(pulumi.RunError):
    """What is wrong with a stack's settings, every fault with key, value, what is allowed and the remedy.

    A RunError, so that the CLI prints the message and no stack trace.
    """

    def __init__(self, stack: str, faults: list[str]) -> None:
        self.faults = tuple(faults)
        count = "1 setting is" if len(faults) == 1 else f"{len(faults)} settings are"
        remedy = f"Change a value with: pulumi config set KEY VALUE --stack {stack}"
        super().__init__("\n".join([f"{count} wrong in stack {stack!r}; nothing was changed.", *faults, remedy]))


@dataclass(frozen=True, slots=True)
class BudgetHold:
    """What a budget's threshold holds, once it is crossed: `lanes` are names of lanes; None is all that are not
    urgent. `kind` and `percent` are one of `components.cost_guard.THRESHOLDS`."""

    kind: str
    percent: int
    lanes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One stack's settings, checked. Units are in the names; the keys are described in Pulumi.yaml."""

    project: str
    stack: str
    region: str
    sending_domain: str
    hosted_zone_id: str
    from_address: str
    from_name: str
    reply_to: str
    production_sending: bool
    send_rate: int
    mailer_concurrency: int
    log_retention_days: int
    runbook_url: str
    page_emails: tuple[str, ...]
    page_webhooks: tuple[str, ...]
    ticket_emails: tuple[str, ...]
    ticket_webhooks: tuple[str, ...]
    slack_channel: str
    teams_channel: str
    bounce_warning: Decimal
    bounce_critical: Decimal
    complaint_warning: Decimal
    complaint_critical: Decimal
    objectives: bool
    probe_minutes: int
    trace_reservoir: int
    trace_percent: int
    emails_per_month: int
    monitoring_budget: int
    monthly_budget: int
    budget_holds: tuple[BudgetHold, ...]
    urgent_lanes: tuple[str, ...]
    spend_per_hour: Decimal
    spend_per_day: Decimal
    budget_action: bool
    report_emails: tuple[str, ...]
    log_level: str
    ledger_retention_days: int
    protect_data: bool
    owner: str
    cost_centre: str
    permissions_boundary: str
    emulator_endpoint: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags of every resource."""
        return {
            "project": self.project,
            "stack": self.stack,
            "owner": self.owner,
            "cost-centre": self.cost_centre,
        }

    @property
    def ordinary_lanes(self) -> list[str]:
        """The lanes that are not urgent: what a guard of cost holds."""
        return [lane for lane in _LANES if lane not in self.urgent_lanes]

    @property
    def held_by_budget(self) -> dict[str, list[str]]:
        """The lanes that each threshold of the budget holds, by `ACTUAL:100`."""
        return {
            f"{hold.kind}:{hold.percent}": self.ordinary_lanes if hold.lanes is None else list(hold.lanes)
            for hold in self.budget_holds
        }

    @property
    def chat(self) -> ChatChannels:
        """The channels that are told of alarms, those that there are."""
        channels: ChatChannels = {}
        if self.slack_channel:
            workspace, channel = self.slack_channel.split("/")
            channels["slack"] = {"workspace_id": workspace, "channel_id": channel}
        if self.teams_channel:
            tenant, team, channel = self.teams_channel.split("/")
            channels["teams"] = {"tenant_id": tenant, "team_id": team, "channel_id": channel}
        return channels


@dataclass(frozen=True, slots=True)
class Rule:
    """How one key's text becomes a value: `parse` returns None for a text that is not allowed; a `secret` one is not
    shown."""

    parse: Callable[[str], Any]
    allowed: str
    remedy: str
    secret: bool = False


def _match(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if pattern.fullmatch(text) else None


def _whole(low: int, high: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        # ASCII digits and no more of them than any limit has: int() also takes "1_0", "٣" and a million digits.
        number = int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None
        return number if number is not None and low <= number <= high else None

    return parse


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _display_name(text: str) -> str | None:
    return text if text.strip() and text.isprintable() and len(text.encode()) <= 200 else None


def _loopback(text: str) -> str | None:
    match = _LOOPBACK.fullmatch(text)
    return text if text == "" or (match and 0 < int(match[1]) < 65_536) else None


def _retention(text: str) -> int | None:
    return next((days for days in LOG_RETENTION_DAYS if str(days) == text), None)


def _percent(text: str) -> Decimal | None:
    number = Decimal(text) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,4})?", text) else None
    return number if number is not None and 0 < number <= 100 else None


def _usd(text: str) -> Decimal | None:
    number = Decimal(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None
    return number if number is not None and number >= _LEAST_SPEND else None


def _urgent(text: str) -> tuple[str, ...] | None:
    found = _list_of(_one_of(*_LANES))(text)
    return found if found is not None and len(found) < len(_LANES) else None


def _hold(text: str) -> BudgetHold | None:
    match = _HOLD.fullmatch(text)
    if match is None or (kind := _KINDS.get(match["kind"])) is None:
        return None
    lanes = _LANES if match["lanes"] == "all" else tuple(match["lanes"].split("+"))
    if (kind, percent := int(match["percent"])) not in THRESHOLDS or len(set(lanes)) < len(lanes):
        return None
    if lanes == (_ORDINARY,):
        return BudgetHold(kind, percent, None)
    return BudgetHold(kind, percent, lanes) if set(lanes) <= set(_LANES) else None


def _holds(text: str) -> tuple[BudgetHold, ...] | None:
    """The holds in a text, apart by spaces; each threshold once."""
    found = [_hold(each) for each in text.split()]
    holds = tuple(hold for hold in found if hold is not None)
    return holds if len(holds) == len(found) == len({(hold.kind, hold.percent) for hold in holds}) else None


def _thresholds() -> str:
    names = {aws: ours for ours, aws in _KINDS.items()}
    return ", ".join(f"{names[kind]}:{percent}" for kind, percent in THRESHOLDS)


def _list_of(rule: Callable[[str], Any]) -> Callable[[str], tuple[str, ...] | None]:
    """Several values in one text, apart by spaces or commas; none is a list, too."""

    def parse(text: str) -> tuple[str, ...] | None:
        found = tuple(filter(None, re.split(r"[\s,]+", text)))
        return found if all(rule(each) for each in found) and len(set(found)) == len(found) else None

    return parse


def _url(text: str, *, schemes: tuple[str, ...] = ("https",)) -> str | None:
    try:
        parts = urlsplit(text)
        sound = parts.scheme in schemes and bool(parts.hostname) and not parts.fragment and parts.port != 0
    except ValueError:
        return None
    return text if sound and text.isascii() and text.isprintable() and " " not in text else None


def _webhook(text: str) -> str | None:
    """Plain HTTP only to this machine: a webhook's address is a secret. `_conflicts` keeps that to the emulator."""
    return _url(text) or (_url(text, schemes=("http",)) if urlsplit(text).hostname == "127.0.0.1" else None)


_YES_NO: Final = Rule(_truth, "true or false", "write true or false, in lower case")
_MAILBOX: Final = Rule(
    _match(_ADDRESS),
    "one plain ASCII address, name@domain, its domain in lower case",
    "give the address alone, without a display name",
)
_TAG_VALUE: Final = Rule(
    _match(_TAG), "1 to 256 letters, digits, spaces and . : / = + - @ _", "name the team or cost centre in those"
)

_RECIPIENTS: Final = Rule(
    _list_of(_match(_ADDRESS)),
    "plain ASCII addresses, apart by spaces or commas, each once, or empty",
    "give the addresses alone, without display names",
)
_RECEIVERS: Final = Rule(
    _list_of(_webhook),
    "https:// addresses, apart by spaces or commas, each once, or empty",
    "take the address from the receiving service, and set it with --secret",
    secret=True,
)
_RATE: Final = Rule(
    _percent, "a number above 0, at most 100, such as 0.05", "give it in percent of the emails sent, with a point"
)

_USD: Final = Rule(
    _usd,
    f"USD of at least {_LEAST_SPEND} such as 2 or 0.50",
    "give it in USD, with a point; with a limit that one batch of ten emails is over, nothing would ever go out",
)

RULES: Final[Mapping[str, Rule]] = {
    "sendingDomain": Rule(
        _match(_DOMAIN), "a domain name in lower case, such as mail.shop.com", "give a domain whose DNS you control"
    ),
    "hostedZoneId": Rule(
        _match(_ZONE),
        "a Route 53 zone id such as Z0123456789ABCDEFGHIJ, or empty",
        "take it from `aws route53 list-hosted-zones`, without /hostedzone/",
    ),
    "fromAddress": _MAILBOX,
    "fromName": Rule(_display_name, "1 to 200 bytes of printable text", "shorten it, and remove line breaks"),
    "replyTo": _MAILBOX,
    "productionSending": _YES_NO,
    "sendRate": Rule(
        _whole(1, 100_000), "a whole number of at least 1", "take the account's rate from the SES console"
    ),
    "mailerConcurrency": Rule(
        _whole(*CONCURRENCY), "a whole number from {} to {}".format(*CONCURRENCY), "2 is the least that AWS allows"
    ),
    "logRetentionDays": Rule(
        _retention, "one of " + ", ".join(map(str, LOG_RETENTION_DAYS)), "take the next longer period"
    ),
    "logLevel": Rule(_one_of(*LOG_LEVELS), "one of " + ", ".join(LOG_LEVELS), "INFO suits most stacks"),
    "runbookUrl": Rule(
        _url, "an https:// address without a fragment", "give where docs/runbook.md can be read, without the # part"
    ),
    "pageEmails": _RECIPIENTS,
    "pageWebhooks": _RECEIVERS,
    "ticketEmails": _RECIPIENTS,
    "ticketWebhooks": _RECEIVERS,
    "slackChannel": Rule(
        _match(_SLACK), "WORKSPACE/CHANNEL such as T0123ABCD/C0123ABCD, or empty", "take both from the channel's link"
    ),
    "teamsChannel": Rule(
        _match(_TEAMS),
        "TENANT/TEAM/CHANNEL, or empty",
        "take the three from the channel's link; the first two are GUIDs",
    ),
    "bounceWarning": _RATE,
    "bounceCritical": _RATE,
    "complaintWarning": _RATE,
    "complaintCritical": _RATE,
    "objectives": _YES_NO,
    # More often than every 5 minutes, probes alone would look like orders to the alarm on silence
    # (components/mailer.py); at more than an hour, its two missed probes are no news any more.
    "probeMinutes": Rule(
        _whole(5, 60),
        "a whole number from 5 to 60",
        "probe less often to spend less, more often to know sooner",
    ),
    "traceReservoir": Rule(_whole(0, 1000), "a whole number from 0 to 1000", "1 is X-Ray's own default"),
    "tracePercent": Rule(_whole(0, 100), "a whole number from 0 to 100", "5 is X-Ray's own default"),
    "emailsPerMonth": Rule(
        _whole(1, 999_999_999), "a whole number of at least 1", "count the orders of a month; it need not be exact"
    ),
    "monitoringBudget": Rule(
        _whole(1, 100_000), "a whole number of at least 1", "see the list in the README for what watching costs"
    ),
    "monthlyBudget": Rule(
        _whole(1, 1_000_000), "a whole number of USD, at least 1", "look at last month's bill, and add what may grow"
    ),
    "budgetHolds": Rule(
        _holds,
        f"KIND:PERCENT:LANES, apart by spaces, each threshold once, or empty; thresholds are {_thresholds()}, and LANES"
        f" is ordinary, all, or of {', '.join(_LANES)} with + between",
        "actual:100:ordinary holds all but urgentLanes once the budget is spent",
    ),
    "urgentLanes": Rule(
        _urgent,
        f"of {', '.join(_LANES)}, apart by spaces or commas, not all of them, or empty",
        "leave out what a runaway loop could fill: it is what guards of cost hold",
    ),
    "spendPerHour": _USD,
    "spendPerDay": _USD,
    "budgetAction": _YES_NO,
    "reportEmails": _RECIPIENTS,
    # An order can wait 14 days in the queues, and 14 more once it has been redriven. A ledger that forgot sooner would
    # let that copy send a second letter.
    "ledgerRetentionDays": Rule(
        _whole(30, 3650),
        "a whole number from 30 to 3650",
        "keep rows for longer than an order can wait in the queues, redriven once (28 days)",
    ),
    "protectData": _YES_NO,
    "owner": _TAG_VALUE,
    "costCentre": _TAG_VALUE,
    "permissionsBoundary": Rule(
        _match(_POLICY),
        "the ARN of a policy, such as arn:aws:iam::123456789012:policy/deployment/mailroom-prod-boundary, or empty",
        "take it from `pulumi stack output boundaries` in bootstrap/",
    ),
    "emulatorEndpoint": Rule(
        _loopback,
        "http://127.0.0.1:PORT, or empty for AWS",
        "emulators are only used on this machine: give its loopback address",
    ),
}
_REGION_RULE: Final = Rule(
    _match(_REGION), "an AWS region such as eu-central-1", "give the region where SES has production access"
)


def load() -> Settings:
    """The running stack's settings. Raises SettingsError that lists every fault."""
    project = pulumi.get_project()
    # Not by pulumi.Config, which warns of each secret that is read as text; __main__ makes them secret again.
    given = {key: value for key in RULES if (value := get_config(f"{project}:{key}")) is not None}
    given |= {key: "" for key in _keys(project) if key not in RULES}
    return parse(given, region=pulumi.Config("aws").get("region"), project=project, stack=pulumi.get_stack())


def parse(given: Mapping[str, str], *, region: str | None, project: str, stack: str) -> Settings:
    """`given` (keys without namespace, values as text) as Settings; raises SettingsError."""
    texts = {f"{project}:{key}": given.get(key) for key in RULES} | {"aws:region": region}
    rules = {f"{project}:{key}": rule for key, rule in RULES.items()} | {"aws:region": _REGION_RULE}
    values = {key: None if text is None else rules[key].parse(text) for key, text in texts.items()}

    faults = [_fault(key, texts[key], rules[key]) for key, value in values.items() if value is None]
    faults += [_unknown(project, key) for key in given if key not in RULES]
    found: dict[str, Any] = {_snake(key.partition(":")[2]): value for key, value in values.items()}
    faults += _conflicts(project, found)
    if faults:
        raise SettingsError(stack, faults)
    return Settings(project=project, stack=stack, **found)


def _conflicts(project: str, found: Mapping[str, Any]) -> Iterator[str]:
    """Settings that are each allowed and contradict one another; a faulty one (None) contradicts nothing."""
    domain, sender = found["sending_domain"], found["from_address"]
    if domain and sender and not f".{sender.partition('@')[2]}".endswith(f".{domain}"):
        yield (
            f"  {project}:fromAddress is {sender!r}: allowed is an address within {project}:sendingDomain, which is"
            f" {domain!r}. Remedy: SES signs for that domain only; change one of the two."
        )
    if domain and _PLACEHOLDER.fullmatch(domain) and found["production_sending"] and found["emulator_endpoint"] == "":
        yield (
            f"  {project}:sendingDomain is the placeholder {domain!r} while {project}:productionSending is true:"
            f" allowed is a domain that you control. Remedy: set your own, or set {project}:productionSending to false."
        )
    for kind in ("bounce", "complaint"):
        warning, critical = found[f"{kind}_warning"], found[f"{kind}_critical"]
        if warning and critical and warning >= critical:
            yield (
                f"  {project}:{kind}Warning is {warning}: allowed is less than {project}:{kind}Critical, which is"
                f" {critical}. Remedy: a warning that comes with the page warns nobody; lower it."
            )
    hour, day = found["spend_per_hour"], found["spend_per_day"]
    if hour and day and day < hour:
        yield (
            f"  {project}:spendPerDay is {day}: allowed is at least {project}:spendPerHour, which is {hour}."
            " Remedy: an hour's limit that a day's never reaches limits nothing; raise the one or lower the other."
        )
    if found["budget_action"] and found["page_emails"] == ():
        yield (
            f"  {project}:budgetAction is true while {project}:pageEmails is empty: allowed is at least one address."
            " Remedy: AWS tells by email that it has stopped all sending, and nobody else does; name who is on call."
        )
    if found["budget_action"] and len(found["page_emails"] or ()) > MOST_EMAILS:
        yield (
            f"  {project}:pageEmails has {len(found['page_emails'])} addresses while {project}:budgetAction is true:"
            f" allowed are {MOST_EMAILS}, as many as a budget action tells. Remedy: name one list of recipients."
        )
    if found["emulator_endpoint"] and (found["slack_channel"] or found["teams_channel"]):
        yield (
            f"  {project}:slackChannel or {project}:teamsChannel is set while {project}:emulatorEndpoint is, too:"
            " allowed is one of them. Remedy: leave the channels empty; an emulator tells no chat."
        )
    plain = [
        url for key in ("page_webhooks", "ticket_webhooks") for url in found[key] or () if not url.startswith("https:")
    ]
    if plain and found["emulator_endpoint"] == "":
        yield (
            f"  {project}:pageWebhooks or ticketWebhooks has an address that begins with http://: allowed on AWS is"
            " https://. Remedy: Lambda cannot reach this machine, and the address is a secret; give the receiver's own."
        )


def _fault(key: str, text: str | None, rule: Rule) -> str:
    state = "is not set" if text is None else "is not shown, as it is a secret" if rule.secret else f"is {text!r}"
    return f"  {key} {state}: allowed is {rule.allowed}. Remedy: {rule.remedy}."


def _unknown(project: str, key: str) -> str:
    near = get_close_matches(key, RULES, n=1, cutoff=0.6)
    advice = f"did you mean {project}:{near[0]}?" if near else "remove it."
    return f"  {project}:{key} is not a setting: allowed are the keys in Pulumi.yaml. Remedy: {advice}"


def _keys(project: str) -> list[str]:
    """Every key that the stack sets in the project's namespace. pulumi.Config answers only for keys asked for."""
    prefix = f"{project}:"
    return sorted(key.removeprefix(prefix) for key in {**get_config_env(), **CONFIG.get()} if key.startswith(prefix))


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda match: "_" + match[1].lower(), key)

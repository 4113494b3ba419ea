"""A waiver says what it is for, who answers for it, and when it ends; anything less is refused, with its line."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from observability.errors import ToolkitError
from policies.waivers import LONGEST, read_waivers, waivers
from tests.policies.programs import RULES, TODAY

GOOD = {
    "rule": "short-delay",
    "resource": "Queue orders",
    "stacks": "[dev, prod]",
    "owner": "platform",
    "reason": "The shop waits for payment.",
    "expires": "2027-01-31",
}


def text(**changes: str | None) -> str:
    fields = {key: each for key, each in {**GOOD, **changes}.items() if each is not None}
    first, *others = [f"{key}: {each}" for key, each in fields.items()]
    return "".join([f"# Why they are there.\n- {first}\n", *(f"  {each}\n" for each in others)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("rules: []", "expected a list of waivers, found dict"),
        ("- - a", "line 1: expected a waiver with rule, resource"),
        ("- [", "it cannot be read as YAML"),
        (text(expires="2027-02-30"), "it cannot be read as YAML"),
        (text(owner=None), "line 2: owner is missing"),
        (text(reason="''"), "line 2: reason has to be a text, not ''"),
        (text(reason="7"), "line 2: reason has to be a text, not 7"),
        (text(rule="short-dely"), "line 2: rule 'short-dely' is none of the rules; is 'short-delay' meant?"),
        (text(stacks="prod"), "line 2: stacks has to be a list of names of stacks, not 'prod'"),
        (text(stacks="[]"), "line 2: stacks has to be a list"),
        (text(expires="soon"), "line 2: expires has to be a day such as 2026-11-23, not 'soon'"),
        (text(expires="2027-01-31 12:00:00"), "line 2: expires has to be a day"),
        (text(until="2027-01-31"), "line 2: a waiver has no field 'until'"),
        (text() + text(owner=None), "line 9: owner is missing"),
        (
            text(expires=(TODAY + timedelta(days=LONGEST + 1)).isoformat()),
            f"line 2: expires is 2027-11-25, more than {LONGEST} days ahead",
        ),
    ],
)
def test_what_is_no_waiver_is_refused_with_its_line(given: str, said: str) -> None:
    with pytest.raises(ToolkitError) as error:
        waivers(given, RULES, TODAY, "waivers.yaml")
    assert str(error.value).startswith("waivers.yaml")
    assert said in str(error.value)


def test_a_file_that_cannot_be_found_or_says_nothing_waives_nothing(tmp_path: Path) -> None:
    assert read_waivers(RULES, TODAY, tmp_path / "waivers.yaml") == ()
    assert waivers("# nothing\n", RULES, TODAY, "waivers.yaml") == ()


def test_a_waiver_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "waivers.yaml"
    file.write_text(text(), encoding="utf-8")
    (waiver,) = read_waivers(RULES, TODAY, file)
    assert (waiver.rule, waiver.resource, waiver.stacks) == ("short-delay", "Queue orders", ("dev", "prod"))
    assert (waiver.owner, waiver.expires) == ("platform", date(2027, 1, 31))


@pytest.mark.parametrize(("today", "holds"), [(date(2027, 1, 31), True), (date(2027, 2, 1), False)])
def test_a_waiver_holds_on_its_last_day(today: date, *, holds: bool) -> None:
    (waiver,) = waivers(text(), RULES, TODAY, "waivers.yaml")
    assert waiver.holds(today) is holds


def test_one_that_lasts_as_long_as_one_may_is_taken() -> None:
    assert waivers(text(expires=(TODAY + timedelta(days=LONGEST)).isoformat()), RULES, TODAY, "waivers.yaml")

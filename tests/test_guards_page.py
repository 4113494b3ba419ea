"""docs/guards.md, its decision and the runbook say of the guards what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.brake import EVERY_MINUTES, SILENCE
from components.consumer import BATCH_SIZE
from components.cost_guard import TOLERATED, WAITING
from components.mailer import HELD_SECONDS
from components.watch import MINUTE
from handlers.adapters.control import KEPT
from handlers.guarding.brake import CHANGES_KEPT, RAMP, STAGE, Holder
from handlers.guarding.tally import SLOT
from local.config import ROOT

PAGE = ROOT / "docs/guards.md"
DECISION = ROOT / "docs/adr/0007-the-brake-is-a-wanted-state.md"
RUNBOOK = ROOT / "docs/runbook.md"
GUARDS, WHY, RUN = (" ".join(path.read_text(encoding="utf-8").split()) for path in (PAGE, DECISION, RUNBOOK))
SHARES = [f"{share * 100:g}" for share in RAMP]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GUARDS, f"{', '.join(SHARES[:-1])} %, {STAGE.seconds // 60} minutes each at least"),
        (WHY, f"({', '.join(SHARES)} % of the rate, {STAGE.seconds // 60} minutes each at least)"),
        (RUN, f"sends at {SHARES[0]} % of its rate, and at {', '.join(SHARES[1:-1])} and {SHARES[-1]} % after"),
        (GUARDS, f"enabled, batches of {BATCH_SIZE} |"),
        (GUARDS, f"come again after {HELD_SECONDS} s"),
        (GUARDS, f"the last {CHANGES_KEPT} changes"),
        (GUARDS, f"| {KEPT.days} days |"),
        (GUARDS, f"slots of {SLOT.seconds // 60} minutes"),
        (GUARDS, f"every {EVERY_MINUTES} minutes as well"),
        (RUN, f"It is tried again every {EVERY_MINUTES} minutes"),
        (RUN, "a quarter of an hour, in which three runs were due" if SILENCE == 15 * MINUTE else "mend the words"),
        (RUN, f"waiting for over {WAITING // MINUTE} minutes (`waiting`)"),
        (RUN, "more than two and a half times `spendPerHour`" if str(TOLERATED) == "2.5" else "mend the words"),
    ],
)
def test_every_number_told_is_the_codes_own(text: str, words: str) -> None:
    assert words in text


def test_the_runbook_says_for_every_holder_when_to_release() -> None:
    table = RUN[RUN.index("| Held by | What happened | Look at | Release when |") :]
    assert re.findall(r"\| `(\w+)` \|", table)[: len(Holder)] == [holder.value for holder in Holder]


@pytest.mark.parametrize("path", [PAGE, DECISION], ids=lambda path: path.stem)
def test_every_file_and_section_named_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, place = target.partition("#")
        there = path.parent / file
        assert there.exists(), target
        assert not place or f'<a id="{place}"></a>' in there.read_text(encoding="utf-8"), target
    for named in re.findall(r"`((?:handlers|tests)/[\w/]+\.py)`", text):
        assert (ROOT / named).exists(), named

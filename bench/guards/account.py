"""The account's own rate, by which AWS judges it."""

from __future__ import annotations

from typing import Final

import numpy as np

from bench.guards.traffic import Rates, Trace, sums
from handlers.guarding.reputation import BOUNCES

REVIEW: Final = BOUNCES.review

ACCOUNT: Final = 10_000
ACCOUNTS: Final = (1_000, 10_000, 50_000)
"""Emails by which AWS judges the account. It publishes no number; one notice that was made public says `the last 10,192
eligible emails`, of 225 days: https://blog.lalatendu.info/misc/aws-q-n-a/aws-important-change-in-your-sending-status"""

LEAST_OF_A_DAY: Final = 10
"""An account is judged by a tenth of its day at least: 1,000 of 100,000 a day would be a quarter of an hour, in which
nobody's bounces are representative."""


def accounts(volume: int) -> tuple[int, ...]:
    return tuple(account for account in ACCOUNTS if account * LEAST_OF_A_DAY >= volume)


def account_rate(trace: Trace, volume: int, good: float, random: np.random.Generator, bad: int = 1) -> Rates:
    """The account's rate after each slot: of its last `volume` emails, of which those before the trace were good."""
    chunks = 100
    before = np.full(chunks, volume // chunks)
    judged = np.concatenate((sums(before)[:-1], volume + trace.sums[0])).astype(float)
    past = sums(random.binomial(before, good))
    hit = np.concatenate((past[:-1], past[-1] + trace.sums[bad])).astype(float)
    now, ends = judged[chunks + 1 :], hit[chunks + 1 :]
    rates: Rates = (ends - np.interp(now - volume, judged, hit)) / volume
    return rates

"""What came of it, in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final

import altair as alt
import numpy as np
import vl_convert

from bench.guards.account import ACCOUNT, REVIEW, account_rate
from bench.guards.guard import WARM_UP, guarded
from bench.guards.sides import AWS, BARE, GUARD, PLAIN, SIDES, alarms
from bench.guards.simulation import Outcome
from bench.guards.traffic import COURSES, GOOD, HOURLY, VOLUMES, traffic
from bench.guards.worsening import by_case

Picture = alt.LayerChart | alt.FacetChart

COLOURS: Final = {GUARD: "#1a7f37", PLAIN: "#9a6700", BARE: "#8c959f", AWS: "#0969da"}
INK: Final = "#1f2328"

STORY: Final = (100_000, COURSES[4])
"""The trace that is drawn: a list that goes bad within two days."""


def draw(outcome: Outcome, folder: Path) -> None:
    through, highest = "bounces let through (median)", "highest rate of the account, % (worst trace)"
    pictures: dict[str, Picture] = {
        "bounces": dots(outcome, "bounces", through, alt.Scale(type="log")),
        "peaks": dots(outcome, "peak", highest, alt.Scale(domainMin=0), line=100 * REVIEW),
        "story": story(),
    }
    for name, picture in pictures.items():
        (folder / f"guards-simulation-{name}.svg").write_text(svg(picture) + "\n")


def dots(outcome: Outcome, value: str, title: str, scale: alt.Scale, *, line: float | None = None) -> Picture:
    """A dot for each side, course and volume: its median `bounces`, or its highest `peak`."""
    rows = [
        {
            "volume": f"{volume:,} emails a day",
            "course": course,
            "side": side,
            "bounces": median(one.acts[side].bad for one in ones),
            "peak": 100 * max(one.acts[side].peaks[ACCOUNT] for one in ones),
        }
        for (volume, course), ones in by_case(outcome.gone).items()
        for side in SIDES
        if side != BARE and all(one.acts[side].slots is not None for one in ones)
    ]
    sides = [side for side in SIDES if side != BARE]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X(f"{value}:Q", title=title, scale=scale, axis=alt.Axis(format="~s", tickCount=6))
    y = alt.Y("course:N", title=None, sort=[course.name for course in COURSES])
    shape = alt.Shape("side:N", scale=alt.Scale(domain=sides, range=["circle", "square", "triangle-up"]))
    layers = [base.mark_point(filled=True, size=90, opacity=0.9).encode(x=x, y=y, color=colour(sides), shape=shape)]
    if line is not None:
        layers.insert(0, base.mark_rule(color="#cf222e", strokeDash=[5, 4]).encode(x=alt.datum(line)))
    order = [f"{volume:,} emails a day" for volume in VOLUMES]
    chart = alt.layer(*layers).properties(width=300, height=150)
    return chart.facet(alt.Facet("volume:N", title=None, sort=order), columns=2)


def story() -> Picture:
    """One trace: the account's rate, and when each side trips."""
    volume, course = STORY
    random = np.random.default_rng([5])
    onset = WARM_UP + 8 * HOURLY
    length = course.slots
    trace = traffic(random, volume, np.concatenate((np.full(onset, GOOD), course.rates(GOOD, length))))
    account = account_rate(trace, ACCOUNT, GOOD, random)
    found = guarded(trace, onset, once=True)
    lines = [{"hour": slot / HOURLY, "rate": 100 * rate} for slot, rate in enumerate(account[onset:].tolist())]
    marks = [("warning", found.warnings[0], COLOURS[GUARD]), (GUARD, found.trips[0], COLOURS[GUARD])]
    marks += [
        (side, int(onset + np.flatnonzero(alarm[onset:])[0]), COLOURS[side])
        for side, alarm in alarms(trace, account).items()
        if side != BARE
    ]
    base = alt.Chart(alt.InlineData(values=lines))
    x = alt.X("hour:Q", title="hours since it began", scale=alt.Scale(domain=[0, 30]))
    y = alt.Y("rate:Q", title="bounces among the account's last 10,000 emails, %", scale=alt.Scale(domain=[0, 9]))
    layers: list[alt.Chart] = []
    for number, (name, slot, ink) in enumerate(marks):
        row = {"hour": (slot + 1 - onset) / HOURLY, "what": name, "rate": 8.6 - 0.55 * number}
        told = alt.Chart(alt.InlineData(values=[row]))
        left = name == AWS
        text = told.mark_text(align="right" if left else "left", dx=-5 if left else 5, fontSize=12, color=ink)
        layers += [
            told.mark_rule(strokeWidth=1.5, color=ink).encode(x="hour:Q"),
            text.encode(x="hour:Q", y="rate:Q", text="what:N"),
        ]
    review = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color="#cf222e", strokeDash=[5, 4])
    chart = alt.layer(
        review.encode(y=alt.datum(100 * REVIEW)),
        base.mark_line(color=INK, strokeWidth=1.5, clip=True).encode(x=x, y=y),
        *layers,
    )
    return chart.properties(width=680, height=280)


def colour(sides: Sequence[str]) -> alt.Color:
    return alt.Color("side:N", scale=alt.Scale(domain=list(sides), range=[COLOURS[side] for side in sides]))


def svg(picture: Picture) -> str:
    styled = picture.configure(
        background="#ffffff",
        font="sans-serif",
        padding=12,
        axis=alt.AxisConfig(labelColor=INK, titleColor=INK, gridColor="#eaeef2", titleFontWeight="normal"),
        header=alt.HeaderConfig(labelColor=INK, labelFontSize=12, labelFontWeight="bold"),
        legend=alt.LegendConfig(orient="top", title=None, labelColor=INK, symbolSize=90, labelFontSize=12),
        view=alt.ViewConfig(stroke="#d0d7de"),
    )
    return vl_convert.vegalite_to_svg(styled.to_dict())

"""Deep links into AWS's console. Their form is not documented; it is what the console writes into the address bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

_CONSOLE: Mapping[str, str] = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def alarm_link(region: str, partition: str, name: str) -> str:
    """The alarm's page, with its graph."""
    return f"{_cloudwatch(region, partition)}#alarmsV2:alarm/{quote(name, safe='')}"


def logs_link(region: str, partition: str, groups: Sequence[str], query: str, window: tuple[datetime, datetime]) -> str:
    """A Logs Insights query over `groups`, ready to be run."""
    sources = "".join(f"~'{encoded(group)}" for group in groups)
    detail = f"~({_span(window)}~timeType~'ABSOLUTE~tz~'UTC~editorString~'{encoded(query)}~source~({sources}))"
    return f"{_cloudwatch(region, partition)}#logsV2:logs-insights$3FqueryDetail$3D{detail}"


def traces_link(region: str, partition: str, stack: str, window: tuple[datetime, datetime]) -> str:
    """The stack's traces, by the annotation that each of them carries."""
    expression = encoded(f'annotation.stack = "{stack}"')
    return (
        f"{_cloudwatch(region, partition)}#xray:traces/query"
        f"?~(query~(expression~'{expression})~context~(timeRange~({_span(window)})))"
    )


def encoded(text: str) -> str:
    """A text within the console's parameters, which are in JSURL: `*` and two digits, or `**` and four.

    What is left over is safe in a URL's fragment, in Markdown and between Slack's angle brackets.
    """
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[n : n + 2], "big") for n in range(0, len(units), 2)]
    return "".join(_unit(code) for code in codes)


def _unit(code: int) -> str:
    character = chr(code)
    if character.isascii() and (character.isalnum() or character in "_-."):
        return character
    return f"*{code:02x}" if code < 0x100 else f"**{code:04x}"


def _cloudwatch(region: str, partition: str) -> str:
    return f"https://{region}.{_CONSOLE.get(partition, _CONSOLE['aws'])}/cloudwatch/home?region={region}"


def _span(window: tuple[datetime, datetime]) -> str:
    begin, end = (encoded(f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z") for time in window)
    return f"end~'{end}~start~'{begin}"

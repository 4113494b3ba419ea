"""What CloudWatch accepts as the body of a dashboard, as a JSON Schema (draft 2020-12).

Written from "Dashboard body structure and syntax" of the CloudWatch API reference
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html), narrowed to
the widgets that are drawn here: metric, log, alarm and text. A key that the page does not know is refused, because
CloudWatch would ignore it without a word; the few that come from elsewhere are in UNDOCUMENTED.
"""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

MOST_DIMENSIONS: Final = 30  # of one metric (CloudWatch quotas)

TEXT: Final[Schema] = {"type": "string", "minLength": 1}
FLAG: Final[Schema] = {"type": "boolean"}
COLOUR: Final[Schema] = {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}
PERIOD: Final[Schema] = {"type": "integer", "minimum": 60, "multipleOf": 60}
SIDE: Final[Schema] = {"enum": ["left", "right"]}
STATISTIC: Final[Schema] = {
    "type": "string",
    "pattern": r"^(SampleCount|Average|Sum|Minimum|Maximum|p(\d{1,2}(\.\d{1,10})?|100))$",
}
MOMENT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z"
START: Final[Schema] = {"type": "string", "pattern": rf"^(-PT[1-9]\d*[MH]|-P[1-9]\d*[DWM]|{MOMENT})$"}
END: Final[Schema] = {"type": "string", "pattern": f"^{MOMENT}$"}


def closed(properties: Schema, *required: str, **more: Any) -> Schema:
    """An object with these properties and no other."""
    shape = {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}
    return {**shape, **more}


LEGEND: Final = closed({"position": {"enum": ["right", "bottom", "hidden"]}}, "position")
AXIS: Final = closed({"label": TEXT, "min": {"type": "number"}, "max": {"type": "number"}, "showUnits": FLAG})

_EDGE: Final[Schema] = {"label": TEXT, "color": COLOUR, "visible": FLAG}


def _annotation(value: Schema, fills: list[str], **more: Schema) -> Schema:
    """One line with shading on a side, or two that are the edges of a band."""
    single = closed({"value": value, **_EDGE, **more, "fill": {"enum": fills}}, "value")
    band = [closed({"value": value, **_EDGE, **more}, "value"), closed({"value": value, "label": TEXT}, "value")]
    return {
        "type": "array",
        "items": {"anyOf": [single, {"type": "array", "prefixItems": band, "items": False, "minItems": 2}]},
    }


HORIZONTAL: Final = _annotation({"type": "number"}, ["above", "below", "none"], yAxis=SIDE)
VERTICAL: Final = _annotation({"type": "string", "pattern": f"^{MOMENT}$"}, ["before", "after", "none"])
ANNOTATIONS: Final = closed(
    {"alarms": {"type": "array", "items": TEXT, "maxItems": 1}, "horizontal": HORIZONTAL, "vertical": VERTICAL},
    # "A single widget can't have both an alarm and horizontal or vertical annotations."
    dependentSchemas={"alarms": {"not": {"anyOf": [{"required": ["horizontal"]}, {"required": ["vertical"]}]}}},
)

ID: Final[Schema] = {"type": "string", "pattern": "^[a-z][A-Za-z0-9_]*$"}
_RENDERING: Final[Schema] = {
    "id": ID,
    "label": TEXT,
    "color": COLOUR,
    "period": PERIOD,
    "stat": STATISTIC,
    "visible": FLAG,
    "yAxis": SIDE,
    "region": TEXT,
    "accountId": TEXT,
}
RENDERING: Final = closed(_RENDERING)
EXPRESSION: Final = closed({"expression": TEXT, **_RENDERING}, "expression")


def _metric(dimensions: int) -> Schema:
    """`[namespace, name, dimension, value, ..., rendering]`: the texts come in pairs, the rendering may be left out."""
    texts = 2 + 2 * dimensions
    prefix = [*[TEXT] * texts, RENDERING]
    return {"type": "array", "prefixItems": prefix, "items": False, "minItems": texts}


METRICS: Final[Schema] = {
    "type": "array",
    "maxItems": 500,
    "items": {
        "anyOf": [
            {"type": "array", "prefixItems": [EXPRESSION], "items": False, "minItems": 1},
            *(_metric(dimensions) for dimensions in range(MOST_DIMENSIONS + 1)),
        ]
    },
}

UNDOCUMENTED: Final[Schema] = {"setPeriodToTimeRange": FLAG, "start": START, "end": END}
"""Keys of a metric widget that the page lacks and the AWS CDK writes (aws-cloudwatch, `SingleValueWidget`)."""

METRIC_WIDGET: Final = closed(
    {
        "accountId": TEXT,
        "annotations": ANNOTATIONS,
        "legend": LEGEND,
        "liveData": FLAG,
        "metrics": METRICS,
        "period": PERIOD,
        "region": TEXT,
        "sparkline": FLAG,
        "stacked": FLAG,
        "stat": STATISTIC,
        "table": closed(
            {
                "layout": {"enum": ["vertical", "horizontal"]},
                "stickySummary": FLAG,
                "showTimeSeriesData": FLAG,
                "summaryColumns": {"type": "array", "items": {"enum": ["MIN", "MAX", "SUM", "AVG"]}},
            }
        ),
        "timezone": {"type": "string", "pattern": r"^[+-]\d{4}$"},
        "title": TEXT,
        "view": {"enum": ["timeSeries", "singleValue", "gauge", "bar", "pie", "table"]},
        "yAxis": closed({"left": AXIS, "right": AXIS}),
        **UNDOCUMENTED,
    },
    "region",
    anyOf=[
        {"required": ["metrics"]},
        {"properties": {"annotations": {"required": ["alarms"]}}, "required": ["annotations"]},
    ],
    allOf=[
        # "If you specify an alarm annotation, you cannot also specify a metrics array in the same widget."
        {
            "if": {"properties": {"annotations": {"required": ["alarms"]}}, "required": ["annotations"]},
            "then": {"not": {"required": ["metrics"]}},
        },
        # "If you specify gauge, you must set a value for min and max on the left side of yAxis."
        {
            "if": {"properties": {"view": {"const": "gauge"}}, "required": ["view"]},
            "then": {
                "properties": {"yAxis": {"properties": {"left": {"required": ["min", "max"]}}, "required": ["left"]}},
                "required": ["yAxis"],
            },
        },
        # The AWS CDK refuses a sparkline under a number over the whole range (`SingleValueWidget`).
        {
            "if": {"properties": {"setPeriodToTimeRange": {"const": True}}, "required": ["setPeriodToTimeRange"]},
            "then": {"properties": {"sparkline": {"const": False}}},
        },
        {"dependentRequired": {"end": ["start"]}},
    ],
)

LOG_WIDGET: Final = closed(
    {
        "accountId": TEXT,
        "region": TEXT,
        "title": TEXT,
        # `SOURCE 'group' | SOURCE 'group' | query`
        "query": {"type": "string", "pattern": r"^(SOURCE '[^']+' *\| *)+\S"},
        "view": {"enum": ["table", "timeSeries", "bar", "pie"]},
    },
    "region",
    "query",
)

ALARM_WIDGET: Final = closed(
    {
        "alarms": {
            "type": "array",
            "minItems": 1,
            "maxItems": 100,
            "items": {"type": "string", "pattern": r"^arn:aws[a-z-]*:cloudwatch:[a-z0-9-]+:\d{12}:alarm:.+$"},
        },
        "sortBy": {"enum": ["default", "stateUpdatedTimestamp", "timestamp"]},
        "states": {"type": "array", "items": {"enum": ["ALARM", "INSUFFICIENT_DATA", "OK"]}},
        "title": TEXT,
    },
    "alarms",
)

TEXT_WIDGET: Final = closed({"markdown": TEXT, "background": {"enum": ["transparent", "solid"]}}, "markdown")

WIDGETS: Final = {"metric": METRIC_WIDGET, "log": LOG_WIDGET, "alarm": ALARM_WIDGET, "text": TEXT_WIDGET}

WIDGET: Final = closed(
    {
        "type": {"enum": [*WIDGETS]},
        "x": {"type": "integer", "minimum": 0, "maximum": 23},
        "y": {"type": "integer", "minimum": 0},
        "width": {"type": "integer", "minimum": 1, "maximum": 24},
        "height": {"type": "integer", "minimum": 1, "maximum": 1000},
        "properties": {"type": "object"},
    },
    "type",
    "properties",
    dependentRequired={"x": ["y"], "y": ["x"]},
    allOf=[
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {"properties": properties}},
        }
        for kind, properties in WIDGETS.items()
    ],
)

DASHBOARD: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **closed(
        {
            "widgets": {"type": "array", "maxItems": 500, "items": WIDGET},
            "start": START,
            "end": END,
            "periodOverride": {"enum": ["auto", "inherit"]},
        },
        "widgets",
        dependentRequired={"end": ["start"]},
    ),
}


def faults(body: object) -> list[str]:
    """Where a body is not as CloudWatch documents it, as `path: what is wrong`; empty for one that is."""
    found = Draft202012Validator(DASHBOARD).iter_errors(body)
    return sorted(f"{error.json_path}: {error.message}" for error in found)

"""Tracing: the only module that knows the X-Ray SDK, so that it can be swapped.

Lambda gives an invocation one trace, but a batch holds orders of many. Each order is therefore traced under the
header that SNS and SQS carried with it (`AWSTraceHeader`), and only without one under the invocation's: one trace then
shows an order from its topic to SES.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aws_xray_sdk.core import patch, xray_recorder
from aws_xray_sdk.core.context import Context
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.models.facade_segment import FacadeSegment
from aws_xray_sdk.core.models.trace_header import TraceHeader
from aws_xray_sdk.core.models.traceid import TraceId
from aws_xray_sdk.core.sampling.local.sampler import LocalSampler

from handlers.telemetry.privacy import without_addresses

_INVOCATION_HEADER = "_X_AMZN_TRACE_ID"
_common: dict[str, str] = {}


class _DiscreetEmitter(UDPEmitter):
    """Sends subsegments without the addresses that errors quote."""

    def send_entity(self, entity: Any) -> None:
        if isinstance(entity.cause, dict):
            for exception in entity.cause.get("exceptions", ()):
                exception.message = without_addresses(getattr(exception, "message", ""))
        super().send_entity(entity)


def start(**annotations: str) -> None:
    """Set the recorder up, at cold start, and have it record every AWS call.

    `annotations` go onto every subsegment that `traced` records, such as the stack: an X-Ray group is a filter on them.

    The SDK's own Lambda context ties all threads to the invocation's trace; the plain one lets each order's thread
    have its own. Threshold 0 sends each subsegment when it ends, as nothing here ends a segment. Whether an order is
    sampled, its header says, so there are no sampling rules to fetch.
    """
    xray_recorder.configure(
        context=Context(context_missing="IGNORE_ERROR"),
        emitter=_DiscreetEmitter(),
        sampler=LocalSampler(),
        streaming_threshold=0,
    )
    patch(["botocore"])
    # A call outside of what is traced, such as the meter's, is no news; the SDK would log a warning for each.
    logging.getLogger("aws_xray_sdk").setLevel(logging.ERROR)
    _common.clear()
    _common.update(annotations)


def always_sampled() -> str:
    """A trace header that goes on with the invocation's trace, and has it kept whatever Lambda's sampling decided.

    For what is rare and looked at first, such as a probe. Everything on its way follows the header's word: SNS, SQS and
    the handlers. Lambda's own segment of this invocation is there only if Lambda sampled it, too.
    """
    parsed = TraceHeader.from_header_str(os.environ.get(_INVOCATION_HEADER))
    root, parent = parsed.root or TraceId().to_id(), parsed.parent or secrets.token_hex(8)
    return f"Root={root};Parent={parent};Sampled=1"


@contextmanager
def traced(name: str, header: str | None = None, **annotations: str) -> Iterator[str]:
    """Record what happens inside as the subsegment `name`, on this thread; yields the trace id ("" when untraced).

    Args:
        name: of the subsegment.
        header: the message's own trace header, if it came with one.
        annotations: what traces can be searched by.
    """
    parsed = TraceHeader.from_header_str(header)
    if not (parsed.root and parsed.parent):
        parsed = TraceHeader.from_header_str(os.environ.get(_INVOCATION_HEADER))
    if not (parsed.root and parsed.parent):
        yield ""
        return
    segment = FacadeSegment(name="facade", entityid=parsed.parent, traceid=parsed.root, sampled=parsed.sampled != 0)
    segment.save_origin_trace_header(parsed)
    context = xray_recorder.context
    context.put_segment(segment)
    try:
        with xray_recorder.in_subsegment(name) as subsegment:
            for key, value in {**_common, **annotations}.items():
                if subsegment and value:
                    subsegment.put_annotation(key, value)
            yield parsed.root
    finally:
        context.clear_trace_entities()


def annotate(**annotations: str) -> None:
    """Add to the subsegment that is open on this thread, if any."""
    subsegment = xray_recorder.current_subsegment()
    for key, value in annotations.items():
        if subsegment and value:
            subsegment.put_annotation(key, value)

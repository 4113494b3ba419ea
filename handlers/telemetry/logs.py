"""Logs: one JSON object a line, with the ids that join it to metrics, traces and the ledger.

Never an address in clear text and never an email's body: support looks those up in the ledger, which is encrypted,
access-controlled and forgets.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from handlers.telemetry.privacy import without_addresses


class _DiscreetFormatter(JsonFormatter):
    """JSON lines without addresses, which come in with other people's words: SES's refusals, bounces, tracebacks."""

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {key: without_addresses(value) for key, value in log_data.items()}


def make_logger(name: str, *, level: str, stack: str) -> logging.Logger:
    """The logger of one handler. Pass what belongs to one record as `extra`.

    Lambda's own JSON handler sits on the root logger; ours does not propagate to it, or each line would be there
    twice.
    """
    logger = logging.getLogger(f"mailroom.{name}")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        _DiscreetFormatter(
            "%(levelname)s %(message)s",
            rename_fields={"levelname": "level"},
            static_fields={"function": name, "stack": stack},
            timestamp=True,
            json_ensure_ascii=False,
        )
    )
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
    return logger

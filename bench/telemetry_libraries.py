"""Import and per-record cost of the logging and metric libraries that were candidates for the handlers.

Each import is timed in a fresh interpreter that has already imported boto3 and made the handlers' clients, since
that is what a cold start pays on top; each record is one order's log line or metric record, written to the null
device. Each import is timed with its bytecode at hand, and from source, as packages in a Lambda layer come. Medians;
compare the rows of one run with each other, not with another day's.

    python -m bench.telemetry_libraries
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

IMPORTS = 5
RECORDS = 5000

SETUP = """
import boto3, os, sys, time
session = boto3.session.Session(aws_access_key_id='test', aws_secret_access_key='test', region_name='us-east-1')
for name in ('dynamodb', 'sesv2', 'sqs'):
    session.client(name)
out = open(os.devnull, 'w')
fields = dict(
    order_id='INV-00001',
    message_id='5c8f7b6e-8d0c-5d1a-9c55-0f4f2c6f2f11',
    trace_id='1-67400000-aaaaaaaaaaaaaaaaaaaaaaaa',
)
"""

# library -> (what a cold start runs, what one record costs)
CANDIDATES: dict[str, tuple[str, str]] = {
    "log: standard library, own formatter": (
        """
import json, logging
class Json(logging.Formatter):
    def format(self, record):
        return json.dumps({'level': record.levelname, 'message': record.getMessage(), **record.fields})
log = logging.getLogger('a'); handler = logging.StreamHandler(out); handler.setFormatter(Json())
log.addHandler(handler); log.setLevel('INFO')
""",
        "log.info('sent', extra={'fields': fields})",
    ),
    "log: aws-lambda-powertools Logger": (
        "from aws_lambda_powertools.logging import Logger; log = Logger(service='a', stream=out)",
        "log.info('sent', extra=fields)",
    ),
    "log: python-json-logger": (
        """
import logging
from pythonjsonlogger.json import JsonFormatter
log = logging.getLogger('a'); handler = logging.StreamHandler(out); handler.setFormatter(JsonFormatter())
log.addHandler(handler); log.setLevel('INFO')
""",
        "log.info('sent', extra=fields)",
    ),
    "log: structlog": (
        """
import structlog
from structlog.processors import JSONRenderer, TimeStamper, add_log_level
structlog.configure(processors=[add_log_level, TimeStamper(fmt='iso'), JSONRenderer()],
    logger_factory=structlog.WriteLoggerFactory(out), cache_logger_on_first_use=True)
log = structlog.get_logger()
""",
        "log.info('sent', **fields)",
    ),
    "emf: json.dumps by hand": (
        "import json",
        """
out.write(json.dumps({'_aws': {'Timestamp': int(time.time() * 1000), 'CloudWatchMetrics': [{'Namespace': 'M',
    'Dimensions': [['Stack']], 'Metrics': [{'Name': 'EmailsSent', 'Unit': 'Count'}]}]}, 'Stack': 'dev',
    'EmailsSent': 1, **fields}) + chr(10))
""",
    ),
    "emf: aws-lambda-powertools EphemeralMetrics": (
        "from aws_lambda_powertools.metrics import EphemeralMetrics; import json",
        """
m = EphemeralMetrics(namespace='M')
m.add_dimension('Stack', 'dev'); m.add_metric('EmailsSent', 'Count', 1)
for k, v in fields.items(): m.add_metadata(k, v)
out.write(json.dumps(m.serialize_metric_set()) + chr(10))
""",
    ),
    "emf: aws-embedded-metrics": (
        """
from aws_embedded_metrics.logger.metrics_context import MetricsContext
from aws_embedded_metrics.serializers.log_serializer import LogSerializer
serializer = LogSerializer()
""",
        """
m = MetricsContext(namespace='M'); m.set_dimensions([{'Stack': 'dev'}]); m.put_metric('EmailsSent', 1, 'Count')
for k, v in fields.items(): m.set_property(k, v)
for line in serializer.serialize(m): out.write(line + chr(10))
""",
    ),
    "trace: aws-xray-sdk (required), 1 subsegment": (
        "from aws_xray_sdk.core import xray_recorder as x",
        "x.begin_subsegment('order'); x.put_annotation('order_id', fields['order_id']); x.end_subsegment()",
    ),
}


def measure(start: str, record: str, *, compiled: bool) -> tuple[float, float]:
    """Milliseconds to start and microseconds a record, one fresh interpreter."""
    loop = "\n    ".join(line for line in record.strip().splitlines())
    code = f"""{SETUP}
begin = time.perf_counter()
{start}
started = time.perf_counter()
def run():
  for _ in range({RECORDS}):
    {loop}
begin_records = time.perf_counter(); run(); end = time.perf_counter()
print('RESULT', (started - begin) * 1e3, (end - begin_records) / {RECORDS} * 1e6)
"""
    environment = {
        **os.environ,
        "LAMBDA_TASK_ROOT": "/var/task",
        "_X_AMZN_TRACE_ID": "Root=1-67400000-aaaaaaaaaaaaaaaaaaaaaaaa;Parent=bbbbbbbbbbbbbbbb;Sampled=1",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",
        **({} if compiled else {"PYTHONPYCACHEPREFIX": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    _, start_ms, record_us = done.stdout.strip().splitlines()[-1].split()
    return float(start_ms), float(record_us)


def main() -> None:
    for name, (start, record) in CANDIDATES.items():
        compiled = [measure(start, record, compiled=True) for _ in range(IMPORTS)]
        source = [measure(start, record, compiled=False) for _ in range(IMPORTS)]
        start_ms, source_ms = (statistics.median(run[0] for run in runs) for runs in (compiled, source))
        record_us = statistics.median(run[1] for run in compiled)
        print(f"{name:46} {start_ms:7.1f} ms {source_ms:7.1f} ms {record_us:7.1f} us a record", flush=True)


if __name__ == "__main__":
    main()

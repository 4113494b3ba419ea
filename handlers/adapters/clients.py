"""How long the clients of DynamoDB and SQS wait, and how often they ask.

The SDK's own 60 s for an answer are twice what a function has. SES, where asking again sends again, has settings of
its own (`handlers.adapters.ses`).
"""

from __future__ import annotations

from botocore.config import Config

CONNECT_SECONDS = 2
READ_SECONDS = 5
"""Both services answer within tens of milliseconds; a connection that is silent for seconds has been cut."""

TRIES = 3
"""A cut connection costs one try, a failover of the service another; what outlasts three is the queue's to ride out.
With the waits between them (at most 1 s and 2 s in the SDK's standard mode) a call takes at most 24 s, so a service
that does not answer is seen failing, and reported, before a function of 30 s is stopped."""

CONFIG = Config(
    retries={"total_max_attempts": TRIES, "mode": "standard"},
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    max_pool_connections=10,  # one for each message of a batch
)

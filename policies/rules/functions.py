"""A function can be seen, cannot swallow what it fails on, cannot run away, and runs on something that is patched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from observability.program.resources import Resource
from policies.callers import FUNCTION, MAPPING, QUEUE, event_sources, function_name, having, naming, of_queue, the
from policies.model import Level, NotApplicable, Stack, rule, value
from policies.runtimes import DEPRECATED

INVOKE_CONFIG: Final = "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig"
PERMISSION: Final = "aws:lambda/permission:Permission"
SCHEDULE: Final = "aws:scheduler/schedule:Schedule"
URL: Final = "aws:lambda/functionUrl:FunctionUrl"
LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"

SYNCHRONOUS: Final = frozenset(
    {
        "alexa-appkit.amazon.com",
        "apigateway.amazonaws.com",
        "cognito-idp.amazonaws.com",
        "elasticloadbalancing.amazonaws.com",
        "firehose.amazonaws.com",
        "lexv2.amazonaws.com",
        "vpc-lattice.amazonaws.com",
    }
)
"""Principals that wait for the function's answer, and so learn that it failed.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-services.html"""

VISIBILITY: Final = 6
"""Times the function's timeout that a message should stay hidden, at the least.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""

TIMEOUT_SECONDS: Final = 3
"""Of a function that sets none (CreateFunction, Timeout)."""
VISIBILITY_SECONDS: Final = 30
"""Of a queue that sets none (SQS's CreateQueue, VisibilityTimeout)."""


@rule(
    "function-traced",
    FUNCTION,
    about="Functions trace their invocations with X-Ray",
    reason="Without active tracing a slow or failed invocation cannot be followed to what it called.",
    remedy='Set tracingConfig to {"mode": "Active"}.',
)
def function_traced(function: Resource, _: Stack) -> Iterator[str]:
    mode = value(function, "tracingConfig.mode")
    if mode != "Active":
        yield f"tracingConfig.mode is {mode or 'not set'}"


@rule(
    "function-runtime-supported",
    FUNCTION,
    about="Functions run on a runtime that AWS patches",
    reason="A deprecated runtime gets no security patches, and after a while AWS refuses to update the function.",
    remedy="Set runtime to a current one. If it is new, or AWS has moved its date, correct policies/runtimes.py.",
)
def function_runtime_supported(function: Resource, stack: Stack) -> Iterator[str]:
    runtime = _runtime(function)
    if runtime not in DEPRECATED:
        yield f"runtime is {runtime}, which is not among those that are known"
    elif (end := DEPRECATED[runtime]) and end <= stack.today:
        yield f"runtime is {runtime}, deprecated since {end}"


@rule(
    "function-runtime-lasting",
    FUNCTION,
    about="Functions do not run on a runtime that AWS is about to deprecate",
    reason="Moving to another runtime takes testing, and the date is AWS's.",
    remedy="Plan the move to a runtime that lasts, and set runtime to it.",
    level=Level.ADVISORY,
    defaults={"days": 180},
    settings={"days": "days before its deprecation from which on a runtime is told of"},
)
def function_runtime_lasting(function: Resource, stack: Stack) -> Iterator[str]:
    runtime = _runtime(function)
    end = DEPRECATED.get(runtime)
    if end is None or end <= stack.today:
        raise NotApplicable  # nothing is known of its end, or it is over, which is another rule's
    if end <= stack.today + timedelta(days=stack.settings["days"]):
        yield f"runtime is {runtime}, deprecated from {end} on"


@rule(
    "function-failures-kept",
    FUNCTION,
    about="What a function fails on ends in a queue or topic, whoever calls it",
    reason="Lambda gives up an event after its last try, and without a destination it is gone with no trace.",
    remedy="Give the function a FunctionEventInvokeConfig with destinationConfig.onFailure, its source queue a"
    " redrivePolicy, its stream's EventSourceMapping a destinationConfig.onFailure.",
    related=True,
)
def function_failures_kept(function: Resource, stack: Stack) -> Iterator[str]:
    sources = event_sources(function, stack)
    waiting = _waiting(function, stack)
    events = _events(function, stack)
    if waiting and not sources and not events:
        raise NotApplicable  # whoever calls it learns that it failed
    # One that nobody here calls is called from elsewhere; how, is not known.
    if (events or not sources) and not _destination(function, stack):
        yield (
            "neither destinationConfig.onFailure of a FunctionEventInvokeConfig nor deadLetterConfig says where failed"
            " events go"
        )
    for source in sources:
        if of_queue(source):
            queue = the(stack, QUEUE, "arn", value(source, "eventSourceArn"))
            # A queue of somebody else's is theirs to keep.
            if queue and not value(queue, "redrivePolicy"):
                yield f"its source Queue {queue.name} has no redrivePolicy"
        elif not value(source, "destinationConfig.onFailure.destinationArn"):
            yield f"EventSourceMapping {source.name} has no destinationConfig.onFailure"


@rule(
    "function-concurrency-bounded",
    FUNCTION,
    about="Something bounds how often a function runs at a time",
    reason="A flood of calls, or a loop, would take all of the account's concurrency and cost what it likes.",
    remedy="Set reservedConcurrentExecutions, or scalingConfig.maximumConcurrency of its queue's EventSourceMapping, or"
    " say in policies/config why it needs none.",
    related=True,
    defaults={"unbounded": {}},
    settings={"unbounded": "functions that need no bound, by name, with the reason"},
)
def function_concurrency_bounded(function: Resource, stack: Stack) -> Iterator[str]:
    if function.name in stack.settings["unbounded"]:
        raise NotApplicable
    reserved = value(function, "reservedConcurrentExecutions")
    # Minus one is the API's word for no reservation; zero stops the function.
    if reserved is not None and reserved >= 0:
        return
    sources = event_sources(function, stack)
    for source in sources:
        # A stream has a bound of its own: its shards.
        if of_queue(source) and not value(source, "scalingConfig.maximumConcurrency"):
            yield f"EventSourceMapping {source.name} sets no scalingConfig.maximumConcurrency"
    # A schedule calls once a time.
    if _permitted(function, stack) or _urls(function, stack) or not (sources or _schedules(function, stack)):
        yield "reservedConcurrentExecutions is not set, and nothing bounds who calls it"


@rule(
    "function-log-group",
    FUNCTION,
    about="Functions log to a log group that the stack declares",
    reason="A log group that Lambda makes itself has no retention and no tags, and outlives the stack.",
    remedy="Declare a LogGroup with retentionInDays, and name it in loggingConfig.logGroup.",
    related=True,
)
def function_log_group(function: Resource, stack: Stack) -> Iterator[str]:
    name = value(function, "loggingConfig.logGroup") or f"/aws/lambda/{value(function, 'name')}"
    if not the(stack, LOG_GROUP, "name", name):
        yield f"it logs to {name}, which is no LogGroup of the stack"


@rule(
    "mapping-hides-messages",
    MAPPING,
    about=f"A queue hides a received message for {VISIBILITY} times the timeout of the function that handles it",
    reason="A message that shows again while Lambda still works on its batch, or waits to try, is handled twice.",
    remedy="Raise the queue's visibilityTimeoutSeconds, or lower the function's timeout.",
    related=True,
)
def mapping_hides_messages(mapping: Resource, stack: Stack) -> Iterator[str]:
    queue = the(stack, QUEUE, "arn", str(value(mapping, "eventSourceArn")))
    function = the(stack, FUNCTION, "name", function_name(value(mapping, "functionName")))
    if queue is None or function is None:
        raise NotApplicable  # no queue, or not all of it is this stack's to decide
    hidden = value(queue, "visibilityTimeoutSeconds")
    hidden = VISIBILITY_SECONDS if hidden is None else hidden
    longest = value(function, "timeout") or TIMEOUT_SECONDS
    if hidden < VISIBILITY * longest:
        yield (
            f"visibilityTimeoutSeconds of Queue {queue.name} is {hidden}, less than {VISIBILITY} times the {longest} s"
            f" that Function {function.name} may take"
        )


@rule(
    "mapping-reports-failures",
    MAPPING,
    about="A function that is handed batches from a queue answers which messages failed",
    reason="Otherwise one bad message sends its whole batch back, and what succeeded is done again.",
    remedy='Set functionResponseTypes to ["ReportBatchItemFailures"], and let the handler return batchItemFailures.',
)
def mapping_reports_failures(mapping: Resource, _: Stack) -> Iterator[str]:
    if not of_queue(mapping) or value(mapping, "batchSize") == 1:
        raise NotApplicable
    if "ReportBatchItemFailures" not in (value(mapping, "functionResponseTypes") or ()):
        yield "functionResponseTypes has no ReportBatchItemFailures"


def _runtime(function: Resource) -> str:
    """Raises NotApplicable: the function is an image, which brings its own."""
    if value(function, "packageType") == "Image":
        raise NotApplicable
    return str(value(function, "runtime"))


def _destination(function: Resource, stack: Stack) -> bool:
    """Whether events that failed every try go anywhere."""
    configs = having(stack, INVOKE_CONFIG, "functionName", naming(function))
    kept = any(value(each, "destinationConfig.onFailure.destination") for each in configs)
    return kept or bool(value(function, "deadLetterConfig.targetArn"))


def _permitted(function: Resource, stack: Stack) -> list[Resource]:
    return having(stack, PERMISSION, "function", naming(function))


def _schedules(function: Resource, stack: Stack) -> list[Resource]:
    return having(stack, SCHEDULE, "target.arn", naming(function))


def _urls(function: Resource, stack: Stack) -> list[Resource]:
    return having(stack, URL, "functionName", naming(function))


def _waiting(function: Resource, stack: Stack) -> bool:
    """Whether anybody calls the function and waits for its answer."""
    return bool(_urls(function, stack)) or any(
        value(each, "principal") in SYNCHRONOUS for each in _permitted(function, stack)
    )


def _events(function: Resource, stack: Stack) -> bool:
    """Whether anybody hands the function events and does not wait."""
    return bool(_schedules(function, stack)) or any(
        value(each, "principal") not in SYNCHRONOUS for each in _permitted(function, stack)
    )

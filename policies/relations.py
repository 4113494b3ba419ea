"""Which resource another one is about: a policy its queue, an alarm its queue, a redrive policy its dead-letter queue.

A property names a resource by its ARN, id or name. At a preview none of these may be known; then the engine's
dependencies say what the property is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from observability.program.resources import Resource
from policies.callers import function_name
from policies.model import Stack, Unknown, document, value


def names(resource: Resource, path: str, other: Resource, key: str = "") -> bool:
    """Whether a property, or what is under a key of the JSON in it, is the ARN, id or name of another resource.

    Raises:
        Unknown: what is known does not tell.
    """
    try:
        given = (document(resource, path) or {}).get(key) if key else value(resource, path)
    except Unknown:
        return _made_of(resource, path, other)
    known = (other.id, other.outputs.get("arn"), other.outputs.get("name"))
    return isinstance(given, str) and (given in known or function_name(given) in known)


def _made_of(resource: Resource, path: str, other: Resource) -> bool:
    """Whether a property of which nothing is known is made of `other`: plain where a resource depends on one of its
    type, or on others of its type alone."""
    kin = [urn for urn in resource.dependencies if urn.split("::")[2].endswith(other.type)]
    if not kin or (other.urn in kin and len(kin) > 1):
        raise Unknown(path)
    return other.urn in kin


def which(resources: Iterable[Resource], holds: Callable[[Resource], bool]) -> list[Resource]:
    """Those of which something holds. Raises Unknown: of none, as far as is known, and of one it is not known."""
    found, unknown = [], None
    for each in resources:
        try:
            if holds(each):
                found.append(each)
        except Unknown as error:
            unknown = error
    if unknown and not found:
        raise unknown
    return found


# Policies of resources

QUEUE: Final = "aws:sqs/queue:Queue"
TOPIC: Final = "aws:sns/topic:Topic"
BUCKETS: Final = ("aws:s3/bucket:Bucket", "aws:s3/bucketV2:BucketV2")

_POLICIES: Final[Mapping[str, tuple[str, str]]] = {
    QUEUE: ("aws:sqs/queuePolicy:QueuePolicy", "queueUrl"),
    TOPIC: ("aws:sns/topicPolicy:TopicPolicy", "arn"),
    **dict.fromkeys(BUCKETS, ("aws:s3/bucketPolicy:BucketPolicy", "bucket")),
}
"""The resource that is a policy of another, and the property by which it names it."""


def resource_policies(resource: Resource, stack: Stack) -> list[dict[str, Any]]:
    """The policy documents of a queue, topic or bucket: its own, and those that are resources beside it.

    Raises:
        Unknown: one of them, or whether one is this resource's.
    """
    type_, key = _POLICIES[resource.type]
    attached = which(stack.of(type_), lambda each: names(each, key, resource))
    return [found for each in (resource, *attached) if (found := document(each, "policy"))]

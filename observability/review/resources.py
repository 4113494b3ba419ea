"""What a change does to a stack's resources: what is added, changed, replaced, removed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from observability.program.resources import Recording, Resource
from observability.program.runner import qualified
from observability.review.differences import ABSENT, Edit, edits
from observability.review.replacement import forced_by

PROVIDER: Final = "pulumi:providers:"


class Fate(StrEnum):
    """What becomes of a resource, the worst first."""

    REMOVED = "removed"
    REPLACED = "replaced"
    CHANGED = "changed"
    ADDED = "added"


HOLDS: Final[Mapping[str, str]] = {
    "backup/vault": "the backups in it",
    "cloudwatch/logGroup": "the logs in it",
    "cognito/userPool": "its users",
    "dynamodb/table": "all its items",
    "ebs/volume": "what is on it",
    "ecr/repository": "the images in it",
    "efs/fileSystem": "the files on it",
    "elasticache/cluster": "what is in it",
    "elasticache/replicationGroup": "what is in it",
    "kinesis/stream": "the records in it",
    "kms/key": "whatever is encrypted with it",
    "opensearch/domain": "its indexes",
    "rds/cluster": "its databases",
    "rds/instance": "its databases",
    "redshift/cluster": "its databases",
    "route53/zone": "its name servers, which the domain's registrar points to",
    "s3/bucket": "the objects in it",
    "s3/bucketV2": "the objects in it",
    "secretsmanager/secret": "the secret",
    "sesv2/configurationSet": "whether it is paused, and what SES has yet to report of its emails",
    "sesv2/emailIdentity": "its verification and its DKIM keys: SES sends nothing until it has seen new DNS records",
    "sns/topic": "its subscriptions, and messages on their way",
    "sqs/queue": "the messages in it",
    "ssm/parameter": "its value",
    "timestreamwrite/table": "its records",
}
"""What is lost with a resource of AWS, for those where that is not made again by the next deployment."""

CONFIRMED: Final = frozenset({"email", "email-json", "http", "https"})
"""Protocols of SNS whose receivers have to confirm a subscription (SNS API reference, Subscribe)."""

OPTIONS: Final = ("protect", "retain_on_delete", "delete_before_replace", "ignore_changes", "replace_on_changes")
"""Resource options that change what a later deployment may do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What becomes of one resource.

    Attributes:
        before, after: None where there is none.
        edits: of its inputs, then of its options (`option protect`).
        forced_by: the properties that force another resource.
        follows: resources that are replaced, and are named in it.
        formerly: its name, where an alias says that it had another.
    """

    fate: Fate
    before: Resource | None = None
    after: Resource | None = None
    edits: tuple[Edit, ...] = ()
    forced_by: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    formerly: str = ""

    @property
    def resource(self) -> Resource:
        """As it is, or was."""
        found = self.after or self.before
        if found is None:
            raise ValueError("a change is of a resource")
        return found

    @property
    def label(self) -> str:
        return label(self.resource)

    @property
    def lost(self) -> str:
        """What is lost with it, in words; "" where nothing is."""
        if self.fate not in {Fate.REMOVED, Fate.REPLACED} or self.before is None or self.before.retain_on_delete:
            return ""
        return lost_with(self.before)

    @property
    def refused(self) -> bool:
        """Whether the Pulumi CLI will refuse it, as the resource is protected."""
        return self.fate in {Fate.REMOVED, Fate.REPLACED} and self.before is not None and self.before.protect


def lost_with(resource: Resource) -> str:
    """What is lost with a resource, in words; "" where nothing is."""
    match _module(resource.type), resource.inputs:
        case "sns/topicSubscription", {"protocol": str(protocol)} if protocol in CONFIRMED:
            return "its confirmation, which its receiver has to give again"
        case "lambda/eventSourceMapping", {"startingPosition": _}:
            return "its place in the stream"
        case module, _:
            return HOLDS.get(module, "")


def label(resource: Resource) -> str:
    """What a page calls it: `Queue orders`."""
    if resource.type.startswith(PROVIDER):
        return f"provider {resource.name}"
    return f"{resource.kind} {resource.name}"


def changes(before: Recording, after: Recording) -> tuple[Changed, ...]:
    """What becomes of every resource that does not stay as it is; the worst first, then by type and name.

    Components are passed over: what they are made of says it all.
    """
    pairs, gone, come = matched(before.resources, after.resources)
    found = [Changed(fate=Fate.REMOVED, before=each) for each in gone if _counts(each)]
    found += [Changed(fate=Fate.ADDED, after=each) for each in come if _counts(each)]
    compared = [_compared(one, other) for one, other in pairs if _counts(other)]
    found += [each for each in _followed(compared) if each]
    order = [*Fate]
    return tuple(sorted(found, key=lambda each: (order.index(each.fate), each.resource.type, each.resource.name)))


def _counts(resource: Resource) -> bool:
    return resource.custom and not resource.external


def _compared(before: Resource, after: Resource) -> Changed:
    """The pair, with its edits; one without any is dropped later, if it does not follow another."""
    found = [
        edit for edit in _edits_of(before, after) if not any(_within(edit.path, each) for each in after.ignore_changes)
    ]
    forced = forced_by(after, [edit.path for edit in found])
    if before.provider.rpartition("::")[0] != after.provider.rpartition("::")[0]:
        found.append(Edit("option provider", _name(before.provider), _name(after.provider)))
    for option in OPTIONS:
        found += edits(_option(before, option), _option(after, option), f"option {_camel(option)}")
    return Changed(
        fate=Fate.REPLACED if forced else Fate.CHANGED,
        before=before,
        after=after,
        edits=tuple(found),
        forced_by=forced,
        formerly=before.name if before.name != after.name else "",
    )


def _edits_of(before: Resource, after: Resource) -> Iterator[Edit]:
    secret = {*before.secrets} ^ {*after.secrets}
    yield from edits(before.inputs, after.inputs)
    for path in sorted(secret):
        yield Edit(f"{path}", *(("secret", "in clear text") if path in before.secrets else ("in clear text", "secret")))


def _option(resource: Resource, name: str) -> Any:
    value = getattr(resource, name)
    return list(value) or ABSENT if isinstance(value, tuple) else value if value is not None else ABSENT


def _followed(pairs: Sequence[Changed]) -> Iterator[Changed | None]:
    """The pairs, with those that name a resource which is replaced: its new name or ARN will not be the old one."""
    found = list(pairs)
    replaced: dict[str, tuple[Changed, frozenset[str]]] = {}
    while new := [each for each in found if each.fate is Fate.REPLACED and each.resource.urn not in replaced]:
        replaced |= {each.resource.urn: (each, _identities(each.resource)) for each in new}
        found = [_follower(each, replaced) for each in found]
    yield from (each if each.edits or each.follows or each.formerly else None for each in found)


def _follower(changed: Changed, replaced: Mapping[str, tuple[Changed, frozenset[str]]]) -> Changed:
    resource = changed.resource
    named: dict[str, list[str]] = {}
    for urn in resource.dependencies:
        if urn in replaced and urn != resource.urn:
            other, identities = replaced[urn]
            if paths := [key for key, value in resource.inputs.items() if _mentions(value, identities)]:
                named[other.label] = paths
    forced = forced_by(resource, [path for paths in named.values() for path in sorted(paths)])
    return replace(
        changed,
        fate=Fate.REPLACED if forced or changed.forced_by else changed.fate,
        forced_by=tuple(dict.fromkeys([*changed.forced_by, *forced])),
        follows=tuple(sorted(named)),
    )


def _identities(resource: Resource) -> frozenset[str]:
    """What others know a resource by, as far as its provider says it and not the program."""
    told = [resource.id, *(resource.outputs.get(key) for key in ("arn", "url", "name", "qualifiedArn", "invokeArn"))]
    return frozenset(each for each in told if isinstance(each, str) and each)


def _mentions(value: Any, identities: frozenset[str]) -> bool:
    """Whether a property is one of these texts, or contains one that is long enough not to be there by chance."""
    if isinstance(value, str) and value in identities:
        return True
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return any(f'"{each}"' in text or (":" in each and each in text) for each in identities)


# Which resource was which


def matched(
    before: Sequence[Resource], after: Sequence[Resource]
) -> tuple[list[tuple[Resource, Resource]], list[Resource], list[Resource]]:
    """Pairs of what is the same resource, by URN or alias; what is gone; what is new."""
    left = {each.urn: each for each in before}
    was: dict[str, str] = {}
    pairs: list[tuple[Resource, Resource]] = []
    come: list[Resource] = []
    same = [each for each in after if each.urn in left]
    pairs += [(left.pop(each.urn), each) for each in same]
    was |= {each.urn: each.urn for each in same}
    # A parent comes before its children, whose own former URNs follow from its.
    others = sorted((each for each in after if each.urn not in was), key=lambda each: each.urn.count("$"))
    for each in others:
        urn = next((urn for urn in _former(each, was) if urn in left), "")
        if urn:
            pairs.append((left.pop(urn), each))
            was[each.urn] = urn
        else:
            come.append(each)
            # Components have no state of their own, and may be matched only by an alias that nothing else has.
            if each.aliases:
                was[each.urn] = each.aliases[0]
    return pairs, list(left.values()), come


def _former(resource: Resource, was: Mapping[str, str]) -> Iterator[str]:
    """The URNs that it may have had: by its aliases, or by those of its parent, whose name its own may begin with."""
    yield from resource.aliases
    if parent := was.get(resource.parent):
        start = resource.urn.split("::")[:2]
        name, new, old = resource.name, _name(resource.parent), _name(parent)
        name = old + name.removeprefix(new) if name.startswith(new) else name
        yield "::".join([*start, qualified(parent, resource.type), name])


def _name(urn: str) -> str:
    """The last part of a URN, or of a reference to a provider, which is followed by an id."""
    parts = urn.split("::")
    return parts[3] if len(parts) > 3 else urn


def _within(path: str, ignored: str) -> bool:
    parts, of = (re.findall(r"[^.\[\]]+", each) for each in (path, ignored))
    return len(of) <= len(parts) and all(two in {"*", one} for one, two in zip(parts, of, strict=False))


def _module(type_: str) -> str:
    return type_.split(":")[1] if type_.startswith("aws:") and type_.count(":") == 2 else ""


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)

"""The policies of whoever deploys, from the resource types that the program registers: `python -m bootstrap.deployer`.

For each stack, in `bootstrap/policies/<stack>/`: what its deployer may do (a file for each of `policies` in
actions.yaml), what a preview may (`preview.json`), and what the roles that the program makes can do at most
(`boundary.json`). The files are kept in the repository, so that a pull request shows what rights it takes.

And `policy-config.json`, by which the policy pack judges bootstrap: which actions are on every resource, and why.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

from bootstrap.actions import ACTIONS, EVERY, Json, Table, read_table
from observability.errors import ToolkitError
from observability.program import Recording, Resource, record

ROOT: Final = Path(__file__).resolve().parent.parent
POLICIES: Final = ROOT / "bootstrap" / "policies"
RULES: Final = ROOT / "bootstrap" / "policy-config.json"
STACKS: Final = ("dev", "prod")
"""The stacks that workflows deploy."""

LIMIT: Final = 6144
"""Characters of a managed policy, white space not counted.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""

AT_LENGTH: Final[Mapping[str, str]] = {
    "partition": "aws-us-gov",
    "region": "ap-southeast-2",
    "account": "123456789012",
}
"""What bootstrap fills in, as long as it gets."""

VERSION: Final = "2012-10-17"
_ROLE: Final = "role"
_ACCESS: Final = "iam"
_ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
_ATTACHMENT: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"


def policies(recording: Recording, table: Table) -> dict[str, Json]:
    """The policy documents of one stack, by name: those of the deployer, `preview` and `boundary`.

    Raises:
        ToolkitError: a type that the stack registers has no row.
    """
    made = _registered(recording)
    if unknown := sorted(made.keys() - table.types.keys()):
        raise ToolkitError(
            f"stack {recording.stack!r} registers what {ACTIONS.name} does not know: {', '.join(unknown)}",
            "Add a row with the actions that deploying it takes.",
        )
    writing, reading = _Statements(recording, table), _Statements(recording, table)
    for type_, resources in made.items():
        for grant in table.types[type_]:
            writing.add(grant.scope, grant.when, grant.read + grant.write, resources)
            reading.add(grant.scope, grant.when, grant.read, resources)
    for grant in table.gate:
        writing.add(grant.scope, grant.when, grant.read + grant.write, recording.resources)
    passed = sorted({grant.passes for type_ in made for grant in table.types[type_] if grant.passes})
    documents = {
        name: _document(writing.of(services) + (_access(recording, table, passed) if _ACCESS in services else []))
        for name, services in table.policies.items()
    }
    return {
        **{name: document for name, document in documents.items() if document["Statement"]},
        "preview": _document(reading.of(())),
        "boundary": _document(_boundary(recording, table)),
    }


def files(recordings: Iterable[Recording], table: Table) -> dict[Path, str]:
    """The text of every file, by its path; raises ToolkitError as `policies` does, and for one that is too long."""
    found: dict[Path, str] = {}
    for recording in recordings:
        for name, document in policies(recording, table).items():
            path = POLICIES / recording.stack / f"{name}.json"
            if (length := size(document)) > LIMIT:
                raise ToolkitError(
                    f"{path.relative_to(ROOT)} would have {length} characters, a managed policy has {LIMIT}",
                    f"Divide its services over two of `policies` in {ACTIONS.name}.",
                )
            found[path] = _text(document)
    # Two keys and some kilobytes of state need no budget of their own.
    found[RULES] = _text({"no-star-resource": {"allowed": table.reasons}, "stack-has-budget": "disabled"})
    return found


def size(document: Json) -> int:
    """Characters of a document as IAM counts them, with the longest names filled in."""
    return len(Template(json.dumps(document, separators=(",", ":"))).substitute(AT_LENGTH))


class _Statements:
    """Actions, collected by what they are on and when."""

    def __init__(self, recording: Recording, table: Table) -> None:
        self._recording, self._table = recording, table
        self._found: dict[tuple[tuple[str, ...], str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))

    def add(self, on: tuple[str, ...], when: str, actions: Sequence[str], resources: Sequence[Resource]) -> None:
        if not actions:
            return
        arns, allowed = self._found[on, when]
        arns.update(arn for name in on for arn in _arns(self._table.resources[name], self._recording, resources))
        allowed.update(actions)

    def of(self, services: Sequence[str]) -> list[Json]:
        """The statements of some services; of all, where none is named."""
        statements = []
        for (on, when), (arns, actions) in sorted(self._found.items()):
            chosen = sorted(action for action in actions if not services or action.split(":")[0] in services)
            if chosen:
                condition = _filled(self._table.conditions[when], self._recording) if when else {}
                statements.append(_allow(_sid(*on, *(["when", when] if when else [])), chosen, arns, condition))
        return statements


def _access(recording: Recording, table: Table, passed: Sequence[str]) -> list[Json]:
    """Handing roles to services; and what no deployer may, whatever else is allowed.

    Names alone do not tell two stacks in one account apart, so what carries another's tags is out of bounds.
    """
    another = {
        "StringEquals": {"aws:ResourceTag/project": recording.project},
        "StringNotEquals": {"aws:ResourceTag/stack": recording.stack},
    }
    roles = _arns(table.resources[_ROLE], recording, ())
    to_services = {"StringEquals": {"iam:PassedToService": list(passed)}}
    handed = [_allow("PassRole", ["iam:PassRole"], roles, to_services)] if passed else []
    return [
        *handed,
        {"Sid": "NotOfAnotherStack", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": another},
    ]


def _boundary(recording: Recording, table: Table) -> list[Json]:
    """What all roles of a stack may do together, on what the table keeps each service to."""
    collected = _Statements(recording, table)
    for action in sorted(_of_roles(recording, table)):
        service = action.split(":")[0]
        if action not in table.unbounded and service not in table.boundary:
            raise ToolkitError(
                f"stack {recording.stack!r} allows a role {action}, and {ACTIONS.name} does not say on what at most",
                f"Add {service!r} to `boundary`, or the action to `unbounded` with the reason.",
            )
        on = (EVERY,) if action in table.unbounded else table.boundary[service]
        collected.add(on, "", [action], recording.resources)
    return collected.of(())


def _of_roles(recording: Recording, table: Table) -> Iterator[str]:
    for resource in recording.all(_ROLE_POLICY):
        for statement in resource.document()["Statement"]:
            actions = statement["Action"]
            yield from [actions] if isinstance(actions, str) else actions
    for resource in recording.all(_ATTACHMENT):
        policy = str(resource.inputs["policyArn"]).rsplit("/", 1)[-1]
        if policy not in table.managed:
            raise ToolkitError(
                f"{resource.kind} {resource.name!r} attaches {policy}, which {ACTIONS.name} does not know",
                "Add to `managed` what the role needs of it.",
            )
        yield from table.managed[policy]


def _registered(recording: Recording) -> dict[str, list[Resource]]:
    """What is made with AWS, by type."""
    made: dict[str, list[Resource]] = defaultdict(list)
    for resource in recording.resources:
        if resource.type.startswith("aws:") and not resource.external:
            made[resource.type].append(resource)
    return dict(sorted(made.items()))


def _arns(pattern: str, recording: Recording, resources: Sequence[Resource]) -> set[str]:
    """A pattern with the project's and stack's name, once for each of the resources whose properties it names."""
    known = {name: f"${{{name}}}" for name in AT_LENGTH} | {"project": recording.project, "stack": recording.stack}
    template = Template(pattern)
    asked = set(template.get_identifiers()) - known.keys()
    found = [resource.inputs for resource in resources if asked <= resource.inputs.keys()] if asked else [{}]
    return {template.substitute(known, **{name: inputs[name] for name in asked}) for inputs in found}


def _filled(condition: Json, recording: Recording) -> Json:
    (text,) = _arns(json.dumps(condition), recording, ())
    filled: Json = json.loads(text)
    return filled


def _allow(sid: str, actions: Sequence[str], arns: Iterable[str], condition: Json) -> Json:
    on = sorted(arns)
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": on[0] if len(on) == 1 else on,
        **({"Condition": condition} if condition else {}),
    }


def _text(content: Json) -> str:
    return json.dumps(content, indent=2) + "\n"


def _document(statements: Sequence[Json]) -> Json:
    return {"Version": VERSION, "Statement": list(statements)}


def _sid(*names: str) -> str:
    return "".join(part.capitalize() for name in names for part in name.split("-"))


def main() -> None:
    """Writes the files anew, and removes those that no stack has any more."""
    try:
        found = files((record(ROOT, stack) for stack in STACKS), read_table())
    except ToolkitError as error:
        sys.exit(str(error))
    for path in set(POLICIES.glob("*/*.json")) - found.keys():
        path.unlink()
    for path, text in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{len(found)} files in {POLICIES.relative_to(ROOT)} and beside it")


if __name__ == "__main__":
    main()

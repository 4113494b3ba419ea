"""A SendEmail request, read: who writes what to whom, whichever of the three forms its content has."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from typing import Any, Final

from local.twin.mail import Header, headers, simple_mime

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_TEMPLATE_PARTS: Final = ("Subject", "Text", "Html")


@dataclass(frozen=True, slots=True)
class RenderingFailure:
    """SES accepts a templated mail before it renders it; what goes wrong then is an event."""

    template: str
    message: str


@dataclass(frozen=True, slots=True)
class SendRequest:
    """`raw` is the MIME text as given, or as SES makes it. `operation` is the action that SES counts the call as."""

    source: str
    recipients: tuple[str, ...]
    tags: Sequence[Mapping[str, Any]]
    configuration_set: str | None
    raw: bytes
    headers: tuple[Header, ...]
    operation: str
    failure: RenderingFailure | None = None


def template_name(data: Mapping[str, Any]) -> str | None:
    """The stored template that the request names, if it does."""
    template = data.get("Content", {}).get("Template", {})
    return template.get("TemplateName") or str(template.get("TemplateArn", "")).rpartition("/")[2] or None


def read(data: Mapping[str, Any], stored_template: Mapping[str, str] | None) -> SendRequest:
    """The request in a SendEmail body. `stored_template` is the content of the template named, if there is one.

    Raises ValueError where the body is not what the API's model says.
    """
    content = data.get("Content", {})
    destination = data.get("Destination", {})
    source = data.get("FromEmailAddress", "")
    failure = None
    if "Raw" in content:
        raw, operation = _decoded(content["Raw"].get("Data", "")), "SendRawEmail"
    elif "Template" in content:
        simple, failure = _rendered(content["Template"], stored_template)
        raw, operation = _made(source, simple, data), "SendTemplatedEmail"
    else:
        raw, operation = _made(source, content.get("Simple", {}), data), "SendEmail"
    quoted = tuple(headers(raw))
    named = {name.lower(): value for name, value in quoted}
    envelope = [address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses") or ()]
    written = [address for _, address in getaddresses([named.get(kind, "") for kind in ("to", "cc", "bcc")]) if address]
    return SendRequest(
        source=source or named.get("from", ""),
        recipients=tuple(envelope or written),
        tags=data.get("EmailTags") or _header_tags(named.get("x-ses-message-tags", "")),
        configuration_set=data.get("ConfigurationSetName") or named.get("x-ses-configuration-set"),
        raw=raw,
        headers=quoted,
        operation=operation,
        failure=failure,
    )


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"Content.Raw.Data is not base64: {error}") from error


def _made(source: str, simple: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    return simple_mime(source, simple, data.get("Destination", {}), data.get("ReplyToAddresses") or ())


def _header_tags(value: str) -> list[dict[str, str]]:
    pairs = (part.partition("=") for part in value.split(",") if part.strip())
    return [{"Name": name.strip(), "Value": content.strip()} for name, _, content in pairs]


def _rendered(
    template: Mapping[str, Any], stored: Mapping[str, str] | None
) -> tuple[dict[str, Any], RenderingFailure | None]:
    """`Content.Simple` made of a template, and the failure if its data lacks something."""
    name = template.get("TemplateName") or str(template.get("TemplateArn", "")).rpartition("/")[2]
    parts: Mapping[str, str] = stored or template.get("TemplateContent") or {}
    values = json.loads(template.get("TemplateData") or "{}")
    text = {part: parts.get(part) or "" for part in _TEMPLATE_PARTS}
    missing = next((key for part in text.values() for key in _PLACEHOLDER.findall(part) if key not in values), None)
    if missing is not None:
        failure = RenderingFailure(name, f"Attribute '{missing}' is not present in the rendering data.")
        return {}, failure
    filled = {part: _PLACEHOLDER.sub(lambda found: str(values[found[1]]), its) for part, its in text.items()}
    body = {part: {"Data": filled[part]} for part in ("Text", "Html") if filled[part]}
    return {"Subject": {"Data": filled["Subject"]}, "Body": body}, None

from __future__ import annotations

import base64
import json
from email import message_from_bytes, policy
from typing import Any

import pytest

from local.twin.request import RenderingFailure, read, template_name

RAW = (
    b"From: Shop <shop@b.example>\r\nTo: Jane <jane@example.net>, j@example.net\r\nCc: c@example.net\r\n"
    b"X-SES-CONFIGURATION-SET: fallback\r\nX-SES-MESSAGE-TAGS: a=1, b=2\r\nSubject: hello\r\n\r\nbody\r\n"
)


def raw(**rest: Any) -> dict[str, Any]:
    return {"Content": {"Raw": {"Data": base64.b64encode(RAW).decode()}}, **rest}


def test_raw_content_is_what_was_given() -> None:
    request = read(
        raw(
            FromEmailAddress="me@b.example",
            Destination={"ToAddresses": ["x@example.net"], "BccAddresses": ["y@example.net"]},
            ConfigurationSetName="set",
            EmailTags=[{"Name": "order", "Value": "1"}],
        ),
        None,
    )
    assert (request.raw, request.source, request.operation) == (RAW, "me@b.example", "SendRawEmail")
    assert request.recipients == ("x@example.net", "y@example.net"), "the envelope, not the headers"
    assert (request.configuration_set, request.tags) == ("set", [{"Name": "order", "Value": "1"}])


def test_what_the_call_leaves_out_the_headers_of_raw_content_say() -> None:
    request = read(raw(), None)
    assert request.source == "Shop <shop@b.example>"
    assert request.recipients == ("jane@example.net", "j@example.net", "c@example.net")
    assert request.configuration_set == "fallback"
    assert request.tags == [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"Raw": {"Data": "not base64!"}}, "is not base64"),
        ({"Template": {"TemplateData": "{"}}, "Expecting property name"),
    ],
)
def test_content_that_cannot_be_read_is_an_error_of_the_request(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read({"Content": content}, None)


def template(values: dict[str, str], **named: Any) -> dict[str, Any]:
    return {
        "FromEmailAddress": "shop@b.example",
        "Destination": {"ToAddresses": ["jane@example.net"]},
        "Content": {"Template": {"TemplateData": json.dumps(values), **named}},
    }


def test_a_template_is_filled_in() -> None:
    stored = {"Subject": "Hi {{ name }}", "Text": "Dear {{name}}", "Html": ""}
    request = read(template({"name": "Jane"}, TemplateName="welcome"), stored)
    message = message_from_bytes(request.raw, policy=policy.default)
    assert (message["Subject"], message.get_content().strip()) == ("Hi Jane", "Dear Jane")
    assert (request.operation, request.failure) == ("SendTemplatedEmail", None)


def test_a_template_that_lacks_data_is_accepted_and_fails_later() -> None:
    request = read(template({}, TemplateName="welcome"), {"Subject": "Hi {{name}}", "Text": "", "Html": ""})
    assert request.failure == RenderingFailure("welcome", "Attribute 'name' is not present in the rendering data.")


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ({"TemplateName": "welcome"}, "welcome"),
        ({"TemplateArn": "arn:aws:ses:us-east-1:123456789012:template/welcome"}, "welcome"),
        ({"TemplateContent": {"Subject": "x"}}, None),
    ],
)
def test_a_stored_template_is_known_by_name_or_arn(named: dict[str, Any], name: str | None) -> None:
    assert template_name(template({}, **named)) == name

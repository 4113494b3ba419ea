"""Paging: alarms reach `notify`, what it says reaches people, and its own failures do not need it."""

from __future__ import annotations

import json

import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components.checks import ArgumentsError
from components.paging import Paging, PagingArgs
from components.watch import Graph, Severity, Watch
from handlers.environment import Notify
from handlers.paging.retrying import retry_after
from tests.components import parts
from tests.components.recorder import Recorder, queue_url, record, watch_of

BASE = "us-east-1:123456789012"
QUEUE = f"arn:aws:sqs:{BASE}:shop-notify"
HOOK = "https://hooks.example.com/s3cr3t"
SLACK = {"workspace_id": "T0123ABCD", "channel_id": "C0123ABCD"}
TEAMS = {"tenant_id": "tenant", "team_id": "team", "channel_id": "19%3aabc%40thread.tacv2"}


def args(**changes: object) -> PagingArgs:
    return {
        "runtime": parts.runtime(),
        "log_groups": ["/aws/lambda/shop-send-email", "/aws/lambda/shop-record-feedback"],
        **changes,  # type: ignore[typeddict-item]
    }


def built(**changes: object) -> Recorder:
    return record(lambda: Paging("shop", args(**changes)))[0]


def environment(**changes: object) -> dict[str, str]:
    """The function's variables."""
    variables = built(**changes).one("Function").inputs["environment"]["variables"]
    assert isinstance(variables, dict)
    return variables


def topic(label: str) -> str:
    return f"arn:aws:sns:{BASE}:shop-{label}"


# ---- Who may tell it ----


@pytest.mark.parametrize("label", ["alarms", "page"])
def test_only_alarms_of_this_account_may_publish(label: str) -> None:
    statements = built().one("TopicPolicy", f"shop-{label}").statements()
    assert statements.keys() == {"OnlyFromSource", "DenyPlainHttp"}
    publish = statements["OnlyFromSource"]
    assert publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert (publish["Action"], publish["Resource"]) == ("sns:Publish", topic(label))
    assert publish["Condition"] == {
        "ArnEquals": {"aws:SourceArn": [f"arn:aws:cloudwatch:{BASE}:alarm:*"]},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }


def test_nobody_but_the_accounts_own_roles_may_publish_tickets() -> None:
    assert built().one("TopicPolicy", "shop-ticket").statements().keys() == {"DenyPlainHttp"}


def test_the_topics_are_ones_that_cloudwatch_can_publish_to() -> None:
    """The AWS-managed key of SNS does not let CloudWatch in: alarms would fail to tell, silently."""
    assert not any("kmsMasterKeyId" in each.inputs for each in built().all("Topic"))


def test_an_emulator_without_tls_can_be_published_to() -> None:
    recorder = built(require_tls=False)
    assert recorder.names("TopicPolicy") == ["shop-alarms", "shop-page"]
    assert recorder.one("TopicPolicy", "shop-page").statements().keys() == {"OnlyFromSource"}


# ---- What it may do ----


def test_the_role_may_tell_look_up_and_put_back_and_nothing_else() -> None:
    own = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/shop-"
    assert built().allowed("shop-notify") == {
        "dynamodb:UpdateItem": [parts.CONTROL],
        "sns:Publish": [topic("page"), topic("ticket")],
        "sqs:SendMessage": [QUEUE],
        "sqs:ChangeMessageVisibility": [QUEUE],
        "sqs:DeleteMessage": [QUEUE],
        "sqs:GetQueueAttributes": [QUEUE],
        "sqs:ReceiveMessage": [QUEUE],
        "cloudwatch:DescribeAlarmHistory": [f"arn:aws:cloudwatch:{BASE}:alarm:*"],
        "logs:FilterLogEvents": [
            f"{own}send-email",
            f"{own}send-email:*",
            f"{own}record-feedback",
            f"{own}record-feedback:*",
        ],
        "logs:CreateLogStream": [f"{own}notify:*"],
        "logs:PutLogEvents": [f"{own}notify:*"],
        "xray:PutTelemetryRecords": "*",
        "xray:PutTraceSegments": "*",
    }


def test_without_log_groups_it_may_read_no_log() -> None:
    assert "logs:FilterLogEvents" not in json.dumps(built(log_groups=[]).one("RolePolicy").document())


def test_the_function_is_told_exactly_what_it_reads() -> None:
    variables = environment(page_webhooks=[HOOK])
    assert variables.keys() == Notify.variables()
    env = Notify.read(variables)
    assert (env.page_topic_arn, env.ticket_topic_arn) == (topic("page"), topic("ticket"))
    assert env.queue_url == queue_url("shop-notify")
    assert env.receivers == {"page": [HOOK], "ticket": []}
    assert env.log_groups == ["/aws/lambda/shop-send-email", "/aws/lambda/shop-record-feedback"]
    assert built().one("Function").inputs["handler"] == "handlers.notify.handler"


def test_the_addresses_of_receivers_are_secrets() -> None:
    """In the stack's state and in every preview: whoever has one can post to it."""
    recorder = built(page_webhooks=[HOOK])
    assert "environment" in recorder.one("Function").secrets
    open_inputs = [each.inputs for each in recorder.resources if each.type != "aws:lambda/function:Function"]
    assert "s3cr3t" not in json.dumps(open_inputs, default=str)


def test_links_in_chat_are_for_the_platform_that_is_there() -> None:
    given: list[dict[str, object]] = [{}, {"slack": SLACK}, {"teams": TEAMS}, {"slack": SLACK, "teams": TEAMS}]
    assert [environment(chat=channels)["CHAT_PLATFORM"] for channels in given] == ["slack", "slack", "teams", "slack"]


# ---- How it retries ----


def test_a_receiver_that_is_down_for_a_quarter_of_an_hour_still_gets_its_page() -> None:
    policy = built().one("Queue", "shop-notify").document("redrivePolicy")
    tries = policy["maxReceiveCount"]
    assert policy["deadLetterTargetArn"] == f"{QUEUE}-dlq"
    assert sum(retry_after(receives) for receives in range(1, tries)) >= 15 * 60


def test_a_failed_message_comes_again_alone() -> None:
    inputs = built().one("EventSourceMapping").inputs
    assert inputs["functionResponseTypes"] == ["ReportBatchItemFailures"]
    assert inputs["scalingConfig"] == {"maximumConcurrency": 2}


# ---- Who is told ----


def test_people_are_mailed_by_sns_and_not_by_what_is_watched() -> None:
    recorder = built(page_emails=["on-call@shop.com"], ticket_emails=["team@shop.com", "on-call@shop.com"])
    mails = {each.name: each.inputs for each in recorder.all("TopicSubscription") if each.inputs["protocol"] == "email"}
    assert {name: (each["topic"], each["endpoint"]) for name, each in mails.items()} == {
        "shop-page-on-call@shop.com": (topic("page"), "on-call@shop.com"),
        "shop-ticket-team@shop.com": (topic("ticket"), "team@shop.com"),
        "shop-ticket-on-call@shop.com": (topic("ticket"), "on-call@shop.com"),
    }
    assert "ses" not in json.dumps(recorder.one("RolePolicy").document())


def test_chat_channels_get_both_with_a_role_that_may_only_look() -> None:
    recorder = built(chat={"slack": SLACK, "teams": TEAMS})
    slack = recorder.one("SlackChannelConfiguration").inputs
    teams = recorder.one("TeamsChannelConfiguration").inputs
    assert (slack["slackTeamId"], slack["slackChannelId"]) == ("T0123ABCD", "C0123ABCD")
    assert (teams["tenantId"], teams["teamId"], teams["channelId"]) == tuple(TEAMS.values())
    for channel in (slack, teams):
        assert channel["snsTopicArns"] == [topic("page"), topic("ticket")]
        assert channel["guardrailPolicyArns"] == ["arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"]
    attached = recorder.one("RolePolicyAttachment").inputs
    assert attached["policyArn"] == "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"
    trust = recorder.one("Role", "shop-chat").document("assumeRolePolicy")["Statement"][0]
    assert trust["Principal"] == {"Service": "chatbot.amazonaws.com"}


def test_without_chat_there_is_no_role_for_it() -> None:
    recorder = built()
    assert recorder.names("Role") == ["shop-notify"]
    assert not recorder.all("SlackChannelConfiguration")
    assert not recorder.all("TeamsChannelConfiguration")


def test_an_address_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ArgumentsError, match=r"page_emails has a@shop\.com twice; ticket_emails has b@shop\.com twice"):
        built(page_emails=["a@shop.com", "a@shop.com"], ticket_emails=["b@shop.com", "b@shop.com", "c@shop.com"])


# ---- Who watches it ----


def watched() -> Watch:
    return watch_of(lambda: Paging("shop", args()))


def test_what_keeps_it_from_telling_goes_past_it_and_wakes_somebody() -> None:
    past = {alarm.name for alarm in watched().alarms if alarm.unheard}
    assert past == {
        "notify-errors-page",
        "notify-throttles-page",
        "notify-waiting-page",
        "notify-dlq-not-empty-page",
    }
    assert {alarm.name for alarm in watched().alarms} - past == {"notify-slow-ticket"}
    assert not any(alarm.part_of for alarm in watched().alarms), "a composite would be told by notify"


def test_the_dead_letter_queue_is_watched_by_what_is_in_it() -> None:
    (dead,) = [alarm for alarm in watched().alarms if alarm.component == "notify-dlq"]
    assert dead.severity is Severity.PAGE
    assert (dead.threshold, dead.period, dead.comparison.value) == (1, 300, "GreaterThanOrEqualToThreshold")


def test_its_graphs_stand_together_and_show_the_alarms_as_they_are() -> None:
    watch = watched()
    assert {widget.section for widget in watch.widgets} == {"Paging"}
    lines = [alarm for widget in watch.widgets if isinstance(widget, Graph) for alarm in widget.lines]
    assert lines
    assert all(line in watch.alarms for line in lines)


# ---- As a package ----


def test_it_can_be_used_from_any_language() -> None:
    schema = Analyzer("mailroom").analyze([Paging])
    definition = schema["component_definitions"]["Paging"]
    assert {name for name, each in definition.inputs.items() if not each.optional} == {"runtime", "logGroups"}
    assert not [name for name, each in {**definition.inputs, **definition.outputs}.items() if not each.description]
    for name in ("SlackChannel", "TeamsChannel"):
        fields = schema["type_definitions"][name].properties
        assert fields
        assert not [field for field, each in fields.items() if not each.description]


def test_outputs_lead_to_topics_queue_and_function() -> None:
    assert record(lambda: Paging("shop", args()))[1] == {
        "alarms_topic_arn": topic("alarms"),
        "page_topic_arn": topic("page"),
        "ticket_topic_arn": topic("ticket"),
        "queue_arn": QUEUE,
        "queue_url": queue_url("shop-notify"),
        "dlq_arn": f"{QUEUE}-dlq",
        "dlq_url": queue_url("shop-notify-dlq"),
        "function_arn": f"arn:aws:lambda:{BASE}:function:shop-notify:live",
        "function_name": "shop-notify",
        "log_group_name": "/aws/lambda/shop-notify",
    }

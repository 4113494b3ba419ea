"""From alarms to people: the topic that CloudWatch tells, a function that makes it readable, topics for people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.checks import between, refuse, short_enough
from components.consumer import CONCURRENCY, TIMEOUT_SECONDS, HandlerRuntime, consume
from components.policy import Document, Statement, account_of, document, encrypted_transport_only, service_may, trust
from components.queues import SubscribedQueue
from components.watch import MINUTE, Alarm, Graph, LogTable, Severity, Watch

HANDLER: Final = "handlers.notify.handler"
# A storm of all alarms at once is some fifty messages, ten to an execution; the least that AWS allows is plenty.
MAXIMUM_CONCURRENCY: Final = 2
# With handlers.paging.retrying, a receiver that is down for up to a quarter of an hour still gets its page.
MAX_RECEIVE_COUNT: Final = 6
# Notifications are handled within seconds. An alarm that waits this long has told nobody.
WAITING: Final = 5 * MINUTE

CHATBOT: Final = "chatbot.amazonaws.com"
# AWS's own policy; both what the chat's role may do and the most that anybody in the channel may be given.
READ_ONLY: Final = "arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"


class SlackChannel(TypedDict):
    """A Slack channel, in a workspace that was authorized once in the console of Amazon Q Developer."""

    workspace_id: str
    """Id of the workspace, such as T0123ABCD."""

    channel_id: str
    """Id of the channel, such as C0123ABCD."""


class TeamsChannel(TypedDict):
    """A Microsoft Teams channel, in a team that was authorized once in the console of Amazon Q Developer."""

    tenant_id: str
    """Id of the tenant."""

    team_id: str
    """Id of the team."""

    channel_id: str
    """Id of the channel, URL-encoded as in the channel's link."""


class ChatChannels(TypedDict):
    """Chat channels that are told of pages and of tickets."""

    slack: NotRequired[SlackChannel]
    """A Slack channel."""

    teams: NotRequired[TeamsChannel]
    """A Microsoft Teams channel."""


class PagingArgs(TypedDict):
    """Who is told of alarms, and how."""

    runtime: HandlerRuntime
    """The code that the function runs on."""

    log_groups: list[pulumi.Input[str]]
    """Names of the log groups that are searched for the orders that an alarm is about."""

    page_emails: NotRequired[list[str]]
    """Addresses that are mailed when somebody has to act now. SNS asks each to confirm."""

    ticket_emails: NotRequired[list[str]]
    """Addresses that are mailed what can wait for the morning. SNS asks each to confirm."""

    page_webhooks: NotRequired[list[pulumi.Input[str]]]
    """HTTPS addresses that pages are posted to. They are kept as secrets."""

    ticket_webhooks: NotRequired[list[pulumi.Input[str]]]
    """HTTPS addresses that tickets are posted to. They are kept as secrets."""

    chat: NotRequired[ChatChannels]
    """Chat channels that are told both, by Amazon Q Developer in chat applications."""

    maximum_concurrency: NotRequired[int]
    """Most executions at a time, 2 to 1000. Default 2."""

    require_tls: NotRequired[bool]
    """Whether topics and queues deny plain HTTP. Default true; an emulator without TLS needs false."""


class Paging(pulumi.ComponentResource):
    """Topic `alarms`, which alarms publish to; queue `notify` with its dead-letter queue, and function `notify`, which
    makes a readable message of each; and topics `page` and `ticket`, where people and chat channels are subscribed."""

    alarms_topic_arn: pulumi.Output[str]
    """ARN of the topic that alarms publish to."""

    page_topic_arn: pulumi.Output[str]
    """ARN of the topic of what somebody has to act on now. Alarms on paging itself publish to it directly."""

    ticket_topic_arn: pulumi.Output[str]
    """ARN of the topic of what can wait for the morning."""

    queue_arn: pulumi.Output[str]
    """ARN of the queue."""

    queue_url: pulumi.Output[str]
    """URL of the queue."""

    dlq_arn: pulumi.Output[str]
    """ARN of the dead-letter queue."""

    dlq_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    function_arn: pulumi.Output[str]
    """ARN of the function's alias `live`."""

    function_name: pulumi.Output[str]
    """Name of the function."""

    log_group_name: pulumi.Output[str]
    """Name of the function's log group."""

    def __init__(self, name: str, args: PagingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        concurrency = args.get("maximum_concurrency", MAXIMUM_CONCURRENCY)
        require_tls = args.get("require_tls", True)
        refuse(
            "Paging",
            name,
            [
                short_enough("topic", f"{name}-alarms", 256),
                between("maximum_concurrency", concurrency, *CONCURRENCY),
                *_twice("page_emails", args.get("page_emails", [])),
                *_twice("ticket_emails", args.get("ticket_emails", [])),
            ],
        )
        super().__init__("mailroom:index:Paging", name, None, opts)

        # Not encrypted with KMS: CloudWatch cannot use the free key of SNS, and one of our own costs as much as ten
        # alarms. What passes here are names, numbers and order ids; SNS keeps none of it once it is delivered.
        alarms, page, ticket = (
            aws.sns.Topic(f"{name}-{each}", opts=pulumi.ResourceOptions(parent=self))
            for each in ("alarms", "page", "ticket")
        )
        for label, topic, publishers in (
            ("alarms", alarms, [_alarms_publish(alarms)]),
            ("page", page, [_alarms_publish(page)]),
            ("ticket", ticket, []),
        ):
            _topic_policy(self, f"{name}-{label}", topic, publishers, require_tls=require_tls)
        queue = SubscribedQueue(
            f"{name}-notify",
            {
                "topic_arns": {"alarms": alarms.arn},
                "consumer_timeout_seconds": TIMEOUT_SECONDS,
                "max_receive_count": MAX_RECEIVE_COUNT,
                "require_tls": require_tls,
            },
            pulumi.ResourceOptions(parent=self),
        )
        function = consume(
            self,
            f"{name}-notify",
            queue.queue_arn,
            handler=HANDLER,
            description="Tells people and their programs what CloudWatch's alarms say",
            runtime=args["runtime"],
            statements=[
                {"actions": ["sns:Publish"], "resources": [page.arn, ticket.arn]},
                # Puts back what one receiver did not take, and brings it forward.
                {"actions": ["sqs:SendMessage", "sqs:ChangeMessageVisibility"], "resources": [queue.queue_arn]},
                {"actions": ["cloudwatch:DescribeAlarmHistory"], "resources": [_every_alarm(alarms.arn)]},
                *_searches(alarms.arn, args["log_groups"]),
            ],
            environment={
                "PAGE_TOPIC_ARN": page.arn,
                "TICKET_TOPIC_ARN": ticket.arn,
                "QUEUE_URL": queue.queue_url,
                "RECEIVERS": _receivers(args),
                "CHAT_PLATFORM": "teams" if list(args.get("chat", {})) == ["teams"] else "slack",
                "LOG_GROUPS": pulumi.Output.all(*args["log_groups"]).apply(",".join),
            },
            maximum_concurrency=concurrency,
        )
        # Past our own SES: a pager must not need what it reports on.
        for label, topic, emails in (
            ("page", page, args.get("page_emails", [])),
            ("ticket", ticket, args.get("ticket_emails", [])),
        ):
            for address in emails:
                aws.sns.TopicSubscription(
                    f"{name}-{label}-{address}",
                    topic=topic.arn,
                    protocol="email",
                    endpoint=address,
                    opts=pulumi.ResourceOptions(parent=self),
                )
        _chat_channels(self, name, args, [page.arn, ticket.arn])

        self._queue, self._function = queue, function
        self.alarms_topic_arn, self.page_topic_arn, self.ticket_topic_arn = alarms.arn, page.arn, ticket.arn
        self.queue_arn, self.queue_url = queue.queue_arn, queue.queue_url
        self.dlq_arn, self.dlq_url = queue.dlq_arn, queue.dlq_url
        self.function_arn = function.alias_arn
        self.function_name = function.function_name
        self.log_group_name = function.log_group_name
        self.register_outputs(
            {
                "alarms_topic_arn": self.alarms_topic_arn,
                "page_topic_arn": self.page_topic_arn,
                "ticket_topic_arn": self.ticket_topic_arn,
                "queue_arn": self.queue_arn,
                "queue_url": self.queue_url,
                "dlq_arn": self.dlq_arn,
                "dlq_url": self.dlq_url,
                "function_arn": self.function_arn,
                "function_name": self.function_name,
                "log_group_name": self.log_group_name,
            }
        )

    def watch(self) -> Watch:
        """Whether alarms reach people. What would keep `notify` from telling goes past it, straight to people."""
        watched = self._queue.watch(
            "notify", holds="alarms to be told", oldest=WAITING, severity=Severity.PAGE
        ) + self._function.watch("notify", errors=Severity.PAGE, consequence="alarms reach nobody")
        return replace(
            watched,
            alarms=[_past_notify(alarm) for alarm in watched.alarms],
            widgets=[_paging_section(widget) for widget in watched.widgets],
        )


def _past_notify(alarm: Alarm) -> Alarm:
    # A slow function still tells; that it is cut off is one of the errors.
    return alarm if alarm.condition == "slow" else replace(alarm, severity=Severity.PAGE, unheard=True)


def _paging_section(widget: Graph | LogTable) -> Graph | LogTable:
    if isinstance(widget, LogTable):
        return replace(widget, section="Paging")
    return replace(widget, section="Paging", lines=[_past_notify(alarm) for alarm in widget.lines])


def _every_alarm(topic_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """The alarms of the account and region that a topic is in."""

    def alarms(text: str) -> str:
        _, partition, _, region, account, _ = text.split(":", 5)
        return f"arn:{partition}:cloudwatch:{region}:{account}:alarm:*"

    return pulumi.Output.from_input(topic_arn).apply(alarms)


def _searches(topic_arn: pulumi.Input[str], groups: Sequence[pulumi.Input[str]]) -> list[Statement]:
    """What searching the log groups takes; nothing where there are none."""
    arns: list[pulumi.Input[str]] = [arn for group in groups for arn in _group_arns(topic_arn, group)]
    return [{"actions": ["logs:FilterLogEvents"], "resources": arns}] if arns else []


def _group_arns(topic_arn: pulumi.Input[str], group: pulumi.Input[str]) -> list[pulumi.Output[str]]:
    """A log group beside a topic, in both forms that IAM knows it by: itself, and with all that is in it.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html
    """

    def arn(given: list[str]) -> str:
        _, partition, _, region, account, _ = given[0].split(":", 5)
        return f"arn:{partition}:logs:{region}:{account}:log-group:{given[1]}"

    own = pulumi.Output.all(topic_arn, group).apply(arn)
    return [own, own.apply(lambda text: f"{text}:*")]


def _alarms_publish(topic: aws.sns.Topic) -> Document:
    """The statement by which alarms of this account may publish to a topic."""
    statement = service_may("cloudwatch.amazonaws.com", "sns:Publish", topic.arn, [_every_alarm(topic.arn)])
    account = {"StringEquals": {"aws:SourceAccount": account_of(topic.arn)}}
    return {**statement, "Condition": {**statement["Condition"], **account}}


def _topic_policy(
    parent: pulumi.Resource, name: str, topic: aws.sns.Topic, statements: Sequence[Document], *, require_tls: bool
) -> None:
    """In place of the policy that AWS gives every topic, which lets in whatever claims this account as its source. The
    function needs none: its role allows it."""
    tls = [encrypted_transport_only("sns:Publish", topic.arn)] if require_tls else []
    if statements or tls:
        aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=document([*statements, *tls]),
            opts=pulumi.ResourceOptions(parent=parent),
        )


def _receivers(args: PagingArgs) -> pulumi.Output[str]:
    """The receivers' addresses as the function reads them. Whoever has one can post to it, so they are secrets."""
    urls = {"page": args.get("page_webhooks", []), "ticket": args.get("ticket_webhooks", [])}
    return pulumi.Output.secret(pulumi.Output.json_dumps(urls, sort_keys=True))


def _chat_channels(parent: pulumi.Resource, name: str, args: PagingArgs, topic_arns: list[pulumi.Output[str]]) -> None:
    """The channels that Amazon Q Developer in chat applications tells, with a role that may look and not touch."""
    channels = args.get("chat", {})
    if not channels:
        return
    role = aws.iam.Role(f"{name}-chat", assume_role_policy=trust(CHATBOT), opts=pulumi.ResourceOptions(parent=parent))
    aws.iam.RolePolicyAttachment(
        f"{name}-chat", role=role.name, policy_arn=READ_ONLY, opts=pulumi.ResourceOptions(parent=parent)
    )
    if "slack" in channels:
        aws.chatbot.SlackChannelConfiguration(
            f"{name}-slack",
            configuration_name=f"{name}-{args['runtime']['stack']}-slack",
            slack_team_id=channels["slack"]["workspace_id"],
            slack_channel_id=channels["slack"]["channel_id"],
            iam_role_arn=role.arn,
            guardrail_policy_arns=[READ_ONLY],
            sns_topic_arns=topic_arns,
            opts=pulumi.ResourceOptions(parent=parent),
        )
    if "teams" in channels:
        aws.chatbot.TeamsChannelConfiguration(
            f"{name}-teams",
            configuration_name=f"{name}-{args['runtime']['stack']}-teams",
            tenant_id=channels["teams"]["tenant_id"],
            team_id=channels["teams"]["team_id"],
            channel_id=channels["teams"]["channel_id"],
            iam_role_arn=role.arn,
            guardrail_policy_arns=[READ_ONLY],
            sns_topic_arns=topic_arns,
            opts=pulumi.ResourceOptions(parent=parent),
        )


def _twice(key: str, given: Sequence[str]) -> list[str]:
    """The faults of addresses that are given more than once."""
    return [f"{key} has {each} twice" for each in sorted({each for each in given if given.count(each) > 1})]

"""The one AWS provider of the program: where everything is deployed, and the tags that everything carries."""

from collections.abc import Mapping

import pulumi_aws as aws

# Every service that the components use, and STS, which tells the provider its account.
SERVICES = (
    "budgets",
    "chatbot",
    "cloudwatch",
    "dynamodb",
    "iam",
    "kms",
    "lambda_",
    "logs",
    "route53",
    "scheduler",
    "sesv2",
    "sns",
    "sqs",
    "sts",
    "xray",
)


def aws_provider(region: str, tags: Mapping[str, str], endpoint: str = "") -> aws.Provider:
    """A provider for `region` that puts `tags` on each resource; for the emulator at `endpoint`, unless empty.

    An explicit provider takes nothing from the stack's `aws:` settings, so the region is handed over.
    """
    emulator = (
        aws.ProviderArgs(
            endpoints=[aws.ProviderEndpointArgs(**dict.fromkeys(SERVICES, endpoint))],
            # The emulator's root; nothing here is a secret.
            access_key="test",
            secret_key="test",  # noqa: S106
            skip_credentials_validation=True,
            skip_metadata_api_check=True,
        )
        if endpoint
        else aws.ProviderArgs()
    )
    emulator.region = region
    emulator.default_tags = aws.ProviderDefaultTagsArgs(tags=dict(tags))
    return aws.Provider("aws", emulator)

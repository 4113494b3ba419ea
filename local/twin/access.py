"""Whether a resource's own policy lets an AWS service in, judged as IAM judges it."""

from __future__ import annotations

from typing import Final

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

SES: Final = "ses.amazonaws.com"


def refused(
    policy: str, action: str, resource: str, source_arn: str, account: str, region: str, service: str = SES
) -> str | None:
    """Why `policy` (a topic's or a key's) does not let a service do `action` for `source_arn` (SES for a configuration
    set, CloudWatch for an alarm), or None.

    A service is a principal that acts for `account`: a statement counts if it names the service or everyone, and its
    conditions see `aws:SourceArn` and `aws:SourceAccount`.
    """
    context = EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=region,
        source_ip="",
        secure_transport=True,
        service_context={
            "aws:sourcearn": source_arn,
            "aws:sourceaccount": account,
            "kms:viaservice": f"sns.{region}.amazonaws.com",
        },
    )
    decision = evaluate_resource_policy(policy, context, service=service).decision
    if decision == "Allow":
        return None
    how = "denies" if decision == "Deny" else "does not allow"
    return f"the policy of {resource} {how} {action} to {service} for {source_arn}"

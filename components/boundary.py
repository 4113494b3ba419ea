"""The permissions boundary of every role of a program: what a role can do at most, whatever its policy says."""

import pulumi
import pulumi_aws as aws


def bound_roles(boundary_arn: str) -> None:
    """Give every role that is declared from here on a permissions boundary, save one that has its own.

    For the whole stack, not an argument of each component: a role that is forgotten would be the one without limits,
    and whoever may make roles only with the boundary could not deploy it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html

    Args:
        boundary_arn: of a managed policy.
    """

    def bound(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
        if not isinstance(args.resource, aws.iam.Role) or args.props.get("permissions_boundary") is not None:
            return None
        return pulumi.ResourceTransformationResult({**args.props, "permissions_boundary": boundary_arn}, args.opts)

    pulumi.runtime.register_stack_transformation(bound)

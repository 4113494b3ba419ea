"""What goes wrong in an operator's hands, said in one sentence with what to do about it."""

from __future__ import annotations

from enum import IntEnum

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
INVALID = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"})
MISSING = frozenset(
    {
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "NotFound",
        "NotFoundException",
        "ResourceNotFoundException",
    }
)


class Exit(IntEnum):
    """Exit codes; 2 is the shell's custom for a command that was typed wrongly."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 2
    UNREACHABLE = 3
    UNSETTLED = 4


EXIT_CODES = {
    Exit.DONE: "done",
    Exit.NOT_DONE: "not done, or only in part: an order is not known, a message not published, a lane did not follow",
    Exit.USAGE: "the command or its arguments are wrong",
    Exit.UNREACHABLE: "the stack cannot be reached: no outputs, no credentials, no permission, no network",
    Exit.UNSETTLED: "waited as long as was asked, and some orders are still open",
}


class OpsError(Exception):
    """A failure that a person can act on.

    Args:
        message: what is the matter, as one sentence.
        remedy: what to do about it.
        code: the command's exit code.
    """

    def __init__(self, message: str, remedy: str = "", code: Exit = Exit.NOT_DONE) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code


def explain(error: ClientError | BotoCoreError) -> OpsError:
    """An AWS failure in words; the service's own sentence is kept where it is the best that can be said."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return OpsError(
            "There are no AWS credentials.",
            "Sign in (`aws sso login`) or set AWS_PROFILE.",
            Exit.UNREACHABLE,
        )
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError | ReadTimeoutError):
        return OpsError(
            f"{str(error).rstrip('.')}.",
            "Is the stack up? A local one runs while `make up` does.",
            Exit.UNREACHABLE,
        )
    if not isinstance(error, ClientError):
        return OpsError(f"{str(error).rstrip('.')}.", code=Exit.UNREACHABLE)
    code = error.response.get("Error", {}).get("Code", "")
    text = error.response.get("Error", {}).get("Message", "") or str(error)
    if code in EXPIRED | INVALID:
        return OpsError(f"AWS did not accept the credentials: {text}", "Sign in again.", Exit.UNREACHABLE)
    if code in DENIED:
        return OpsError(
            f"Not allowed to call {error.operation_name}: {text}",
            "Use a role that may, or ask for that permission.",
            Exit.UNREACHABLE,
        )
    if code in MISSING:
        return OpsError(
            f"{error.operation_name}: {text}",
            "The outputs may be of a stack that is gone: deploy it again.",
            Exit.UNREACHABLE,
        )
    return OpsError(f"{error.operation_name} failed: {text}", code=Exit.UNREACHABLE)

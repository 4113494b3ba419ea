"""Which types are created, which have no counterpart in the emulator, and which properties do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from local.deployer import budgets, functions, identity, mail, messaging, monitoring, storage
from local.deployer.model import Create

CREATE: Final[Mapping[str, Create]] = {
    **messaging.CREATE,
    **storage.CREATE,
    **identity.CREATE,
    **mail.CREATE,
    **functions.CREATE,
    **monitoring.CREATE,
    **budgets.CREATE,
}

_NO_XRAY: Final = "the emulator has no X-Ray; segments are kept by local/xray.py, all of them"
_NO_ACTION: Final = (
    "the emulator's budgets spend nothing, so there is nothing to act on; the policy that it attaches is here"
)
_NO_CHAT: Final = "the emulator has no Amazon Q Developer, and nothing is sent to a chat from here"

NOT_EMULATED: Final[Mapping[str, str]] = {
    "aws:budgets/budgetAction:BudgetAction": _NO_ACTION,
    "aws:sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes": (
        "the emulator has no MAIL FROM domain; no mail leaves this machine"
    ),
    "aws:route53/record:Record": "no DNS is served here, and the zone belongs to a real account",
    "aws:cloudwatch/queryDefinition:QueryDefinition": "the emulator keeps no queries; it runs one that is given to it",
    "aws:xray/group:Group": _NO_XRAY,
    "aws:xray/samplingRule:SamplingRule": _NO_XRAY,
    "aws:xray/resourcePolicy:ResourcePolicy": _NO_XRAY,
    "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration": _NO_CHAT,
    "aws:chatbot/teamsChannelConfiguration:TeamsChannelConfiguration": _NO_CHAT,
}

IGNORED: Final[Mapping[tuple[str, str], str]] = {
    ("aws:kms/key:Key", "deletionWindowInDays"): "says how a later deletion is done",
    ("aws:cloudwatch/logGroup:LogGroup", "skipDestroy"): "says how a later deletion is done",
    ("aws:lambda/layerVersion:LayerVersion", "skipDestroy"): "says how a later deletion is done",
    ("aws:iam/role:Role", "forceDetachPolicies"): "says how a later deletion is done",
}
"""Properties that create nothing, by type. Any other that a creator does not read stops the deployment."""

"""Which types are created, which have no counterpart in the emulator, and which properties do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from local.deployer import functions, identity, mail, messaging, storage
from local.deployer.model import Create

CREATE: Final[Mapping[str, Create]] = {
    **messaging.CREATE,
    **storage.CREATE,
    **identity.CREATE,
    **mail.CREATE,
    **functions.CREATE,
}

NOT_EMULATED: Final[Mapping[str, str]] = {
    "aws:sesv2/emailIdentityMailFromAttributes:EmailIdentityMailFromAttributes": (
        "the emulator has no MAIL FROM domain; no mail leaves this machine"
    ),
    "aws:route53/record:Record": "no DNS is served here, and the zone belongs to a real account",
}

IGNORED: Final[Mapping[tuple[str, str], str]] = {
    ("aws:kms/key:Key", "deletionWindowInDays"): "says how a later deletion is done",
    ("aws:cloudwatch/logGroup:LogGroup", "skipDestroy"): "says how a later deletion is done",
    ("aws:lambda/layerVersion:LayerVersion", "skipDestroy"): "says how a later deletion is done",
    ("aws:iam/role:Role", "forceDetachPolicies"): "says how a later deletion is done",
}
"""Properties that create nothing, by type. Any other that a creator does not read stops the deployment."""

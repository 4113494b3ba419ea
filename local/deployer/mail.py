"""SES: identities, configuration sets and where their events go."""

from __future__ import annotations

from typing import Final

from local.deployer.model import Account, Create, Declared, State, pascal, tag_list

_OPTIONS: Final = (
    "deliveryOptions",
    "reputationOptions",
    "sendingOptions",
    "suppressionOptions",
    "trackingOptions",
    "vdmOptions",
)


def identity(declared: Declared, account: Account) -> State:
    name, tags = declared.need("emailIdentity"), declared.tags()
    ses = account.client("sesv2")
    signing = declared.take("dkimSigningAttributes") or {}
    ses.create_email_identity(
        EmailIdentity=name,
        Tags=tag_list(tags),
        **({"DkimSigningAttributes": pascal(signing)} if signing else {}),
        **declared.api({"configurationSetName": "ConfigurationSetName"}),
    )
    made = ses.get_email_identity(EmailIdentity=name)
    dkim = made["DkimAttributes"]
    return name, declared.state(
        arn=account.arn("ses", f"identity/{name}"),
        identityType=made["IdentityType"],
        verifiedForSendingStatus=made["VerifiedForSendingStatus"],
        dkimSigningAttributes={**signing, "tokens": dkim["Tokens"], "status": dkim["Status"]},
        tagsAll=tags,
    )


def configuration_set(declared: Declared, account: Account) -> State:
    name, tags = declared.need("configurationSetName"), declared.tags()
    options = {option: declared.take(option) for option in _OPTIONS if option in declared.inputs}
    account.client("sesv2").create_configuration_set(ConfigurationSetName=name, Tags=tag_list(tags), **pascal(options))
    return name, declared.state(arn=account.arn("ses", f"configuration-set/{name}"), tagsAll=tags)


def event_destination(declared: Declared, account: Account) -> State:
    owner, name = declared.need("configurationSetName"), declared.need("eventDestinationName")
    account.client("sesv2").create_configuration_set_event_destination(
        ConfigurationSetName=owner,
        EventDestinationName=name,
        EventDestination=pascal(declared.need("eventDestination")),
    )
    return f"{owner}|{name}", declared.state()


CREATE: Final[dict[str, Create]] = {
    "aws:sesv2/emailIdentity:EmailIdentity": identity,
    "aws:sesv2/configurationSet:ConfigurationSet": configuration_set,
    "aws:sesv2/configurationSetEventDestination:ConfigurationSetEventDestination": event_destination,
}

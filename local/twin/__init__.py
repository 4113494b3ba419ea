"""A twin of SES: a proxy in front of the emulator's SESv2 that adds what SES does and the emulator leaves out.

Callers reach it through AWS_ENDPOINT_URL_SESV2 and cannot tell it from SES. Every request goes on to the emulator as it
came, so identities, configuration sets and permissions stay there. On top of that the twin refuses what SES refuses
(pauses, quotas, malformed requests), keeps each accepted mail in a mailbox, publishes its events to the topics of the
deployed configuration set, and makes the trouble that its options ask for.
"""

from local.twin.process import TwinProcess, TwinStartError

__all__ = ["TwinProcess", "TwinStartError"]

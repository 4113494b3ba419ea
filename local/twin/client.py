"""What tests and commands ask of a running twin."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from local.twin.mail import Mail

TIMEOUT_SECONDS: Final = 30.0


class TwinError(Exception):
    """The twin refused what was asked of it; the text is its own."""


class TwinClient:
    """Talks to `/_twin/` of the twin at `endpoint` (http://127.0.0.1:<port>)."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def mailbox(self, start: int = 0) -> list[Mail]:
        """Every mail that SES accepted, oldest first, from the `start`th on."""
        mails: list[Mail] = []
        while page := self._call("GET", f"/_twin/mailbox?start={start + len(mails)}"):
            mails += map(Mail.from_json, page)
        return mails

    def configure(self, **options: Any) -> dict[str, Any]:
        """Change options (see local.twin.options.Options), keep the others; gives all of them. Raises TwinError for an
        option or a value that the twin does not know, and changes nothing then."""
        return dict(self._call("POST", "/_twin/options", options))

    def reset(self) -> None:
        """Empty the mailbox, the account's suppression list, its pause and its quota. Options stay."""
        self._call("POST", "/_twin/reset")

    def announce(self, configuration_set: str, region: str = "us-east-1") -> int:
        """Publish what SES publishes when event destinations are created, to those of a configuration set that was not
        created through the twin; says to how many."""
        asked = {"configuration_set": configuration_set, "region": region}
        return int(self._call("POST", "/_twin/announce", asked)["announced"])

    def counts(self) -> dict[str, int]:
        """What happened so far: `accepted`, `refused <code>`, `published <type>`, `dropped <type>`, `replies lost`,
        `outcome <name>`; and `reputed <name>`, which leaves out the mailbox simulator, as reputation does."""
        return dict(self._call("GET", "/_twin/health")["counts"])

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until every event that is due or will be has been published or dropped. Raises TwinError after that."""
        deadline = time.monotonic() + timeout
        while pending := self._call("GET", "/_twin/health")["pending"]:
            if time.monotonic() > deadline:
                raise TwinError(f"{pending} events are still to be published after {timeout:g} s")
            time.sleep(0.02)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        where = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content = json.loads(answer.read() or b"null")
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise TwinError((content or {}).get("message", f"{method} {path}: {answer.status}"))
        return content

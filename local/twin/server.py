"""The twin's HTTP face: SESv2 as callers know it, and `/_twin/` for whoever runs it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from local.twin import account_api, refusals
from local.twin.lookup import Lookup
from local.twin.options import Fault, Options, OptionsError, changed
from local.twin.proxy import Caller, Reply, Upstream, refuse, reset
from local.twin.publisher import Publisher
from local.twin.refusals import Refusal
from local.twin.sending import Sender, State

log = logging.getLogger(__name__)

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BODY_LIMIT: Final = 64 * 1024 * 1024
"""A mail of 40 MB is 54 MB in base64; what is longer is refused here rather than by its size."""
MAILBOX_PAGE: Final = 200
"""Mails in one answer: few enough that writing it does not hold up those who are sending."""
_EVENT_DESTINATIONS: Final = re.compile(r"/v2/email/configuration-sets/([^/]+)/event-destinations")


class Twin:
    """State, questions to the emulator and publishing, joined to an aiohttp application."""

    def __init__(self, emulator: str, options: Options) -> None:
        self._state = State(options)
        self._emulator = Upstream(emulator)
        self._lookup = Lookup(self._emulator.endpoint)
        self._publisher = Publisher(self._lookup, lambda: self._state.options, self._state.counts)
        self._sender = Sender(self._state, self._lookup, self._publisher)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT, middlewares=[_emulator_trouble])
        app.cleanup_ctx.append(self._running)
        put, get, post, delete = app.router.add_put, app.router.add_get, app.router.add_post, app.router.add_delete
        post("/v2/email/outbound-emails", self._send_email)
        get("/v2/email/account", self._get_account)
        put("/v2/email/account/sending", self._supplied(account_api.put_sending))
        put("/v2/email/account/suppression", self._supplied(account_api.put_suppression))
        put("/v2/email/suppression/addresses", self._supplied(account_api.put_destination))
        get("/v2/email/suppression/addresses", self._list_destinations)
        get("/v2/email/suppression/addresses/{address}", self._by_address(account_api.get_destination))
        delete("/v2/email/suppression/addresses/{address}", self._by_address(account_api.delete_destination))
        get("/_twin/health", self._health)
        get("/_twin/mailbox", self._mailbox)
        get("/_twin/options", self._get_options)
        post("/_twin/options", self._set_options)
        post("/_twin/reset", self._reset)
        post("/_twin/announce", self._announce)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    async def _running(self, _app: web.Application) -> Any:
        await self._emulator.open()
        self._publisher.start()
        yield
        await self._publisher.stop()
        await self._emulator.close()

    async def _send_email(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        caller = Caller.of(request.headers)
        try:
            asked = await self._sender.read(json.loads(body or b"{}"), caller.region)
        except (ValueError, TypeError, AttributeError):
            return (await self._emulator.forward(request, body)).response()
        fault = self._state.fault(asked.recipients)
        if fault is Fault.ERROR:
            return self._refuse(refusals.BROKEN)
        permission = await self._emulator.forward(request, body)
        if delay := self._state.reply_delay():
            await asyncio.sleep(delay)
        if not permission.ok:
            self._state.counts[f"refused {permission.status} by the emulator"] += 1
            return permission.response()
        if fault is Fault.THROTTLE:
            return self._refuse(refusals.throttled("Maximum sending rate exceeded."))
        accepted = await self._sender.accept(asked, caller)
        if isinstance(accepted, Refusal):
            return self._refuse(accepted)
        self._state.counts["accepted"] += 1
        if fault is not None:
            return await self._lose(request, fault)
        return _answer({"MessageId": accepted.ses_message_id}, permission)

    async def _lose(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        """The mail is accepted; the caller never hears of it."""
        self._state.counts["replies lost"] += 1
        if fault is Fault.HANG:
            await asyncio.sleep(self._state.options.hang_seconds)
        reset(request)
        return web.Response()

    def _refuse(self, refusal: Refusal) -> web.StreamResponse:
        self._state.counts[f"refused {refusal.code}"] += 1
        log.info("refused: %s %s", refusal.code, refusal.message)
        return refuse(refusal)

    async def _get_account(self, request: web.Request) -> web.StreamResponse:
        reply = await self._emulator.forward(request, b"")
        return _answer(account_api.overlaid_account(self._state, reply.json()), reply) if reply.ok else reply.response()

    async def _list_destinations(self, request: web.Request) -> web.StreamResponse:
        reasons = request.query.getall("Reason", [])
        return await self._permitted(
            request, lambda _: account_api.list_destinations(self._state, request.query, reasons)
        )

    def _supplied(self, call: Callable[[State, Json], Json | Refusal]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._permitted(request, lambda data: call(self._state, data))

        return handle

    def _by_address(self, call: Callable[[State, str], Json | Refusal]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._permitted(request, lambda _: call(self._state, request.match_info["address"]))

        return handle

    async def _permitted(self, request: web.Request, call: Callable[[Json], Json | Refusal]) -> web.StreamResponse:
        """A call that the emulator does not implement: it says whether the caller may, the twin does the rest."""
        body = await request.read()
        permission = await self._emulator.forward(request, body)
        if permission.denied:
            return permission.response()
        outcome = call(json.loads(body) if body else {})
        return self._refuse(outcome) if isinstance(outcome, Refusal) else _answer(outcome, permission)

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        reply = await self._emulator.forward(request, body)
        if request.method not in ("GET", "HEAD") and reply.ok:
            self._lookup.forget()
            if request.method == "POST" and (created := _EVENT_DESTINATIONS.fullmatch(request.path)):
                name = json.loads(body).get("EventDestinationName", "")
                await self._validate(Caller.of(request.headers).region, created[1], name)
        return reply.response()

    async def _validate(self, region: str, configuration_set: str, destination: str | None) -> int:
        """Publish SES's validation text to one event destination, or to all; says to how many."""
        found = await self._lookup.configuration_set(region, configuration_set)
        names = [each.name for each in found.destinations if destination in (None, each.name)] if found else []
        if found:
            self._publisher.announce(region, found, names)
        return len(names)

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"pending": self._publisher.pending, "counts": dict(self._state.counts)})

    async def _mailbox(self, request: web.Request) -> web.StreamResponse:
        start = int(request.query.get("start", 0))
        return web.json_response([mail.to_json() for mail in self._state.mailbox[start : start + MAILBOX_PAGE]])

    async def _get_options(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(self._state.options.to_json())

    async def _set_options(self, request: web.Request) -> web.StreamResponse:
        try:
            self._state.options = changed(self._state.options, await request.json())
        except OptionsError as error:
            return web.json_response({"message": str(error)}, status=400)
        self._state.strikes.clear()
        self._publisher.reseed()
        return web.json_response(self._state.options.to_json())

    async def _reset(self, _request: web.Request) -> web.StreamResponse:
        self._state.reset()
        self._publisher.clear()
        self._lookup.forget()
        return web.json_response({})

    async def _announce(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        count = await self._validate(asked.get("region", "us-east-1"), asked["configuration_set"], None)
        return web.json_response({"announced": count})


@web.middleware
async def _emulator_trouble(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A question that the emulator does not answer is SES's internal error, not a traceback."""
    try:
        return await handler(request)
    except (ClientError, BotoCoreError) as error:
        log.error("%s %s: %s", request.method, request.path, error)
        return refuse(refusals.BROKEN)


def _answer(data: Json, permission: Reply) -> web.Response:
    """`data` as SES's reply, under the request id that the emulator gave."""
    request_id = {name: value for name, value in permission.headers.items() if name.lower() == "x-amzn-requestid"}
    return web.json_response(data, headers=request_id)

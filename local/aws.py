"""A whole AWS account on this machine, with Mailroom deployed to it: what demos and tests work with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from local import calls, kept_alarms, published
from local.config import ROOT, Value, stack_config
from local.cost_explorer import CostExplorerTwin
from local.deployer import Deployment, Transform, deploy
from local.deployer.model import Account, Json
from local.emulator import Emulator
from local.twin import TwinProcess
from local.twin.client import TwinClient
from local.xray import SegmentListener

FOLDER: Final = ROOT / "build" / "local"
REGION: Final = "us-east-1"
PAGE: Final = 10_000


class LocalAws:
    """Emulator, SES twin, Cost Explorer and X-Ray listener, together from `start` to `stop`; also a context manager.

    `port` is the emulator's; 0 takes a free one. Logs and outputs are kept under `folder`. Everything listens on
    loopback only. `seconds` says how long the start and the last deployment took. With `counted` it writes down which
    calls are made (`calls`). With `watched` it writes down what services tell CloudWatch of themselves (`metrics`), and
    leaves it to a `watcher.Watcher` what becomes of alarms.
    """

    def __init__(self, *, port: int = 0, folder: Path = FOLDER, counted: bool = False, watched: bool = False) -> None:
        self.folder = folder
        self._calls = folder / "calls.jsonl" if counted else None
        self.metrics = folder / "metrics.jsonl" if watched else None
        self.xray = SegmentListener()
        self.cost_explorer = CostExplorerTwin()
        self.emulator = Emulator(port=port, log_path=folder / "emulator.log")
        self._twin = TwinProcess(self.emulator.endpoint, folder / "twin.log")
        self.deployment: Deployment | None = None
        self.seconds: dict[str, float] = {}
        self._running = ExitStack()
        self._used = False

    def start(self) -> Self:
        started = time.monotonic()
        with ExitStack() as starting:
            starting.enter_context(self.xray)
            starting.enter_context(self.cost_explorer)
            starting.enter_context(self._twin)
            self.emulator.environment |= {
                "AWS_ENDPOINT_URL_SESV2": self._twin.endpoint,
                "AWS_ENDPOINT_URL_COST_EXPLORER": self.cost_explorer.endpoint,
                "AWS_XRAY_DAEMON_ADDRESS": self.xray.address,
            }
            for variable, file in ((calls.VARIABLE, self._calls), (published.VARIABLE, self.metrics)):
                if file:
                    self.folder.mkdir(parents=True, exist_ok=True)
                    file.write_text("", encoding="utf-8")
                    self.emulator.environment[variable] = str(file)
            if self.metrics:
                self.emulator.environment[kept_alarms.VARIABLE] = "true"
            starting.enter_context(self.emulator)
            self._running = starting.pop_all()
        self.seconds["emulator"] = time.monotonic() - started
        return self

    def stop(self) -> None:
        self._running.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return self.emulator.endpoint

    @property
    def outputs(self) -> Json:
        """The stack's outputs, as `build/local/outputs.json` holds them."""
        if self.deployment is None:
            raise RuntimeError("nothing is deployed yet")
        return self.deployment.outputs

    @property
    def twin(self) -> TwinClient:
        """The SES twin: its mailbox and what it is told to do."""
        return TwinClient(self._twin.endpoint)

    def deploy(
        self,
        overrides: Mapping[str, Value] | None = None,
        *,
        stack: str = "local",
        transform: Transform | None = None,
    ) -> Deployment:
        """Deploys the program to an empty account: what an earlier deployment left here is removed first."""
        if self._used:
            self.emulator.reset()
            self.twin.reset()
            self.xray.clear()
            self.cost_explorer.clear()
        self._used, self.deployment = True, None
        self.deployment = deploy(
            self.endpoint,
            stack=stack,
            overrides=overrides,
            transform=transform,
            outputs_path=self.folder / "outputs.json",
        )
        self._open_account(stack_config(stack, overrides))
        self.seconds["deploy"] = self.deployment.seconds
        return self.deployment

    def _open_account(self, config: Mapping[str, str]) -> None:
        """Give the account the sending rate that the program counts on, and have SES greet its new topics."""
        self.twin.configure(max_send_rate=float(config["mailroom:sendRate"]))
        for lane in self.outputs["lanes"]:
            self.twin.announce(lane["configurationSet"])

    def client(self, service: str) -> Any:
        """A boto3 client with the rights of the account's root; SES is the twin, as it is for the handlers."""
        endpoint = self._twin.endpoint if service == "sesv2" else self.endpoint
        region = self.deployment.outputs["region"] if self.deployment else REGION
        return Account(endpoint, region).client(service)

    def logs(self, function: str) -> list[Json]:
        """The JSON objects that a function (its physical name) has logged, oldest first."""
        return [json.loads(line) for line in self.lines(function) if line.startswith("{")]

    def lines(self, function: str) -> list[str]:
        """Every line of a function's log (its physical name), oldest first; the lines of Lambda itself are of them."""
        configuration = self.client("lambda").get_function_configuration(FunctionName=function)
        return list(self._lines(configuration["LoggingConfig"]["LogGroup"]))

    def calls(self) -> list[Json]:
        """What was called since the start, in the form of `local/calls.py`. Empty if that is not written down."""
        return [json.loads(line) for line in self._calls.read_text("utf-8").splitlines()] if self._calls else []

    def _lines(self, group: str) -> Iterator[str]:
        """Every line of a log group. The emulator's answer ends at 10,000 lines and offers no next page."""
        logs, since = self.client("logs"), 0
        while True:
            events = logs.filter_log_events(logGroupName=group, startTime=since, limit=PAGE)["events"]
            if len(events) < PAGE:
                yield from (event["message"] for event in events)
                return
            # The last millisecond may be cut short: it is left to the next answer, which starts with it.
            if (since := events[-1]["timestamp"]) == events[0]["timestamp"]:
                raise RuntimeError(f"log group {group} has {PAGE} lines in one millisecond and shows no more")
            yield from (event["message"] for event in events if event["timestamp"] < since)

    def segments(self) -> list[Json]:
        """The X-Ray segments received so far."""
        return self.xray.segments()

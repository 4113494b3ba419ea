"""Mailroom's handlers beside plain ones, in one run on the emulator: `make bench`. Writes build/bench.json.

Ratios count, not times: the machine is whatever it is, and both sides run on it in turn.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from local.aws import REGION, LocalAws
from local.config import ROOT

OURS, PLAIN, FEEDBACK = "handlers.send_email", "bench.plain_handler", "handlers.record_feedback"
MODES = {
    "emulator": (0, "emulated"),
    "emulator, 20 ms added to each call": (20, "emulated"),
    "answers replayed after 20 ms": (20, "replayed"),
}
"""20 ms is what an AWS call costs in a region, by order of magnitude. Replayed answers leave out the emulator's own
time: AWS does not share this machine's cores with the handler."""

ROUNDS = 12
REPEATS = 4
STARTS = 15


def main() -> None:
    with LocalAws(folder=ROOT / "build" / "bench") as aws:
        aws.deploy()
        aws.twin.configure(max_send_rate=100_000.0, daily_quota=1e9)
        quiet(aws)
        bench = Bench(aws)
        report = {
            "batch_of_ten": {name: bench.batches(added, how) for name, (added, how) in MODES.items()},
            "start": bench.starts(),
        }
    path = ROOT / "build" / "bench.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    show(report, path)


def quiet(aws: LocalAws) -> None:
    """Have SES publish no events: the feedback's work would be timed along, more of it on Mailroom's side."""
    ses, name = aws.client("sesv2"), aws.outputs["configurationSetName"]
    destinations = ses.get_configuration_set_event_destinations(ConfigurationSetName=name)["EventDestinations"]
    for destination in destinations:
        ses.delete_configuration_set_event_destination(
            ConfigurationSetName=name, EventDestinationName=destination["Name"]
        )


class Bench:
    """Runs workers with the environment that the deployed function has."""

    def __init__(self, aws: LocalAws) -> None:
        self._run = 0
        configuration = aws.client("lambda").get_function_configuration(FunctionName=aws.outputs["sendFunctionName"])
        variables = configuration["Environment"]["Variables"]
        lanes = json.loads(variables["LANES"])
        self._environment = {
            **os.environ,
            **variables,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_ENDPOINT_URL_SESV2": aws.twin.endpoint,
            "AWS_XRAY_DAEMON_ADDRESS": aws.xray.address,
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_X_AMZN_TRACE_ID": "Root=1-67400000-aaaaaaaaaaaaaaaaaaaaaaaa;Parent=bbbbbbbbbbbbbbbb;Sampled=1",
            "LANES": json.dumps({name: {**lane, "sendRate": "100000"} for name, lane in lanes.items()}),
            # Nobody minds here what it would cost.
            "SPEND_PER_HOUR": "1000",
            "SPEND_PER_DAY": "1000",
            # For the handlers beside ours, which know no lanes.
            "QUEUE_ARN": aws.outputs["sendQueueArn"],
            "CONFIGURATION_SET": aws.outputs["configurationSetName"],
        }

    def _worker(self, *arguments: object) -> Any:
        self._run += 1
        command = [sys.executable, "-m", "bench.worker", *map(str, arguments), f"B{self._run}"]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def batches(self, added_ms: int, how: str) -> dict[str, Any]:
        """Both handlers in turn, several times; medians over all batches."""
        seconds: dict[str, list[float]] = {OURS: [], PLAIN: []}
        waiting: dict[str, list[float]] = {OURS: [], PLAIN: []}
        for _ in range(REPEATS):
            for module in (PLAIN, OURS):
                found = self._worker("batches", module, ROUNDS, added_ms, how)
                seconds[module] += found["seconds"]
                waiting[module].append(found["waiting"])
        medians = {module: statistics.median(values) for module, values in seconds.items()}
        return {
            "plain_ms": round(medians[PLAIN] * 1e3, 1),
            "ours_ms": round(medians[OURS] * 1e3, 1),
            "ratio": round(medians[OURS] / medians[PLAIN], 3),
            "plain_orders_a_second": round(10 / medians[PLAIN], 1),
            "ours_orders_a_second": round(10 / medians[OURS], 1),
            "plain_waiting_on_aws": round(statistics.median(waiting[PLAIN]), 2),
            "ours_waiting_on_aws": round(statistics.median(waiting[OURS]), 2),
        }

    def starts(self) -> dict[str, Any]:
        """Import and first call of each handler beside bare boto3 with the same clients and calls, in turn."""
        return {module.removeprefix("handlers."): self._start(module) for module in (OURS, FEEDBACK)}

    def _start(self, module: str) -> dict[str, Any]:
        found: dict[str, list[dict[str, float]]] = {f"bare:{module}": [], module: []}
        for _ in range(STARTS):
            for name, results in found.items():
                results.append(self._worker("start", name))
        bare, ours = (
            {key: round(statistics.median(result[key] for result in results), 1) for key in results[0]}
            for results in found.values()
        )
        return {"bare_ms": bare, "ours_ms": ours, "ratio": round(sum(ours.values()) / sum(bare.values()), 3)}


def show(report: dict[str, Any], path: Path) -> None:
    table = Table(title="A batch of ten orders")
    for column in ("", "plain", "Mailroom", "ratio", "orders a second", "waiting on AWS"):
        table.add_column(column, justify="right")
    for name, row in report["batch_of_ten"].items():
        table.add_row(
            name,
            f"{row['plain_ms']:.0f} ms",
            f"{row['ours_ms']:.0f} ms",
            f"{row['ratio']:.2f}",
            f"{row['plain_orders_a_second']:.0f} / {row['ours_orders_a_second']:.0f}",
            f"{row['plain_waiting_on_aws']:.0%} / {row['ours_waiting_on_aws']:.0%}",
        )
    console = Console()
    console.print(table)
    for handler, row in report["start"].items():
        bare, ours = sum(row["bare_ms"].values()), sum(row["ours_ms"].values())
        console.print(
            f"import and first call: boto3 alone {bare:.0f} ms, {handler} {ours:.0f} ms, ratio {row['ratio']:.2f}"
        )
    console.print(f"written to {path}")


if __name__ == "__main__":
    main()

"""The handlers with one thing changed about what they emit, and whether a captured run shows it.

Each mutant is tried in a process of its own, forked from one that has nothing of ours loaded.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.util
import logging
import multiprocessing
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from handlers.telemetry.contract import Metric
from local.config import ROOT
from tests.contract.emissions import EXPECTED, as_expected, run

HANDLERS = ROOT / "handlers"
CONTRACT = HANDLERS / "telemetry" / "contract.py"
WATCHERS = (CONTRACT, HANDLERS / "paging", HANDLERS / "notify.py")
"""Those that know metrics and emit none."""
EMITTERS = frozenset({"emit", "count", "_count"})
"""What the handlers call to emit."""


@dataclass(frozen=True)
class Mutant:
    """One module's source with one change; `what` says which."""

    module: str
    what: str
    source: str


UNCHANGED = Mutant("", "nothing", "")


def metric_names() -> list[str]:
    """The names under which the contract declares metrics."""
    tree = ast.parse(CONTRACT.read_text())
    return [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name) and getattr(node.value.func, "id", "") == "Metric"
    ]


def emission_mutants() -> Iterator[Mutant]:
    """For each place where a handler names a metric: it taken out, and another in its stead; for each call that emits:
    the call taken out."""
    metrics = metric_names()
    for path in sorted(HANDLERS.rglob("*.py")):
        if any(path.is_relative_to(watcher) for watcher in WATCHERS):
            continue
        places = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if (isinstance(node, ast.Attribute) and node.attr in metrics) or _emits(node)
        ]
        for place in places:
            yield _mutant(path, place, "remove")
            if isinstance(place, ast.Attribute):
                yield _mutant(path, place, "swap")


def contract_mutants() -> Iterator[tuple[str, Sequence[Metric]]]:
    """The declared metrics with one change to the contract, which handlers and alarms would both follow: each metric
    renamed, each in another unit, the dimension renamed, and one added."""
    source = CONTRACT.read_text()
    for name in metric_names():
        start = source.index(f"\n{name} = Metric(")
        declaration = source[
            start : source.index("\n)\n" if source[start:].split("\n")[1].endswith("(") else "\n", start + 1)
        ]
        first, _, rest = declaration.partition('"')
        wire, _, rest = rest.partition('"')
        unit = re.findall(r"Unit\.\w+", rest)[0]
        for what, changed in (
            ("renamed", f'{first}"{wire}Two"{rest}'),
            ("in another unit", declaration.replace(unit, "Unit.SECONDS" if unit != "Unit.SECONDS" else "Unit.COUNT")),
        ):
            yield f"{name} {what}", _metrics_of(source.replace(declaration, changed))
    for what, old, new in (
        ("the dimension renamed", '"Stack", most=1', '"Stage", most=1'),
        ("a dimension added", "= (STACK,)", '= (STACK, Dimension("Lane", most=2))'),
    ):
        yield what, _metrics_of(source.replace(old, new))


def _metrics_of(source: str) -> Sequence[Metric]:
    """The metrics that a changed contract declares."""
    module = ModuleType("changed_contract")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(source, "<contract>", "exec"), module.__dict__)
    del sys.modules[module.__name__]
    metrics: Sequence[Metric] = module.METRICS
    return metrics


def noticed(mutants: Iterable[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Each mutant, and what a captured run shows of it; "" for one that passes unseen."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["moto", "moto.dynamodb", "moto.sqs", "moto.sns", "boto3", "jinja2"])
    listed = list(mutants)
    with context.Pool(2, maxtasksperchild=1) as pool:
        yield from zip(listed, pool.imap(_shown, listed), strict=True)


def _shown(mutant: Mutant) -> str:
    """The first that is wrong in a captured run of the mutant."""
    logging.getLogger("aws_xray_sdk").setLevel(logging.CRITICAL)
    if mutant.module:
        sys.meta_path.insert(0, _Changed(mutant))
    happened = set()
    try:
        for situation, points in run():
            if fault := as_expected(situation, points):
                return fault
            happened.add(situation)
    except Exception as error:
        return f"the run breaks: {type(error).__name__}: {error}"
    return "; ".join(f"{situation}: did not happen" for situation in EXPECTED if situation not in happened)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the mutant in place of the module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self) if fullname == self.mutant.module else None

    def create_module(self, spec: ModuleSpec) -> None: ...

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.source, f"<{self.mutant.what}>", "exec"), module.__dict__)


class _Change(ast.NodeTransformer):
    """Takes the node at a place out, or puts another metric there."""

    def __init__(self, place: ast.expr | ast.stmt, how: str) -> None:
        self.at = (place.lineno, place.col_offset)
        self.how = how

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Pass() if self._here(node) and _emits(node) else self.generic_visit(node)  # type: ignore[return-value]

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        if self.how == "remove":
            kept = [
                (key, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if not (isinstance(key, ast.Attribute) and self._here(key))
            ]
            node.keys, node.values = [key for key, _ in kept], [value for _, value in kept]
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if not self._here(node) or node.attr not in metric_names():
            return self.generic_visit(node)
        if self.how == "remove":
            return ast.Constant(None)
        other = "REJECTS" if node.attr != "REJECTS" else "BOUNCES"
        return ast.Attribute(node.value, other, node.ctx)

    def _here(self, node: ast.expr | ast.stmt) -> bool:
        return (node.lineno, node.col_offset) == self.at


def _emits(node: ast.AST) -> bool:
    """Whether it is a statement that emits."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    called = node.value.func
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in EMITTERS


def _mutant(path: Path, place: ast.AST, how: str) -> Mutant:
    assert isinstance(place, ast.expr | ast.stmt)
    changed = ast.fix_missing_locations(_Change(place, how).visit(ast.parse(path.read_text())))
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    what = f"{how} {ast.unparse(place)!r:.60} in {module}, line {place.lineno}"
    return Mutant(module, what, ast.unparse(changed))

"""Queries of an alarm or a graph, checked once and then applied to arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.math.errors import MathError
from observability.math.functions import FUNCTIONS, REFUSED, Form, Frame, Kind, Line, Lines, Value, negative, operator
from observability.math.syntax import (
    Binary,
    Call,
    Negative,
    Node,
    Number,
    Reference,
    Several,
    Text,
    Word,
    depth,
    parse,
    walk,
)
from observability.model import Query
from observability.statistics import Values

MOST_QUERIES: Final = 500  # GetMetricData: metrics and expressions in a request; of a graph likewise
DEEPEST: Final = 150  # ours, well within Python's own limit

Run = Callable[[Frame], Value]


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of an expression, ready to run.

    Attributes:
        rowwise: how many series its result has depends on the data, so that evaluations have to be run one by one.
    """

    kind: Kind
    run: Run
    pointwise: bool = True
    rowwise: bool = False


@dataclass(frozen=True, slots=True)
class _Result:
    query: Query
    step: _Step
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Program:
    """Queries that were found to fit together.

    Attributes:
        queries: as they were given.
        metrics: those of them that are metrics.
        pointwise: whether each point of what is returned depends on points of the same time alone, so that it does not
            matter which times are evaluated together.
    """

    queries: tuple[Query, ...]
    metrics: tuple[Query, ...]
    pointwise: bool
    _results: Mapping[str, _Result]  # by Id, each after those that it needs

    def alarm(self, arrays: Mapping[str, Values], starts: ArrayLike, period: int) -> Values:
        """The one time series that an alarm compares with its threshold.

        Args:
            arrays: values of the metrics by Id, each of shape (..., n): the last axis is time, oldest first, NaN where
                there is no data point; leading axes are evaluations that do not know of each other.
            starts: epoch seconds at which the windows of the points begin, shape (..., n).
            period: seconds of a window.

        Returns: array of shape (..., n), to be read only.

        Raises:
            MathError: what is returned is not one time series, as CloudWatch wants it of an alarm; or SLICE or SORT is
                given a number that is no place in an array.
        """
        result = self._alarmed()
        frame = _frame(arrays, starts, period)
        if not any(self._results[id_].step.rowwise for id_ in {*result.needs, result.query.id}):
            return self._one(result, frame)
        rows = [self._one(result, _row(frame, place)) for place in np.ndindex(frame.shape[:-1])]
        return np.reshape(np.array(rows, dtype=np.float64), frame.shape)

    def lines(self, arrays: Mapping[str, Values], starts: ArrayLike, period: int) -> dict[str, list[Line]]:
        """What a graph draws, by Id of the returned queries, in their order.

        A line is called by the label of its query, else by the metric's name or the expression's Id. Lines of an array
        have the label of the expression, if any, before that of the metric.

        Args:
            arrays, starts, period: as for `alarm`, of shape (n,).
        """
        frame = _frame(arrays, starts, period)
        wanted = [self._results[query.id] for query in self.queries if query.returned]
        self._run(frame, frozenset(id_ for result in wanted for id_ in (*result.needs, result.query.id)))
        return {result.query.id: _drawn(result, frame) for result in wanted}

    def _alarmed(self) -> _Result:
        returned = [query for query in self.queries if query.returned]
        if len(returned) != 1:
            ids = ", ".join(query.id for query in returned) or "none"
            raise MathError(f"an alarm compares the result of one query, here {ids} have ReturnData true")
        result = self._results[returned[0].id]
        if result.step.kind is not Kind.TS:
            raise MathError(
                "an alarm compares one time series, this is an array of them (TS[])",
                "Make one of it: SUM, AVG, MIN, MAX, FIRST or LAST of the array.",
                expression=result.query.expression or "",
                query=result.query.id,
            )
        return result

    def _one(self, result: _Result, frame: Frame) -> Values:
        self._run(frame, result.needs | {result.query.id})
        return np.broadcast_to(frame.values[result.query.id], frame.shape)

    def _run(self, frame: Frame, wanted: frozenset[str]) -> None:
        with np.errstate(all="ignore"):
            for id_, result in self._results.items():
                if id_ in wanted and not result.query.stat:
                    try:
                        frame.values[id_] = result.step.run(frame)
                    except MathError as error:
                        raise error.within(id_, result.query.expression or "") from None


def compile_queries(queries: Sequence[Query]) -> Program:
    """Checks that the queries fit together: references, cycles, and what each function and operator is given.

    Raises:
        MathError: CloudWatch would refuse them, or they need what is not evaluated here; with the query, the place in
            its expression and what is allowed.
    """
    given = _by_id(queries)
    trees = {query.id: _parsed(query) for query in queries if not query.stat}
    results: dict[str, _Result] = {}
    for id_ in _ordered(given, trees):
        query = given[id_]
        if query.id not in trees:
            results[id_] = _Result(query, _Step(Kind.TS, _fetch(id_)), frozenset())
            continue
        compiler = _Compiler(given, results, query)
        step = compiler.compile(trees[id_])
        if step.kind is Kind.S:
            raise compiler.refusal(
                trees[id_],
                "the result of an expression has to be a time series (TS or TS[]), this is one number (S)",
                "Use it within an expression that gives a series, or write TIME_SERIES(...).",
            )
        direct = _named(trees[id_], given)
        needs = frozenset(direct).union(*(results[each].needs for each in direct))
        results[id_] = _Result(query, step, needs)
    returned = [results[query.id] for query in queries if query.returned]
    used = {id_ for result in returned for id_ in (*result.needs, result.query.id)}
    return Program(
        queries=tuple(queries),
        metrics=tuple(query for query in queries if query.stat),
        pointwise=all(results[id_].step.pointwise for id_ in used),
        _results=results,
    )


def _by_id(queries: Sequence[Query]) -> dict[str, Query]:
    if len(queries) > MOST_QUERIES:
        raise MathError(f"there are {len(queries)} metrics and expressions, CloudWatch takes at most {MOST_QUERIES}")
    given: dict[str, Query] = {}
    for query in queries:
        if not (query.id.isascii() and query.id.isidentifier() and query.id[0].islower()):
            raise MathError(
                f"Id {query.id!r} is not allowed: letters, digits and underscores, the first a lower-case letter"
            )
        if query.id in given:
            raise MathError(f"two queries have the Id {query.id!r}")
        given[query.id] = query
    return given


def _parsed(query: Query) -> Node:
    try:
        return parse(query.expression or "")
    except MathError as error:
        raise error.within(query.id, query.expression or "") from None


def _named(tree: Node, given: Mapping[str, Query]) -> dict[str, Node]:
    """Ids that an expression needs, METRICS() included, and where it names them."""
    named: dict[str, Node] = {}
    for node in walk(tree):
        if isinstance(node, Reference):
            named.setdefault(node.id, node)
        elif isinstance(node, Call) and node.name == "METRICS":
            for query in given.values():
                if query.stat:
                    named.setdefault(query.id, node)
    return named


def _ordered(given: Mapping[str, Query], trees: Mapping[str, Node]) -> list[str]:
    """The Ids, each after those that its expression needs."""
    ordered: dict[str, None] = {}
    for root in given:
        path: dict[str, Iterable[str]] = {root: iter(_checked(root, given, trees))}
        while path:
            current = [*path][-1]
            following = next((each for each in path[current] if each not in ordered), None)
            if following is None:
                ordered[current] = None
                del path[current]
            elif following in path:
                ids = [*path][[*path].index(following) :]
                raise MathError(
                    f"expressions need each other: {' -> '.join([*ids, following])}",
                    expression=given[current].expression or "",
                    place=_named(trees[current], given)[following].place,
                    query=current,
                )
            else:
                path[following] = iter(_checked(following, given, trees))
    return [*ordered]


def _checked(id_: str, given: Mapping[str, Query], trees: Mapping[str, Node]) -> list[str]:
    named = _named(trees[id_], given) if id_ in trees else {}
    for each, node in named.items():
        if each not in given:
            near = get_close_matches(each, given, 1)
            raise MathError(
                f"there is no query with the Id {each!r}; there are {', '.join(given)}",
                f"Is {near[0]} meant?" if near else "",
                expression=given[id_].expression or "",
                place=node.place,
                query=id_,
            )
    return [*named]


class _Compiler:
    """Works out, of one expression, what each part gives, and makes a function of it."""

    def __init__(self, given: Mapping[str, Query], results: Mapping[str, _Result], query: Query) -> None:
        self._given, self._results, self._query = given, results, query

    def compile(self, tree: Node) -> _Step:
        if depth(tree) > DEEPEST:
            raise self.refusal(
                tree,
                f"it is more than {DEEPEST} operations deep",
                "Write SUM([...]) for a long sum, or make a part of it an expression of its own.",
            )
        return self._step(tree)

    def refusal(self, node: Node, fault: str, remedy: str = "") -> MathError:
        return MathError(fault, remedy, expression=self._query.expression or "", place=node.place, query=self._query.id)

    def _step(self, node: Node) -> _Step:
        match node:
            case Number(value=value):
                if not isfinite(value):
                    raise self.refusal(node, "it is too large a number")
                return _Step(Kind.S, lambda _: value)
            case Reference(id=id_):
                result = self._results[id_]
                return _Step(result.step.kind, _fetch(id_))
            case Negative(operand=operand):
                step = self._step(operand)
                return _applied(negative(step.kind), [step])
            case Binary():
                return self._binary(node)
            case Several(items=items):
                return self._several(items)
            case Call(name="METRICS"):
                return self._metrics(node)
            case Call():
                return self._call(node)
            case Text():
                raise self.refusal(node, "text in quotes is for METRICS alone")
            case Word(name=name):
                called = name in FUNCTIONS or name in REFUSED or name == "METRICS"
                fault = f"{name} is a function and needs parentheses" if called else f"{name} is not a value"
                raise self.refusal(node, fault, "" if called else "Ids begin with a lower-case letter.")

    def _binary(self, node: Binary) -> _Step:
        left, right = self._step(node.left), self._step(node.right)
        form = operator(node.operator, left.kind, right.kind)
        if form is None:
            raise self.refusal(
                node,
                f"{node.operator} does not work on {left.kind} and {right.kind}",
                "Make one series of an array first: SUM, AVG, MIN, MAX, FIRST or LAST of it.",
            )
        return _applied(form, [left, right])

    def _several(self, items: Sequence[Node]) -> _Step:
        steps = [self._step(item) for item in items]
        for item, step in zip(items, steps, strict=True):
            if step.kind is Kind.S:
                raise self.refusal(
                    item,
                    "an array is of time series, this is one number (S)",
                    "Make a series of it: TIME_SERIES(...).",
                )
        labels = [self._label(item) for item in items]

        def run(frame: Frame) -> Lines:
            found: list[Line] = []
            for step, label in zip(steps, labels, strict=True):
                value = step.run(frame)
                found.extend(value if step.kind is Kind.ARRAY else [Line(label, value)])
            return tuple(found)

        return _Step(Kind.ARRAY, run, all(step.pointwise for step in steps), any(step.rowwise for step in steps))

    def _label(self, node: Node) -> str:
        return _name(self._given[node.id]) if isinstance(node, Reference) else ""

    def _metrics(self, node: Call) -> _Step:
        match node.arguments:
            case ():
                part = ""
            case (Text(value=part),):
                pass
            case _:
                raise self.refusal(node, 'METRICS takes nothing, or text in quotes that Ids contain: METRICS("errors")')
        chosen = [query for query in self._given.values() if query.stat and part in query.id]
        if not chosen:
            ids = ", ".join(query.id for query in self._given.values() if query.stat) or "none"
            raise self.refusal(node, f"no metric has an Id with {part!r} in it; the metrics are {ids}")
        return _Step(Kind.ARRAY, lambda frame: tuple(Line(_name(query), frame.values[query.id]) for query in chosen))

    def _call(self, node: Call) -> _Step:
        name = node.name
        if name in REFUSED:
            raise self.refusal(node, f"{name} is not evaluated here: {REFUSED[name]}")
        if name not in FUNCTIONS:
            near = get_close_matches(name, [*FUNCTIONS, "METRICS"], 1)
            raise self.refusal(node, f"there is no function {name}", f"Is {near[0]} meant?" if near else "")
        forms = FUNCTIONS[name]
        words = {word for form in forms for take in form.takes for word in take.split("|")}
        # A word of this function is an option; any other is looked at, and refused, as a value.
        steps = [None if isinstance(each, Word) and each.name in words else self._step(each) for each in node.arguments]
        form = next((form for form in forms if self._fits(form, node.arguments, steps)), None)
        if form is None:
            found = ", ".join(
                step.kind if step else getattr(each, "name", "")
                for each, step in zip(node.arguments, steps, strict=True)
            )
            raise self.refusal(node, f"{name} takes {' or '.join(map(str, forms))}, here it is given ({found})")
        chosen = [
            step or _Step(Kind.S, _constant(getattr(each, "name", "")))
            for each, step in zip(node.arguments, steps, strict=True)
        ]
        rowwise = name == "REMOVE_EMPTY" or (
            name in ("SLICE", "SORT")
            and any(
                take == Kind.S and not isinstance(each, Number)
                for each, take in zip(node.arguments, form.takes, strict=True)
            )
        )
        return _applied(form, chosen, rowwise=rowwise)

    def _fits(self, form: Form, arguments: Sequence[Node], steps: Sequence[_Step | None]) -> bool:
        if len(form.takes) != len(arguments):
            return False
        for take, node, step in zip(form.takes, arguments, steps, strict=True):
            if step is None:
                fits = isinstance(node, Word) and node.name in take.split("|")
            elif take == "metric":
                fits = isinstance(node, Reference) and self._given[node.id].stat is not None
            else:
                fits = step.kind == take
            if not fits:
                return False
        return True


def _applied(form: Form, steps: Sequence[_Step], *, rowwise: bool = False) -> _Step:
    runs = [step.run for step in steps]
    return _Step(
        form.gives,
        lambda frame: form.run(frame, *(run(frame) for run in runs)),
        form.pointwise and all(step.pointwise for step in steps),
        rowwise or any(step.rowwise for step in steps),
    )


def _fetch(id_: str) -> Run:
    return lambda frame: frame.values[id_]


def _constant(value: Any) -> Run:
    return lambda _: value


def _frame(arrays: Mapping[str, Values], starts: ArrayLike, period: int) -> Frame:
    at: NDArray[Any] = np.asarray(starts)
    shape = np.broadcast_shapes(at.shape, *(values.shape for values in arrays.values()))
    return Frame(at, period, shape, dict(arrays))


def _row(frame: Frame, place: tuple[int, ...]) -> Frame:
    def row(values: NDArray[Any]) -> NDArray[Any]:
        whole: NDArray[Any] = np.broadcast_to(values, frame.shape)[place]
        return whole

    return Frame(
        row(frame.starts), frame.period, frame.shape[-1:], {id_: row(values) for id_, values in frame.values.items()}
    )


def _drawn(result: _Result, frame: Frame) -> list[Line]:
    value, label = frame.values[result.query.id], result.query.label
    if result.step.kind is not Kind.ARRAY:
        return [Line(_name(result.query), np.broadcast_to(value, frame.shape))]
    return [
        Line(" ".join(filter(None, (label, line.label))), np.broadcast_to(line.values, frame.shape)) for line in value
    ]


def _name(query: Query) -> str:
    return query.label or (query.stat.key.name if query.stat else query.id)

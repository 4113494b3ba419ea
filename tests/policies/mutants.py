"""Rules with one slip in them: each condition the other way round, each constant a little off, each line left out.

What is changed is the check of a rule, and the functions of the pack that it calls; not how a property is read
(`policies.model`), nor what a finding says. A mutant is the code of a function, and takes its place while its rules
are asked: so it does not matter who has imported the function under which name.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import CodeType, FunctionType
from typing import Any, Final

from policies.model import Rule

_OTHERS: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_OPPOSITES: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
_ARITHMETIC: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """A function with one slip; `what` says which, and is unique in the function."""

    what: str
    code: CodeType


def functions(rule: Rule) -> set[FunctionType]:
    """A rule's check, and the functions of the pack that it calls, however far down."""
    found: set[FunctionType] = set()
    reached = [_plain(rule.check)]
    while reached:
        function = reached.pop()
        if function in found or function.__module__ == "policies.model":
            continue
        found.add(function)
        named = {name for code in _codes(function.__code__) for name in code.co_names}
        called = [function.__globals__.get(name) for name in sorted(named)]
        reached += [
            each for each in called if isinstance(each, FunctionType) and each.__module__.startswith("policies.")
        ]
    return found


def mutants(function: FunctionType) -> Iterator[Mutant]:
    """Every mutant of a function."""
    places = sum(1 for _ in _slips(_parsed(function), function))
    seen: dict[str, int] = {}
    for number in range(places):
        tree = _parsed(function)
        what = _done(tree, function, number)
        seen[what] = seen.get(what, 0) + 1
        nth = f" ({seen[what]})" if seen[what] > 1 else ""
        yield Mutant(f"{what}{nth}", _compiled(tree, function))


def loosened(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with another slip outside of its check: each type left out, each number of its settings a little off."""
    if len(rule.types) > 1:
        for type_ in rule.types:
            others = tuple(each for each in rule.types if each != type_)
            yield f"{type_} left out", replace(rule, types=others)
    for name, given in rule.defaults.items():
        if isinstance(given, int | float) and not isinstance(given, bool):
            for other in (given - 1, given + 1):
                yield f"{name}: {given} to {other}", replace(rule, defaults={**rule.defaults, name: other})


@contextmanager
def in_place(function: FunctionType, mutant: Mutant) -> Iterator[None]:
    """The mutant runs wherever the function is called."""
    before = function.__code__
    function.__code__ = mutant.code
    try:
        yield
    finally:
        function.__code__ = before


def name_of(function: FunctionType) -> str:
    """Module and name, such as `alarms.alarm_tells`."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


# Source and code


def _plain(check: Any) -> FunctionType:
    assert isinstance(check, FunctionType), f"{check!r} is no plain function, so its code cannot be changed"
    assert check.__code__.co_freevars == (), f"{check.__name__} is made inside of another function"
    return check


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of what is defined in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _codes(each)


def _parsed(function: FunctionType) -> ast.FunctionDef:
    (made,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(made, ast.FunctionDef)
    made.decorator_list = []
    if ast.get_docstring(made) is not None:
        made.body = made.body[1:] or [ast.Pass()]
    return made


def _compiled(tree: ast.FunctionDef, function: FunctionType) -> CodeType:
    module = ast.fix_missing_locations(ast.Module([tree], []))
    made: dict[str, Any] = {}
    exec(compile(module, f"<mutant of {name_of(function)}>", "exec"), dict(function.__globals__), made)
    code: CodeType = made[function.__name__].__code__
    return code


# Slips: each is what it does, and how

Slip = tuple[str, Callable[[], None]]


def _done(tree: ast.FunctionDef, function: FunctionType, number: int) -> str:
    """Does one slip to a tree; what it is."""
    for at, (what, change) in enumerate(_slips(tree, function)):
        if at == number:
            change()
            return what
    raise AssertionError(f"no slip {number}")


def _slips(tree: ast.FunctionDef, function: FunctionType) -> Iterator[Slip]:
    for parent in _walked(tree):
        yield from _of_lines(parent)
        for field, index, node in _expressions(parent):
            yield from _of_expression(parent, field, index, node, function)


def _walked(tree: ast.FunctionDef) -> Iterator[ast.AST]:
    """All nodes but annotations and what findings and exceptions say."""
    reached: list[ast.AST] = [tree]
    while reached:
        node = reached.pop(0)
        yield node
        reached += [
            each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.Yield | ast.Raise | ast.arguments)
        ]


def _expressions(parent: ast.AST) -> Iterator[tuple[str, int | None, ast.expr]]:
    """The expressions directly in a node, and where."""
    skipped = {"annotation", "returns", "args"} if isinstance(parent, ast.FunctionDef | ast.AnnAssign) else set()
    for field, value in ast.iter_fields(parent):
        if field in skipped or isinstance(value, ast.Yield):
            continue
        if isinstance(value, ast.expr):
            yield field, None, value
        elif isinstance(value, list):
            yield from ((field, at, each) for at, each in enumerate(value) if isinstance(each, ast.expr))


def _of_lines(parent: ast.AST) -> Iterator[Slip]:
    """Each line that tells something, or ends something early, left out."""
    for field in ("body", "orelse"):
        lines: Any = getattr(parent, field, None)
        for at, line in enumerate(lines if isinstance(lines, list) else ()):
            tells = isinstance(line, ast.Expr) and isinstance(line.value, ast.Yield | ast.YieldFrom)
            # Without the return at its end a function has no answer at all.
            answers = isinstance(line, ast.Return) and isinstance(parent, ast.FunctionDef)
            if tells or (isinstance(line, ast.Raise | ast.Continue | ast.Return) and not answers):
                # A generator that yields nothing has to stay one.
                instead = ast.parse("if False: yield").body[0] if tells else ast.Pass()
                yield f"without {_shown(line)}", partial(lines.__setitem__, at, instead)


def _of_expression(
    parent: ast.AST, field: str, index: int | None, node: ast.expr, function: FunctionType
) -> Iterator[Slip]:
    def put(new: ast.expr) -> Slip:
        def change() -> None:
            if index is None:
                setattr(parent, field, new)
            else:
                getattr(parent, field)[index] = new

        return f"{_shown(node)} -> {_shown(new)}", change

    for new in _instead(node, function):
        yield put(new)
    tested = isinstance(parent, ast.If | ast.IfExp) and field == "test"
    filtered = isinstance(parent, ast.comprehension) and field == "ifs"
    if (tested or filtered) and not isinstance(node, ast.Compare):
        yield put(_not(node))
    if filtered:
        yield put(ast.Constant(True))


def _instead(node: ast.expr, function: FunctionType) -> Iterator[ast.expr]:
    """What could stand in a node's place by a slip."""
    match node:
        case ast.Compare(left=left, ops=operators, comparators=right):
            for at, operator in enumerate(operators):
                for other in _OTHERS[type(operator)]:
                    yield ast.Compare(left, [*operators[:at], other(), *operators[at + 1 :]], right)
        case ast.BoolOp(op=operator, values=values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            for at in range(len(values)):
                rest = [*values[:at], *values[at + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test, body=yes, orelse=no):
            yield ast.IfExp(test, no, yes)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            yield ast.BinOp(left, _ARITHMETIC[type(operator)](), right)
        case ast.Call(func=ast.Name(id=name) as called) if name in _OPPOSITES:
            yield ast.Call(ast.Name(_OPPOSITES[name], called.ctx), node.args, node.keywords)
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield from (ast.Constant(value - 1), ast.Constant(value + 1))
        case ast.Constant(value=str() as value) if value:
            yield ast.Constant(f"{value}Two")
        case ast.Name(id=name) if isinstance(function.__globals__.get(name), int | float):
            yield from (ast.BinOp(node, ast.Sub(), ast.Constant(1)), ast.BinOp(node, ast.Add(), ast.Constant(1)))
        case ast.Name(id=name) if isinstance(function.__globals__.get(name), str):
            yield ast.BinOp(node, ast.Add(), ast.Constant("Two"))


def _not(node: ast.expr) -> ast.expr:
    """The opposite; of a `not` what it is of, which is a slip already."""
    return ast.UnaryOp(ast.Not(), node)


def _shown(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node))

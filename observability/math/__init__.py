"""Metric math as CloudWatch documents it: expressions over arrays of time series ("Using math expressions with
CloudWatch metrics").

`compile_queries` checks the queries of an alarm or a graph once; the `Program` it makes is then applied to arrays of
values. What is not evaluated here is refused by name.
"""

from observability.math.errors import MathError
from observability.math.functions import Line
from observability.math.program import Program, compile_queries
from observability.math.syntax import parse, references

__all__ = ["Line", "MathError", "Program", "compile_queries", "parse", "references"]

"""Dashboards drawn from their bodies and a metric store, with nothing deployed."""

from observability.dashboards.body import earliest, metrics_of
from observability.dashboards.page import Rendering, render

__all__ = ["Rendering", "earliest", "metrics_of", "render"]

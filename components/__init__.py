"""Mailroom's infrastructure: one capability per file, each a component that can be used on its own."""

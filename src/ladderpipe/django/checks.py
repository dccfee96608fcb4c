"""What ``manage.py check`` says of settings, handlers and database."""

from __future__ import annotations


def register_checks() -> None:
    """Let Django ask them."""

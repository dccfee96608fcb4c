"""Boards for programs with an event loop; the only room that knows one."""

from .board import AsyncBoard

__all__ = ["AsyncBoard"]

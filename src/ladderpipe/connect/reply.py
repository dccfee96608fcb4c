"""What is answered to one request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import attrs

__all__ = ["Reply"]


@attrs.frozen
class Reply:
    """A status, a body, and the headers that are its own."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = {}

    @classmethod
    def told(
        cls,
        status: HTTPStatus,
        content: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Return a reply in JSON."""
        written = json.dumps(content or {}).encode()
        return cls(status, written, {"Content-Type": "application/json", **(headers or {})})

    def pairs(self) -> list[tuple[str, str]]:
        """Return all headers."""
        return [("Content-Length", str(len(self.body))), *self.headers.items()]

"""Our records in the signatures of somebody's own workflows and activities: written as their JSON.

What a deal's workflow itself is told is plain JSON, so it does not depend on this, nor on whatever
converter a client has instead. A codec, for example one that encrypts, works with either.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from temporalio.converter import (
    AdvancedJSONEncoder,
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    JSONTypeConverter,
)

__all__ = ["RecordPayloadConverter", "with_records"]


class _RecordEncoder(AdvancedJSONEncoder):
    def default(self, o: Any) -> Any:
        return o.to_dict() if _is_record(type(o)) else super().default(o)


class _RecordReader(JSONTypeConverter):
    def to_typed_value(self, hint: type, value: Any) -> Any:
        if not _is_record(hint) or not hasattr(hint, "from_dict"):
            return JSONTypeConverter.Unhandled
        return hint.from_dict(value)


def _is_record(kind: Any) -> bool:
    """Return whether a class is one of our records, for example an Event."""
    ours = isinstance(kind, type) and kind.__module__.partition(".")[0] == "ladderpipe"
    return ours and hasattr(kind, "to_dict")


class RecordPayloadConverter(CompositePayloadConverter):
    """Temporal's own converter, which writes our records, too."""

    def __init__(self) -> None:
        json = JSONPlainPayloadConverter(
            encoder=_RecordEncoder, custom_type_converters=[_RecordReader()]
        )
        usual = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(json if type(each) is type(json) else each for each in usual))


def with_records(existing: DataConverter | None) -> DataConverter:
    """Return a client's converter with our records in it, if it has none of its own."""
    existing = existing or DataConverter.default
    if existing.payload_converter_class is not DefaultPayloadConverter:
        return existing
    return dataclasses.replace(existing, payload_converter_class=RecordPayloadConverter)

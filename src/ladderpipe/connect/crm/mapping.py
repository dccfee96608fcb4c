"""Which stage of a ladder is which stage in a CRM: checked in, beside the ladder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from ...errors import DefinitionError
from ...model.stage import Stage

__all__ = ["CrmMap", "listed"]

_KEYS: Final = {"pipeline", "stages", "properties"}


def _texts(told: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in told.items()}


@attrs.frozen(kw_only=True)
class CrmMap:
    """What stages, and properties, of a board are called in a CRM.

    Several stages may be one in the CRM. Whoever moves a deal there moves it into the first of
    them.

    Args:
        pipeline: id of the CRM's pipeline.
        stages: id of the CRM's stage by the key of ours; every stage of the ladder has one.
        properties: names in the CRM by ours, told in both directions: what a stage requires is
            filled there by whoever moves a deal into it.

    Raises:
        DefinitionError: there are no stages.
    """

    pipeline: str = attrs.field(converter=str)
    stages: Mapping[str, str] = attrs.field(converter=_texts)
    properties: Mapping[str, str] = attrs.field(factory=dict, converter=_texts)

    def __attrs_post_init__(self) -> None:
        if not self.stages:
            raise DefinitionError(
                "the map names no stages: say under [stages] which stage of the CRM each stage "
                "of the ladder is"
            )

    @classmethod
    def from_file(cls, path: str | Path) -> CrmMap:
        """Return the map that a TOML file holds.

        Raises:
            DefinitionError: it cannot be read as one.
            OSError: there is no such file.
        """
        try:
            told = tomllib.loads(Path(path).read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DefinitionError(f"{path} is no TOML: {error}") from None
        unknown = sorted(set(told) - _KEYS)
        tables = [told.get(name, {}) for name in ("stages", "properties")]
        if unknown or "pipeline" not in told or not all(isinstance(it, dict) for it in tables):
            extra = f", and it has {', '.join(unknown)}" if unknown else ""
            raise DefinitionError(
                f"{path} has to say pipeline = '…' of the CRM, [stages], and may say "
                f"[properties]{extra}"
            )
        return cls(**told)

    def mistakes(self, stages: Sequence[Stage]) -> list[str]:
        """Return what does not go with a ladder's stages."""
        keys = [stage.key for stage in stages]
        return [
            *(
                f"stage {key!r} of the ladder is not in the map"
                for key in keys
                if key not in self.stages
            ),
            *(f"the ladder has no stage {key!r}" for key in self.stages if key not in keys),
        ]

    def missing(self, there: Mapping[str, str]) -> list[str]:
        """Return which stages the CRM's pipeline lacks, in words, and at the end what there is.

        Args:
            there: names of the pipeline's stages by id.
        """
        found = [
            f"no stage {theirs!r}, which is to be {ours!r}"
            for ours, theirs in self.stages.items()
            if theirs not in there
        ]
        if found:
            found[-1] += f"; there are {listed(there)}"
        return found

    def stage_of(self, told: str) -> str | None:
        """Return the first of our stages that is this stage of the CRM's, ``None`` if none is."""
        return next((key for key, stage in self.stages.items() if stage == told), None)


def listed(there: Mapping[str, str]) -> str:
    """Return ids with their names, for people to choose from."""
    return ", ".join(f"{id} ({name})" for id, name in there.items()) or "none"

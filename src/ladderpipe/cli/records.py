"""What ``--json`` prints of findings; other records have their own ``to_dict``."""

from __future__ import annotations

from typing import Any

from ..ladder.check import Finding

__all__ = ["finding_record"]


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding of ``check``."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "stage": finding.stage,
        "rule": finding.rule,
    }

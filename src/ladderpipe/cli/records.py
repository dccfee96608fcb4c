"""What ``--json`` prints of findings and totals; of deals, their own ``to_dict``."""

from __future__ import annotations

from typing import Any

from ..board.read import StageTotal
from ..ladder.check import Finding
from ..model.money import amount_text

__all__ = ["finding_record", "total_record"]


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding of ``check``."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "stage": finding.stage,
        "rule": finding.rule,
    }


def total_record(total: StageTotal) -> dict[str, Any]:
    """Return what one stage holds in one currency."""
    weighted = total.weighted_value
    return {
        "currency": total.currency,
        "count": total.count,
        "value": amount_text(total.value),
        "weighted_value": None if weighted is None else amount_text(weighted),
        "unvalued": total.unvalued,
    }

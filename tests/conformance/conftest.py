"""Every test that asks for ``store`` runs over each of them."""

from tests.integration.conftest import store

__all__ = ["store"]

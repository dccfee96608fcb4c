"""Guards: what has to hold for a rule to move a deal. They combine with ``&``, ``|`` and ``~``."""

from .ladder.guards import *  # noqa: F403
from .ladder.guards import __all__ as __all__

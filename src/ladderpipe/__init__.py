"""A ladder-style pipeline state machine for deals: always in exactly one stage."""

from .clock import Clock, ManualClock, SystemClock
from .deals import Cart, CartLine, Deal, Move, Outcome, Receipt, Visit
from .events import Event
from .history import History
from .pipeline import Pipeline
from .rules import ANY, Rule, Timer, VisitTimes, after, by_hand, on
from .stages import Stage, do, wait

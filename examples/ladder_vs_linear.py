"""Ladder against linear: what happens when a deal goes back a stage.

The same lead, the same four events, the same mails, on two pipelines:

1. a linear one, as campaign builders have them: reaching a stage starts its sequence and stops
   the sequences of the stages *before* it. Nobody thought of going back;
2. a ladder: moving into a stage is moving out of the one before.

Run it without arguments.
"""

import datetime as dt

import attrs

from ladderpipe import Board, Event, ManualClock, Pipeline, Stage, do, on, wait

VALUE = 12_000  # euros, the one deal of this story

MAILS = {  # stage: (days after entering it, subject)
    "new_opportunity": [(1, "Thank you for your enquiry")],
    "contacting": [(1, "We tried to reach you"), (4, "Is this still of interest?")],
    "working": [(2, "Your offer is taking shape"), (5, "Shall we sign this week?")],
}

STORY = [
    ("lead.created", "2026-01-05T09:00Z", "new_opportunity", "Monday: Ada asks for an offer"),
    ("contact.attempted", "2026-01-05T15:00Z", "contacting", "Monday: we call, nobody answers"),
    ("contact.replied", "2026-01-06T10:00Z", "working", "Tuesday: Ada calls back"),
    ("contact.attempted", "2026-01-07T10:00Z", "contacting", "Wednesday: wrong number after all"),
]
END = dt.datetime(2026, 1, 16, tzinfo=dt.UTC)


# -- 1. linear --------------------------------------------------------------------------------


@attrs.define
class LinearPipeline:
    """Stages in a row. A deal is in every stage that it reached and that was not finished."""

    stages: list[str]
    reached: dict[str, dt.datetime] = attrs.field(factory=dict)
    scheduled: list[tuple[dt.datetime, str, str]] = attrs.field(factory=list)

    def reach(self, stage: str, at: dt.datetime) -> None:
        """Finish what comes before *stage* in the row, then start it."""
        for earlier in self.stages[: self.stages.index(stage)]:
            self.reached.pop(earlier, None)
            self.scheduled = [
                mail for mail in self.scheduled if mail[0] <= at or mail[1] != earlier
            ]
        self.reached[stage] = at
        for days, subject in MAILS[stage]:
            self.scheduled.append((at + dt.timedelta(days=days), stage, subject))

    def sent(self, until: dt.datetime) -> list[tuple[dt.datetime, str]]:
        """Return when each mail went out."""
        return sorted((due, subject) for due, _, subject in self.scheduled if due <= until)

    def report(self) -> dict[str, int]:
        """Return the value per stage, as the sales report adds it up."""
        return {stage: VALUE for stage in self.stages if stage in self.reached}


# -- 2. ladder --------------------------------------------------------------------------------


def sequence(stage: str) -> list:
    """Return the same mails as a ladder's sequence: waits count from one step to the next."""
    steps, before = [], 0
    for days, subject in MAILS[stage]:
        steps += [wait(days=days - before), do("email", subject=subject)]
        before = days
    return steps


new, contacting, working = (
    Stage(key, title=key.replace("_", " ").title(), sequence=sequence(key)) for key in MAILS
)
won = Stage("won", status="won")
lost = Stage("lost", status="lost")

ladder = Pipeline(
    "new-to-won",
    stages=[new, contacting, working, won, lost],
    rules=[
        on("lead.created", into=new, opens=True),
        on("contact.attempted", into=contacting),
        on("contact.replied", into=working),
        on("deal.won", into=won),
        on("deal.lost", into=lost),
    ],
)


# -- both, side by side -----------------------------------------------------------------------


def main() -> None:
    clock = ManualClock("2026-01-05T09:00:00Z")
    board = Board(ladder, clock=clock)
    inbox: list[tuple[dt.datetime, str]] = []

    @board.handles("email")
    def send(delivery):
        inbox.append((clock.now(), delivery.payload["subject"]))

    def work_until(end):
        while clock.now() < end:
            clock.set(min(clock.now() + dt.timedelta(hours=1), end))
            board.tick()
            board.deliver()

    linear = LinearPipeline(list(MAILS))

    print(f"{'':<38}{'LINEAR: the deal is in':<30}LADDER: the deal is in")
    for number, (kind, at, stage, words) in enumerate(STORY):
        at = dt.datetime.fromisoformat(at)
        work_until(at)
        linear.reach(stage, at)
        deal = board.handle(
            Event(kind, deal="ada", id=f"e{number}", at=at, data={"value": str(VALUE)})
        ).deal
        print(f"{words:<38}{' + '.join(linear.reached):<30}{deal.stage}")
    work_until(END)

    print("\nWhat Ada finds in her inbox")
    mails = sorted({*linear.sent(END), *inbox})
    for when, subject in mails:
        marks = ["x" if (when, subject) in sent else "-" for sent in (linear.sent(END), inbox)]
        print(f"  {when:%a %d %H:%M}  {subject:<30}linear {marks[0]}   ladder {marks[1]}")

    summary = {row.stage.key: int(row.value) for row in board.summary()}
    print("\nThe sales report")
    for name, report in (("linear", linear.report()), ("ladder", summary)):
        told = ", ".join(f"{stage} {value:,} €" for stage, value in report.items())
        print(f"  {name}: {told}; open value {sum(report.values()):,} €")

    check(linear, board, inbox, summary)


def check(linear, board, inbox, summary) -> None:
    assert list(linear.reached) == ["working", "contacting"], "linear: in two stages"
    assert board.deal("ada").stage == contacting, "ladder: in one"
    assert sum(visit.left_at is None for visit in board.history("ada").visits) == 1

    after_going_back = dt.datetime(2026, 1, 7, 10, tzinfo=dt.UTC)
    late = {subject for when, subject in linear.sent(END) if when > after_going_back}
    assert {subject for _, subject in MAILS["working"]} <= late, "linear: two sequences run"
    assert not {subject for _, subject in MAILS["working"]} & {s for _, s in inbox}
    assert {subject for _, subject in MAILS["contacting"]} <= {s for _, s in inbox}

    assert sum(linear.report().values()) == 2 * VALUE, "linear: counted twice"
    assert sum(summary.values()) == VALUE, "ladder: counted once"
    print("\nOne deal of 12,000 € is 24,000 € in a line, and 12,000 € on a ladder.")


if __name__ == "__main__":
    main()

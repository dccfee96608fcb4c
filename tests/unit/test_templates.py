"""The ready ladders: what each one tells, asks for, and makes of a typical story."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from ladderpipe import Board, ManualClock, Pipeline, Stage, by_hand, load, templates
from ladderpipe.errors import DefinitionError, MissingPropertyError
from ladderpipe.ladder.rules import ByHand
from ladderpipe.mail import MailTemplates
from ladderpipe.model.clock import instant
from ladderpipe.model.stage import DoStep
from ladderpipe.templates import Notice, Reminder
from tests.ladders import sales_ladder
from tests.stories import ADA, START, Story, event

LADDERS = [getattr(templates, name) for name in templates.names()]

every_ladder = pytest.mark.parametrize("ladder", LADDERS, ids=templates.names())
every_name = pytest.mark.parametrize("name", templates.names())

LINE = {"sku": "NB-15", "title": "Notebook 15", "quantity": 2, "unit_price": "899.00"}
"""What Ada puts in her cart."""

BANT = {"budget": "20000", "authority": "CFO", "need": "stock", "timing": "Q2"}
"""What is known of a lead that is qualified."""

TITLES = {
    "crm_default": {
        "new": ("Nuova", "New"),
        "verification": ("In fase di verifica", "Under review"),
        "demo": ("Demo programmata", "Demo scheduled"),
        "commitment": ("In attesa di impegno", "Awaiting commitment"),
        "negotiation": ("Trattativa in corso", "In negotiation"),
        "won": ("Ottenuta", "Won"),
        "lost": ("Persa", "Lost"),
    },
    "kanban": {
        "new_contact": ("Nuovo contatto", "New contact"),
        "worked_by_phone": ("Contatto lavorato telefonicamente", "Contact worked by phone"),
        "proposal_sent": ("Proposta inviata", "Proposal sent"),
        "contract_signed": ("Contratto firmato", "Contract signed"),
        "customer_acquired": ("Cliente acquisito", "Customer acquired"),
    },
    "new_to_won": {
        "new_opportunity": ("Nuova opportunità", "New Opportunity"),
        "contacting": ("Contatto in corso", "Contacting"),
        "working": ("In lavorazione", "Working"),
        "won": ("Vinta", "Won"),
        "lost": ("Persa", "Lost"),
    },
    "prospecting": {
        "prospecting": ("Prospecting o lead generation", "Prospecting or lead generation"),
        "nurturing": ("Contatti iniziali e lead nurturing", "First contacts and lead nurturing"),
        "qualification": ("Qualificazione dei lead", "Lead qualification"),
        "demo": ("Demo del prodotto o prova gratuita", "Product demo or free trial"),
        "proposal": ("Proposta o negoziazione", "Proposal or negotiation"),
        "closing": ("Chiusura dell'affare", "Closing the deal"),
        "won": ("Affare vinto", "Deal won"),
        "lost": ("Affare perso", "Deal lost"),
    },
    "sales_management": {
        "quote_requested": ("Richiesta preventivo", "Quote requested"),
        "cart_parked": ("Carrello parcheggiato", "Cart parked"),
        "cart_saved": ("Carrello salvato", "Cart saved"),
        "order_review": ("Riepilogo ordine", "Order review"),
        "order_confirmed": ("Ordine confermato", "Order confirmed"),
        "checkout_abandoned": ("Check Out abbandonato", "Checkout abandoned"),
        "lost": ("Trattativa persa", "Deal lost"),
        "refunded": ("Ordine rimborsato", "Order refunded"),
        "cart_merged": ("Carrello unito", "Cart merged"),
    },
}
"""What people see on each ladder, in Italian and English, from the bottom to the top."""


# -- every ladder -------------------------------------------------------------------------------


@every_ladder
def test_each_call_makes_a_new_pipeline(ladder: Callable[[], Pipeline]):
    first, second = ladder(), ladder()
    first.bind()
    second.move_into(second.stages[0])(lambda ctx: None)
    assert first.fingerprint == second.fingerprint


@every_ladder
def test_check_has_nothing_to_say(ladder: Callable[[], Pipeline]):
    """But that the board of five columns has none for what is lost."""
    pipeline = ladder()
    worth_knowing = ["L007"] if pipeline.name == "kanban" else []
    assert [finding.code for finding in pipeline.check()] == worth_knowing


@every_ladder
def test_titles_are_in_both_languages(ladder: Callable[[], Pipeline]):
    pipeline = ladder()
    for titles in (pipeline.titles, *(stage.titles for stage in pipeline.stages)):
        assert set(titles) == {"it", "en"}
        assert titles["it"] != titles["en"]


@every_name
def test_the_titles_are_those_that_people_know(name: str):
    stages = getattr(templates, name)().stages
    assert {s.key: (s.titles["it"], s.titles["en"]) for s in stages} == TITLES[name]
    assert [s.key for s in stages] == list(TITLES[name])


@every_ladder
def test_the_chosen_language_comes_first_and_changes_no_history(ladder: Callable[..., Pipeline]):
    italian, english = ladder("it"), ladder("en")
    assert [stage.title for stage in italian.stages] == [s.titles["it"] for s in english.stages]
    assert [stage.title for stage in english.stages] == [s.titles["en"] for s in italian.stages]
    assert italian.fingerprint == english.fingerprint


@every_ladder
def test_a_language_we_do_not_write_is_refused(ladder: Callable[..., Pipeline]):
    with pytest.raises(DefinitionError, match="the ladders speak it and en"):
        ladder("de")


@every_ladder
def test_a_definition_survives_being_written_down(ladder: Callable[[], Pipeline]):
    pipeline = ladder()
    written = pipeline.to_dict()
    again = Pipeline.from_dict(written, allow=["ladderpipe"])
    assert again.to_dict() == written
    assert again.fingerprint == pipeline.fingerprint
    for stage in pipeline.stages:
        assert again.hooks("into", stage) == pipeline.hooks("into", stage)


@every_ladder
def test_winning_grows_likelier_on_the_way_up(ladder: Callable[[], Pipeline]):
    pipeline = ladder()
    climb = [stage.probability for stage in pipeline.stages if stage.status == "open"]
    if pipeline.name == "sales-management":
        climb.remove(0.05)  # a parked cart is the one open stage that is a step down
    assert climb == sorted(climb)
    assert all(stage.probability is not None for stage in pipeline.stages)


@every_ladder
def test_losing_by_hand_needs_a_reason(ladder: Callable[[], Pipeline]):
    by_hand = [rule.into for rule in ladder().rules if isinstance(rule.trigger, ByHand)]
    lost = [stage for stage in by_hand if stage.status == "lost"]
    assert [stage.requires for stage in lost] == [("loss_reason",)] * len(lost)
    assert lost or ladder().name == "kanban", "five columns, and none for what comes to nothing"


@every_ladder
def test_every_mail_that_a_hook_asks_for_is_written(ladder: Callable[[], Pipeline]):
    templates_asked = {payload["template"] for payload in every_mail(ladder())}
    mails = MailTemplates()
    assert templates_asked
    assert templates_asked <= set(mails.names("it"))
    assert templates_asked <= set(mails.names("en"))


@every_ladder
def test_whoever_has_no_address_is_sent_nothing(ladder: Callable[[], Pipeline]):
    assert every_mail(ladder(), contact={"name": "Ada"}) == []


@every_ladder
def test_tasks_are_written_in_the_chosen_language(ladder: Callable[..., Pipeline]):
    italian, english = tasks(ladder("it")), tasks(ladder("en"))
    assert len(italian) == len(english) > 0
    assert not set(italian) & set(english)


def test_no_mail_is_written_for_nobody():
    asked = {payload["template"] for ladder in LADDERS for payload in every_mail(ladder())}
    assert asked == set(MailTemplates().names("it"))


# -- as files -----------------------------------------------------------------------------------


@every_name
@pytest.mark.parametrize("language", ["it", "en"])
def test_the_file_is_the_ladder(name: str, language: Any, tmp_path: Path):
    path = tmp_path / "own.toml"
    path.write_text(templates.text(name, language), "utf-8")
    pipeline = getattr(templates, name)(language)
    assert json.dumps(load(path).to_dict()) == json.dumps(pipeline.to_dict())


@every_name
def test_a_file_says_the_same_in_both_languages(name: str):
    """Nothing but the order of titles differs, and none was overlooked."""
    italian, english = templates.text(name, "it"), templates.text(name, "en")
    assert tomllib.loads(italian) == tomllib.loads(english)
    assert "{ it =" in italian
    assert "{ it =" not in english


def test_a_ladder_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(DefinitionError, match="did you mean 'kanban'"):
        templates.text("kanbna")


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: Reminder("x", wait={"day": 3}), "did you mean 'days'"),
        (lambda: Notice("x", requires={"demo_at": 1}), "must be a list"),
        (lambda: Notice("x", on=[""]), "not empty"),
    ],
)
def test_a_hook_says_at_once_what_is_wrong_with_it(build: Callable[[], Any], why: str):
    with pytest.raises(DefinitionError, match=why):
        build()


def tasks(pipeline: Pipeline) -> list[str]:
    steps = (step for stage in pipeline.stages for step in stage.sequence)
    return [step.payload["title"] for step in steps if isinstance(step, DoStep)]


def every_mail(pipeline: Pipeline, contact: dict[str, Any] = ADA) -> list[dict[str, Any]]:
    """Return the payloads of the mails that being in each stage once asks for."""
    opening = next(rule for rule in pipeline.rules if rule.opens).trigger.types[0]
    sent: list[dict[str, Any]] = []
    facts = {"demo_at": "2026-02-03T15:00:00+01:00", "loss_reason": "price", **BANT}
    clock = ManualClock(START)
    with Board(pipeline, clock=clock) as board:
        board.handles("email")(lambda delivery: sent.append(dict(delivery.payload)))
        board.handle(event(opening, {"contact": contact, "properties": facts}))
        for stage in (*pipeline.stages, pipeline.stages[0]):
            board.override("d", stage, by="test")
            for _ in range(5):
                clock.advance(days=1)
                board.deliver()
    return sent


# -- sales_management ---------------------------------------------------------------------------


def test_the_shops_ladder_has_every_rule_of_the_small_one_and_more():
    small, whole = sales_ladder(), templates.sales_management()
    assert set(small.stages) <= set(whole.stages)
    assert {rule.key for rule in small.rules} < {rule.key for rule in whole.rules}


@pytest.mark.parametrize("kind", ["checkout.started", "payment.failed"])
def test_a_checkout_that_is_left_or_not_paid_is_reminded_of(kind: str):
    """It is the cart nearest to money."""
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell(kind)
    assert story.stage == "order_review"
    story.after(days=5, hours=1)
    assert story.stage == "checkout_abandoned"
    assert story.mails == ["cart-reminder", "cart-last-reminder"]


def test_an_order_that_is_not_paid_is_no_sale():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("order.confirmed")
    story.tell("payment.failed")
    assert story.board.deal("d").status == "open"
    story.tell("order.confirmed")
    story.after(days=30)
    assert story.stages == ["quote_requested", "order_confirmed", "order_review", "order_confirmed"]
    assert "cart-reminder" not in story.mails


def test_an_order_that_is_taken_back_is_an_open_cart_and_reminded_of_if_left():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("order.confirmed")
    story.tell("order.cancelled")
    deal = story.board.deal("d")
    assert (deal.stage, deal.status, deal.closed_at) == ("quote_requested", "open", None)
    story.tell("cart.updated", cart={"currency": "EUR", "lines": [{**LINE, "quantity": 3}]})
    assert story.board.deal("d").value == 2697
    story.after(hours=49)
    assert story.stage == "checkout_abandoned"
    assert story.mails == ["order-thanks", "cart-reminder"]


def test_an_order_of_nothing_that_is_taken_back_is_parked():
    story = Story(templates.sales_management())
    story.tell("order.confirmed", contact=ADA)
    story.tell("order.cancelled")
    assert story.stage == "cart_parked"
    story.after(days=9)
    assert "cart-reminder" not in story.mails


def test_a_person_with_three_carts_is_reminded_of_one():
    clock, sent = ManualClock(START), []
    with Board(templates.sales_management(), clock=clock) as board:
        board.handles("email")(lambda delivery: sent.append(delivery.deal.id))
        for number in range(3):
            told = event("cart.item_added", {"contact": ADA, "line": LINE}, clock.now())
            board.handle(attrs.evolve(told, deal=f"d{number}"))
            clock.advance(minutes=1)
        clock.advance(hours=48)
        board.tick()
        board.deliver()
        assert len(sent) == 1
        clock.advance(hours=15)
        board.deliver()
        assert len(sent) == 1


def test_nobody_is_reminded_at_night():
    clock, sent = ManualClock("2026-01-05T22:30:00Z"), []
    with Board(templates.sales_management(), clock=clock) as board:
        board.handles("email")(lambda delivery: sent.append(clock.now()))
        board.handle(event("cart.item_added", {"contact": ADA, "line": LINE}, clock.now()))
        clock.advance(hours=48)
        for _ in range(12):
            board.tick()
            board.deliver()
            clock.advance(hours=1)
    assert [instant(at).isoformat() for at in sent] == ["2026-01-08T07:30:00+00:00"]


def test_whoever_has_bought_is_reminded_of_no_other_cart():
    clock, sent = ManualClock(START), []
    with Board(templates.sales_management(), clock=clock) as board:
        board.handles("email")(lambda delivery: sent.append(delivery.payload["template"]))
        board.handle(event("cart.item_added", {"contact": ADA, "line": LINE}, clock.now()))
        clock.advance(hours=1)
        order = event("order.confirmed", {"contact": ADA}, clock.now())
        board.handle(attrs.evolve(order, deal="other"))
        for _ in range(20):
            clock.advance(hours=6)
            board.tick()
            board.deliver()
    assert sent == ["order-thanks"]


@pytest.mark.parametrize("told", [{}, {"value": "0"}, {"refunded": "1798.00"}])
def test_an_order_whose_money_went_back_is_refunded_and_worth_nothing(told: dict[str, Any]):
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("order.confirmed")
    story.tell("order.refunded", **told)
    deal = story.board.deal("d")
    assert (deal.stage, deal.status, deal.value) == ("refunded", "lost", 0)
    assert deal.lost_from == "order_confirmed"
    story.after(days=30)
    assert story.mails == ["order-thanks"]


@pytest.mark.parametrize("told", [{"value": "899.00"}, {"refunded": "899.00"}])
def test_an_order_that_is_refunded_in_part_stays_won_and_is_worth_what_is_left(
    told: dict[str, Any],
):
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("order.confirmed")
    story.tell("order.refunded", **told)
    deal = story.board.deal("d")
    assert (deal.stage, deal.status, deal.value) == ("order_confirmed", "won", 899)
    story.tell("order.refunded", refunded="899.00")
    assert story.stage == "refunded"


def test_a_refund_of_an_unknown_amount_is_no_whole_one():
    story = Story(templates.sales_management())
    story.tell("order.confirmed", contact=ADA)
    story.tell("order.refunded", refunded="5.00")
    assert story.stage == "order_confirmed"


def test_an_order_that_is_edited_is_worth_what_it_is_now():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("order.confirmed")
    story.tell("order.edited", cart={"currency": "EUR", "lines": [{**LINE, "quantity": 1}]})
    deal = story.board.deal("d")
    assert (deal.stage, deal.value) == ("order_confirmed", 899)


@pytest.mark.parametrize("hours", [1, 50])
def test_a_guests_cart_that_is_joined_into_another_is_closed_and_reminded_of_no_more(hours: int):
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.after(hours=hours)
    reminders = list(story.mails)
    story.tell("cart.merged", into="the cart of the account")
    deal = story.board.deal("d")
    assert (deal.stage, deal.status, deal.lost_from) == ("cart_merged", "merged", None)
    story.tell("cart.emptied")
    story.after(days=30)
    assert (story.stage, story.mails, story.board.tasks()) == ("cart_merged", reminders, [])


def test_a_cart_that_is_joined_into_itself_stays_where_it_is():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("cart.merged", into="d")
    assert story.stage == "quote_requested"


def test_what_was_bought_stays_bought_though_its_cart_is_joined_into_another():
    for kinds in (("cart.merged", "order.confirmed"), ("order.confirmed", "cart.merged")):
        story = Story(templates.sales_management())
        story.tell("cart.item_added", line=LINE, contact=ADA)
        for kind in kinds:
            story.tell(kind, **({"into": "other"} if kind == "cart.merged" else {}))
        assert story.stage == "order_confirmed"


@pytest.mark.parametrize("kind", ["order.refunded", "order.cancelled"])
def test_what_undoes_an_order_follows_it_within_one_second(kind: str):
    """Shops tell whole seconds, and webhooks come in any order."""
    for names in (("a", "b"), ("b", "a")):
        told = [event(one, {}) for one in ("order.confirmed", kind)]
        told = [attrs.evolve(one, id=name) for one, name in zip(told, names, strict=True)]
        history = templates.sales_management().fold(told)
        assert history is not None
        assert history.deal.status != "won"


def test_a_cancellation_takes_nothing_back_that_was_not_ordered():
    for left, kinds in {
        "quote_requested": [],
        "order_review": ["checkout.started"],
        "cart_saved": ["cart.saved"],
    }.items():
        story = Story(templates.sales_management())
        story.tell("cart.item_added", line=LINE, contact=ADA)
        for kind in [*kinds, "order.cancelled"]:
            story.tell(kind)
        assert story.stage == left


def test_an_abandoned_cart_is_reminded_of_twice():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.after(hours=48)
    assert story.stage == "checkout_abandoned"
    story.after(hours=24)
    assert story.open_tasks == ["Chiamare il cliente: carrello abbandonato"]
    story.after(days=7)
    assert story.mails == ["cart-reminder", "cart-last-reminder"]


def test_whoever_comes_back_is_not_reminded_again():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.after(hours=50)
    story.tell("cart.item_added", line=LINE)
    story.tell("checkout.started")
    story.tell("order.confirmed")
    story.after(days=30)
    assert story.stages == [
        "quote_requested",
        "checkout_abandoned",
        "quote_requested",
        "order_review",
        "order_confirmed",
    ]
    assert story.mails == ["cart-reminder", "order-thanks"]
    assert story.open_tasks == []


def test_a_reminder_that_is_more_than_a_month_late_is_dropped():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.clock.advance(days=36)
    story.board.tick()
    story.board.deliver()
    assert story.stage == "checkout_abandoned"
    assert story.mails == []


def test_reminders_respect_an_unsubscribed_contact_and_thanks_are_still_sent():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact={**ADA, "unsubscribed": True})
    story.after(days=10)
    story.tell("order.confirmed")
    story.after(hours=1)
    assert story.mails == ["order-thanks"]


def test_a_saved_cart_is_confirmed_and_taken_up_again():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("cart.saved")
    story.after(days=10)
    assert story.stage == "cart_saved"
    assert story.mails == ["cart-saved", "cart-saved-reminder"]


def test_an_order_brings_back_a_cart_that_was_given_up():
    story = Story(templates.sales_management())
    story.tell("cart.item_added", line=LINE, contact=ADA)
    story.tell("cart.item_removed", line={"sku": "NB-15"})
    assert story.stage == "cart_parked"
    with pytest.raises(MissingPropertyError):
        story.board.move("d", "lost", by="marta")
    story.board.move("d", "lost", by="marta", properties={"loss_reason": "price"})
    story.tell("order.confirmed")
    assert story.stage == "order_confirmed"


# -- the salespeople's ladders ------------------------------------------------------------------


def test_a_lead_is_won_after_a_step_back():
    story = Story(templates.new_to_won())
    story.tell("lead.created", contact=ADA)
    story.tell("contact.attempted")
    story.tell("contact.replied")
    story.after(days=14)
    assert story.stage == "contacting"
    story.tell("contact.replied")
    story.tell("deal.won")
    story.after(days=30)
    assert story.stages == [
        "new_opportunity",
        "contacting",
        "working",
        "contacting",
        "working",
        "won",
    ]
    assert story.mails == ["lead-welcome", "customer-welcome"]
    assert story.open_tasks == []


def test_a_lost_contact_that_comes_back_is_a_new_opportunity():
    story = Story(templates.new_to_won())
    story.tell("lead.created", contact=ADA)
    story.tell("deal.lost")
    assert story.stage == "new_opportunity", "a loss without a reason is no loss"
    story.tell("deal.lost", properties={"loss_reason": "price"})
    assert story.stage == "lost"
    story.tell("lead.created")
    assert story.stage == "new_opportunity"


def test_a_card_may_be_dragged_to_any_column():
    pipeline = templates.kanban()
    for left in pipeline.stages:
        for entered in pipeline.stages:
            if left == entered:
                continue
            story = Story(templates.kanban())
            story.board.move("d", "new_contact", by="marta", properties={"loss_reason": "price"})
            for column in (left, entered):
                if story.stage != column:
                    story.board.move("d", column, by="marta")
            assert story.stage == entered


def test_a_proposal_that_nobody_answers_goes_back_to_the_telephone():
    story = Story(templates.kanban("en"))
    for kind in ("lead.created", "contact.called", "proposal.sent"):
        story.tell(kind, contact=ADA)
    story.after(days=30)
    assert story.stage == "worked_by_phone"
    assert story.mails == ["lead-welcome", "quote-follow-up"]
    story.after(days=3)
    assert story.open_tasks == ["Prepare the proposal, or call again"]
    story.tell("contract.signed")
    story.tell("deal.won")
    assert story.stage == "customer_acquired"


def test_a_column_for_what_comes_to_nothing_can_be_added_to_the_board():
    board = templates.kanban()
    lost = Stage("lost", title="Perso", status="lost", requires=["loss_reason"])
    story = Story(board.extended(stages=[lost], rules=[by_hand(into=lost)]))
    story.tell("lead.created", contact=ADA)
    with pytest.raises(MissingPropertyError):
        story.board.move("d", lost, by="marta")
    story.board.move("d", lost, by="marta", properties={"loss_reason": "price"})
    assert story.board.deal("d").status == "lost"


def test_a_card_made_by_hand_is_not_thanked_for_writing():
    story = Story(templates.kanban())
    story.board.move("d", "new_contact", by="marta")
    story.tell("note.added", contact=ADA)
    story.after(days=3)
    assert story.mails == []


def test_a_demo_is_worth_a_quarter_of_the_deal():
    story = Story(templates.crm_default())
    story.tell("lead.created", contact=ADA, value="1000", currency="EUR")
    story.tell("contact.replied")
    story.tell("demo.scheduled", properties={"demo_at": "2026-02-03T15:00:00+01:00"})
    assert story.stage == "demo"
    assert story.board.deal("d").weighted_value == 250
    story.after(hours=1)
    assert story.mails == ["lead-welcome", "demo-confirmation"]


def test_a_proposal_without_an_answer_is_looked_into_again():
    story = Story(templates.crm_default())
    for kind in ("lead.created", "contact.replied", "demo.scheduled", "proposal.sent"):
        story.tell(kind, contact=ADA)
    story.after(days=20)
    story.tell("note.added")
    story.after(days=29)
    assert story.stage == "commitment", "activity starts the month again"
    story.after(days=1)
    assert story.stage == "verification"
    story.tell("proposal.sent")
    story.tell("negotiation.started")
    story.tell("deal.won")
    assert story.stage == "won"


def test_a_lead_is_qualified_by_four_answers_and_by_no_three_of_them():
    for unknown in BANT:
        story = Story(templates.prospecting())
        story.tell("prospect.found", contact=ADA)
        story.tell("lead.qualified", properties={**BANT, unknown: None})
        assert story.stage == "prospecting"
        with pytest.raises(MissingPropertyError, match=unknown):
            story.board.move("d", "qualification", by="marta")
        story.tell("lead.qualified", properties={unknown: BANT[unknown]})
        assert story.stage == "qualification"


def test_a_negotiation_leads_back_from_the_closing():
    story = Story(templates.prospecting())
    for kind in (
        "prospect.found",
        "contact.attempted",
        "lead.qualified",
        "trial.started",
        "proposal.sent",
        "proposal.accepted",
        "negotiation.started",
        "proposal.accepted",
        "deal.won",
    ):
        story.tell(kind, contact=ADA, properties=BANT)
    assert story.stages == [
        "prospecting",
        "nurturing",
        "qualification",
        "demo",
        "proposal",
        "closing",
        "proposal",
        "closing",
        "won",
    ]
    assert story.mails == []


def test_a_prospect_that_cannot_be_reached_goes_back_to_the_list():
    story = Story(templates.prospecting())
    story.tell("prospect.found", contact=ADA)
    story.tell("contact.attempted")
    story.after(weeks=3)
    assert story.stage == "prospecting"
    assert story.mails == ["contact-follow-up"]

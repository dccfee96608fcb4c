"""What mails say and what stands in their headers; sending them is another test's matter."""

from __future__ import annotations

import contextlib
import email
import mailbox
import subprocess
import sys
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ladderpipe import ManualClock
from ladderpipe.errors import UndeliverableError
from ladderpipe.mail import FileMailbox, Mail, MailTemplates
from tests.mails import KEY, LINES, MORNING, composed, deal, delivery

NO_BREAK = "\u00a0"


def written(template: str = "cart-reminder", **payload: object) -> Mail:
    return MailTemplates().render(delivery(template, **payload), sender="Shop")


def parts(message: EmailMessage) -> tuple[str, str]:
    plain, html = message.iter_parts()
    return plain.get_content(), html.get_content()


def reparsed(message: EmailMessage) -> EmailMessage:
    return email.message_from_bytes(message.as_bytes(), policy=default)


# -- languages ----------------------------------------------------------------------------------


def test_a_mail_is_in_italian_unless_somebody_says_otherwise():
    assert written().subject == "Il tuo carrello ti aspetta"


def test_the_contact_chooses_the_language():
    english = deal(contact={"email": "ada@example.com", "language": "en"})
    assert written(about=english).subject == "Your cart is waiting for you"


def test_the_effect_outranks_the_contact():
    english = deal(contact={"email": "ada@example.com", "language": "en"})
    assert written(about=english, language="it").language == "it"


@pytest.mark.parametrize("tag", ["en-GB", "en_US", "EN"])
def test_a_regional_language_is_its_language(tag):
    assert written(language=tag).language == "en"


@pytest.mark.parametrize("tag", ["xx", "", 7, "../../etc", "it/../en"])
def test_a_language_we_do_not_write_falls_back_to_the_default(tag):
    assert written(language=tag).language == "it"


def test_the_default_language_is_the_mailers():
    message = composed(language="en")
    assert message["Subject"] == "Your cart is waiting for you"


def test_every_mail_exists_in_both_languages():
    templates = MailTemplates()
    assert templates.names("it") == templates.names("en") != []


@pytest.mark.parametrize("language", ["it", "en"])
@pytest.mark.parametrize("name", MailTemplates().names("it"))
@pytest.mark.parametrize("about", [deal(), deal(lines=[], contact={}, company="ACME", value=5)])
def test_every_mail_can_be_written_with_and_without_the_optional_facts(name, language, about):
    mail = MailTemplates().render(delivery(name, about, language=language), sender="Shop")
    assert mail.subject
    assert mail.text.strip()
    assert "</html>" in mail.html
    assert "None" not in mail.text + mail.html


# -- what it says -------------------------------------------------------------------------------


def test_plain_text_and_html_list_the_cart():
    mail = written()
    for part in (mail.text, mail.html):
        assert "Notebook 15" in part
        assert f"1.798,00{NO_BREAK}€" in part
        assert f"1.835,35{NO_BREAK}€" in part
    assert f"  2 × Notebook 15: 1.798,00{NO_BREAK}€\n" in mail.text


def test_html_is_escaped():
    mail = written(
        about=deal(
            contact={"name": "<script>alert(1)</script>"},
            lines=[{"sku": "x", "title": '<img src=x onerror="x">', "quantity": 1}],
        )
    )
    assert "<script" not in mail.html
    assert "<img" not in mail.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in mail.html
    assert "<script>alert(1)</script>" in mail.text


def test_a_blank_line_in_a_title_breaks_neither_part():
    mail = written(about=deal(lines=[{"sku": "x", "title": "two\n\nlines", "quantity": 1}]))
    assert "two  lines" in mail.html
    assert "1 × two lines" in mail.text


def test_nothing_is_loaded_from_elsewhere():
    html = written().html
    assert "src=" not in html
    assert "http" not in html
    assert "@import" not in html


def test_the_date_of_a_demo_is_told_in_words():
    about = deal(properties={"demo_at": "2026-02-03T15:00:00+01:00"})
    assert "3 febbraio 2026 alle 15:00" in written("demo-confirmation", about=about).text
    english = written("demo-confirmation", about=about, language="en")
    assert "3 February 2026 at 15:00" in english.text


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://shop.example/cart", "https://shop.example/cart"),
        (None, "https://shop.example/deals/cart-42"),
        ("javascript:alert(1)", None),
    ],
)
def test_the_button_leads_to_a_web_page_or_is_left_out(link, expected):
    message = composed(delivery(link=link), link="https://shop.example/deals/{deal}")
    for part in parts(message):
        assert (expected in part) if expected else ("Torna al carrello" not in part)


def led(told: object, **options: object) -> str:
    """Return the text of a mail for a deal to which an event has told a link."""
    about = deal(properties={"link": told})
    return parts(composed(delivery(about=about), **options))[0]


def test_the_handlers_own_link_wins_over_what_an_event_says():
    text = led(
        "https://evil.example/pay",
        link="https://shop.example/deals/{deal}",
        allow_links_to=("evil.example",),
    )
    assert "https://shop.example/deals/cart-42" in text
    assert "evil" not in text


def test_an_events_link_leads_nowhere_unless_its_host_is_allowed():
    assert "evil" not in led("https://evil.example/pay")
    assert "evil" not in led("https://evil.example/pay", allow_links_to=("shop.example",))


@pytest.mark.parametrize(
    "link", ["https://shop.example/cart?a=1", "http://SHOP.example:8080/", "https://shop.example"]
)
def test_an_events_link_to_an_allowed_host_is_the_button(link):
    assert link in led(link, allow_links_to=("Shop.Example",))


@pytest.mark.parametrize(
    "link",
    [
        "https://shop.example@evil.example/",
        "https://shop.example.evil.example/",
        "https://evil.example/shop.example",
        "https://evil.example\\@shop.example/",
        "https://evil.example/\n@shop.example",
        "https://user:word@shop.example/",
        "https:/shop.example",
        "//shop.example/",
        "javascript:alert(1)//shop.example",
        "https://[shop.example/",
        "https://shop.example:x/",
        " https://shop.example/",
        "",
        7,
        ["https://shop.example/"],
    ],
)
def test_a_link_that_only_looks_like_an_allowed_one_is_left_out(link):
    assert "Torna al carrello" not in led(link, allow_links_to=("shop.example",))


@pytest.mark.parametrize("host", ["https://shop.example", "shop.example/", "", "a b"])
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ValueError, match=r"allow_links_to.*shop\.example"):
        composed(allow_links_to=(host,))


def test_one_host_by_itself_is_refused_too():
    with pytest.raises(ValueError, match="allow_links_to"):
        composed(allow_links_to="shop.example")


# -- headers ------------------------------------------------------------------------------------


def test_the_headers_of_an_automatic_message():
    message = composed()
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "Ada Rossi <ada@example.com>"
    assert message["Subject"] == "Il tuo carrello ti aspetta"
    assert message["Date"] == "Mon, 05 Jan 2026 09:00:00 +0000"
    assert message["Message-ID"] == f"<{KEY}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_the_deals_id_is_in_no_header_and_no_part():
    assert b"cart-42" not in composed().as_bytes()


def test_answers_go_where_the_shop_wants_them():
    assert composed(reply_to="Vendite <sales@example.com>")["Reply-To"] == (
        "Vendite <sales@example.com>"
    )


def test_one_click_unsubscribing_is_offered_for_https():
    message = composed(unsubscribe="https://shop.example/stop/{deal}")
    assert message["List-Unsubscribe"] == "<https://shop.example/stop/cart-42>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert all("https://shop.example/stop/cart-42" in part for part in parts(message))


def test_unsubscribing_by_mail_has_no_one_click():
    message = composed(unsubscribe="mailto:stop@shop.example")
    assert message["List-Unsubscribe"] == "<mailto:stop@shop.example>"
    assert message["List-Unsubscribe-Post"] is None


def test_a_long_unsubscribe_address_stays_readable():
    url = "https://shop.example/" + "a" * 200
    assert f"List-Unsubscribe: <{url}>\r\n".encode() in composed(unsubscribe=url).as_bytes()


@pytest.mark.parametrize("name", ["Ada\r\nBcc: evil@example.com", "Ada\nX: y", "Ada\u2028B: c"])
def test_a_name_cannot_begin_a_header(name):
    about = deal(contact={"name": name, "email": "ada@example.com"})
    message = reparsed(composed(delivery(about=about)))
    assert message["Bcc"] is None
    assert message["X"] is None
    assert [found.addr_spec for found in message["To"].addresses] == ["ada@example.com"]


@given(name=st.text(max_size=150))
def test_whatever_the_contact_is_called_there_is_one_recipient(name):
    about = deal(contact={"name": name.replace("\x00", ""), "email": "ada@example.com"})
    message = reparsed(composed(delivery(about=about)))
    assert [found.addr_spec for found in message["To"].addresses] == ["ada@example.com"]
    assert set(message.keys()) == set(composed().keys())


@pytest.mark.parametrize(
    "to",
    [
        "a@example.com, b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "nobody",
        "@example.com",
        "a@",
        "<a@example.com> b@example.com",
        "a b@example.com",
        "zoë@example.com",
    ],
)
def test_what_is_no_single_address_is_undeliverable(to):
    with pytest.raises(UndeliverableError, match="cart-42"):
        composed(delivery(to=to))


def test_without_an_address_a_mail_is_undeliverable():
    with pytest.raises(UndeliverableError, match='no "to"'):
        composed(delivery(about=deal(contact={"name": "Ada"})))


def test_the_payload_may_name_another_recipient():
    assert composed(delivery(to="Bob <bob@example.com>"))["To"] == "Bob <bob@example.com>"
    assert composed(delivery(to="bob@example.com"))["To"] == "bob@example.com"


def test_a_domain_in_other_letters_is_written_in_ascii():
    assert composed(delivery(to="ada@exämple.com"))["To"] == "ada@xn--exmple-cua.com"


@pytest.mark.parametrize("sender", ["Shop", "a@b.example, c@d.example", "x\n <a@b.example>"])
def test_a_sender_must_be_an_address(sender):
    with pytest.raises(ValueError, match=r"write 'Shop <shop@example\.com>'"):
        composed(sender=sender)


# -- templates of one's own ---------------------------------------------------------------------


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


SUBJECT = "{% extends layout %}{% block subject %}%s{% endblock %}"


def test_a_directory_replaces_and_adds_mails(tmp_path):
    write(tmp_path / "it/cart-reminder.jinja", SUBJECT.replace("%s", "Nostro"))
    write(tmp_path / "it/spring-sale.jinja", SUBJECT.replace("%s", "Saldi"))
    mine = MailTemplates(tmp_path)
    assert mine.render(delivery("cart-reminder")).subject == "Nostro"
    assert mine.render(delivery("spring-sale")).subject == "Saldi"
    assert mine.render(delivery("order-thanks")).subject == "Grazie per il tuo ordine"
    assert "spring-sale" in mine.names("it")


def test_a_mail_of_ones_own_may_change_one_block_of_ours(tmp_path):
    write(
        tmp_path / "it/cart-reminder.jinja",
        "{% extends 'ladderpipe/it/cart-reminder.jinja' %}"
        "{% block subject %}{{ super() }}, {{ contact.name }}{% endblock %}",
    )
    mail = MailTemplates(tmp_path).render(delivery())
    assert mail.subject == "Il tuo carrello ti aspetta, Ada Rossi"
    assert "Notebook 15" in mail.text


def test_a_subject_is_one_line_whatever_is_in_it(tmp_path):
    write(tmp_path / "it/note.jinja", SUBJECT.replace("%s", "{{ payload.topic }}"))
    note = delivery("note", topic="Hello\r\nBcc: evil@example.com")
    message = reparsed(composed(note, templates=tmp_path))
    assert message["Subject"] == "Hello Bcc: evil@example.com"
    assert message["Bcc"] is None


@pytest.mark.parametrize(
    ("moment", "subject"),
    [
        ("2026-09-05T09:12:00+02:00", "5 settembre 2026 alle 09:12"),
        ("martedì pomeriggio", "martedì pomeriggio"),
    ],
)
def test_a_moment_is_told_in_words_and_other_text_as_it_is(tmp_path, moment, subject):
    write(tmp_path / "it/note.jinja", SUBJECT.replace("%s", "{{ moment(payload.at) }}"))
    assert MailTemplates(tmp_path).render(delivery("note", at=moment)).subject == subject


def test_a_language_of_ones_own_needs_no_code(tmp_path):
    words = Path(sys.modules[MailTemplates.__module__].__file__).parent / "templates/en/words.jinja"
    write(tmp_path / "de/words.jinja", words.read_text(encoding="utf-8"))
    write(tmp_path / "de/cart-reminder.jinja", SUBJECT.replace("%s", "Ihr Warenkorb"))
    mail = MailTemplates(tmp_path).render(delivery(language="de-AT"))
    assert (mail.language, mail.subject) == ("de", "Ihr Warenkorb")


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("{{ contcat.name }}", "'contcat' is undefined"),
        ("{{ deal.nothing }}", "no attribute 'nothing'"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ payload.topic + 1 }}", "TypeError"),
        ("{% if %}", "TemplateSyntaxError"),
    ],
)
def test_a_template_that_fails_is_not_tried_again(tmp_path, body, complaint):
    write(tmp_path / "it/broken.jinja", SUBJECT.replace("%s", body))
    with pytest.raises(UndeliverableError, match=complaint):
        MailTemplates(tmp_path).render(delivery("broken"))


def test_a_mail_without_a_subject_is_refused(tmp_path):
    write(tmp_path / "it/empty.jinja", "{% extends layout %}")
    with pytest.raises(UndeliverableError, match="has no block 'subject'"):
        MailTemplates(tmp_path).render(delivery("empty"))


@pytest.mark.parametrize("name", [None, "", "words", "../layout", "it/cart-reminder", 7])
def test_what_names_no_mail_is_undeliverable(name):
    with pytest.raises(UndeliverableError, match="names no mail"):
        composed(delivery(name))


def test_an_unknown_mail_says_where_it_was_looked_for():
    with pytest.raises(UndeliverableError, match=r"there is no en/nothing\.jinja or it/nothing"):
        composed(delivery("nothing", language="en"))


def test_a_missing_directory_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="is no directory"):
        composed(templates=tmp_path / "nowhere")


# -- the mailbox --------------------------------------------------------------------------------


def test_a_mailbox_file_keeps_every_mail(tmp_path):
    handler = FileMailbox(
        tmp_path / "sent.mbox", sender="Shop <shop@example.com>", clock=ManualClock(MORNING)
    )
    handler(delivery())
    handler(delivery("order-thanks", about=deal(lines=[{**LINES[0], "title": "\nFrom here"}])))
    with contextlib.closing(mailbox.mbox(tmp_path / "sent.mbox", create=False)) as box:
        assert [message["Subject"] for message in box] == [
            "Il tuo carrello ti aspetta",
            "Grazie per il tuo ordine",
        ]
        assert box[0].get_from() == "shop@example.com Mon Jan  5 09:00:00 2026"


def test_without_jinja2_the_import_names_the_extra():
    code = "import sys; sys.modules['jinja2'] = None; import ladderpipe.mail"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install '.[mail]'" in done.stderr.splitlines()[-1]

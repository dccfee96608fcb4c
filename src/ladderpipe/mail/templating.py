"""From a template's name to subject, plain text and HTML. Knows nothing of headers or servers.

A mail is one file, ``<language>/<name>.jinja``, with a block ``subject`` and a block ``body``. It
is rendered three times, each time inside another layout, so that the plain text and the HTML can
never say different things.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from ..errors import UndeliverableError
from ..extras import how_to_install
from ..formats import Format

try:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from markupsafe import Markup
except ModuleNotFoundError as error:  # pragma: no cover - tested in a process of its own
    raise ModuleNotFoundError(
        f"ladderpipe.mail needs Jinja2, which is not installed: {how_to_install('mail')}",
        name=error.name,
    ) from error

if TYPE_CHECKING:
    from ..model.effect import Delivery

__all__ = ["Mail", "MailTemplates"]

Part = Literal["subject", "txt", "html"]

_TEMPLATE_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


@attrs.frozen
class Mail:
    """What a template says, before it is a message: one line, plain text, HTML."""

    subject: str
    text: str
    html: str
    language: str


@attrs.frozen
class Known:
    """A mapping for templates, in which what is missing is ``None`` and prints as nothing.

    It has no methods that would hide a key: ``contact.items`` is the key ``items``.
    """

    _values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        value = self._values.get(name)
        return Known(value) if isinstance(value, Mapping) else value


class MailTemplates:
    """The templates of the library, and before them those of a directory of your own.

    Args:
        directory: where your templates are: ``<language>/<name>.jinja`` replaces or adds a
            mail, ``<language>/words.jinja`` adds a language, ``layout.html.jinja`` the frame.
            Yours can extend ours as ``ladderpipe/<language>/<name>.jinja``.
        language: what to write in when neither the effect nor the contact says, or there is no
            template in that language.

    Raises:
        ValueError: there is no such directory, or *language* is no language code.
    """

    def __init__(self, directory: str | Path | None = None, *, language: str = "it") -> None:
        if directory is not None and not Path(directory).is_dir():
            raise ValueError(f"templates={str(directory)!r} is no directory: create it, or drop it")
        if _language(language) != language:
            raise ValueError(f"language={language!r} is no language code such as 'it' or 'en'")
        self.language = language
        ours = jinja2.PackageLoader("ladderpipe.mail")
        loaders: list[jinja2.BaseLoader] = [ours, jinja2.PrefixLoader({"ladderpipe": ours})]
        if directory is not None:
            loaders.insert(0, jinja2.FileSystemLoader(directory))
        loader = jinja2.ChoiceLoader(loaders)
        self._plain = _environment(loader)
        self._html = _environment(loader, autoescape=True, finalize=_one_line)
        self._html.filters["paragraphs"] = _html_paragraphs

    def names(self, language: str) -> list[str]:
        """Return the names of the mails there are in a language, sorted."""
        found = (path.partition("/") for path in self._plain.list_templates(["jinja"]))
        names = {name.removesuffix(".jinja") for folder, _, name in found if folder == language}
        return sorted(name for name in names if name != "words" and "/" not in name)

    def render(
        self,
        delivery: Delivery,
        *,
        sender: str = "",
        link: str | None = None,
        unsubscribe: str | None = None,
    ) -> Mail:
        """Render the template that ``payload["template"]`` names.

        The language is ``payload["language"]``, otherwise ``contact["language"]``, otherwise the
        default. A template sees ``deal``, ``contact``, ``properties``, ``payload``, ``company``,
        ``cart``, ``sender``, ``link``, ``unsubscribe``, ``language``, ``html`` (whether this is
        the HTML part) and the functions ``money``, ``number`` and ``moment``. A missing key of
        the mappings prints as nothing; a name that does not exist is an error.

        Raises:
            UndeliverableError: there is no such template, or it fails for this deal.
        """
        name = delivery.payload.get("template")
        if not isinstance(name, str) or not _TEMPLATE_NAME.fullmatch(name) or name == "words":
            raise UndeliverableError(
                f"effect {delivery.key}: template={name!r} names no mail; ask for one with "
                'ctx.do("email", template="cart-reminder")'
            )
        try:
            language = self._language_of(name, delivery)
            known = _names_for(delivery, language, sender, link, unsubscribe)
            return self._mail(name, language, known)
        except Exception as error:  # writing is pure: what failed once fails again
            raise UndeliverableError(
                f"mail {name!r} for deal {delivery.deal.id!r} cannot be written "
                f"({_described(error)}): mend the template, then send the effect again"
            ) from error

    def _language_of(self, name: str, delivery: Delivery) -> str:
        wishes = (delivery.payload.get("language"), delivery.deal.contact.get("language"))
        languages = [code for code in map(_language, wishes) if code] + [self.language]
        paths = [f"{code}/{name}.jinja" for code in languages]
        template = self._plain.select_template(paths)
        return languages[paths.index(str(template.name))]

    def _mail(self, name: str, language: str, known: dict[str, Any]) -> Mail:
        path = f"{language}/{name}.jinja"
        known |= _functions(Format(language), known["deal"].currency)
        subject = " ".join(self._render("subject", path, known).split())
        if not subject:
            raise jinja2.TemplateRuntimeError(f"{path} has no block 'subject'")
        known |= {"subject": subject}
        text, html = self._render("txt", path, known), self._render("html", path, known)
        return Mail(subject, _plain_paragraphs(text), html, language)

    def _render(self, part: Part, path: str, known: dict[str, Any]) -> str:
        environment = self._html if part == "html" else self._plain
        known = {**known, "layout": f"layout.{part}.jinja", "html": part == "html"}
        known["words"] = environment.get_template(f"{known['language']}/words.jinja").module
        if part != "subject":
            known["parts"] = environment.get_template(f"parts.{part}.jinja").make_module(known)
        return environment.get_template(path).render(known)


def _environment(
    loader: jinja2.BaseLoader,
    *,
    autoescape: bool = False,
    finalize: Callable[[Any], Any] = lambda value: "" if value is None else value,
) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=autoescape,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _names_for(
    delivery: Delivery, language: str, sender: str, link: str | None, unsubscribe: str | None
) -> dict[str, Any]:
    deal = delivery.deal
    return {
        "deal": deal,
        "contact": Known(deal.contact),
        "properties": Known(deal.properties),
        "payload": Known(delivery.payload),
        "company": deal.company.get("name") if isinstance(deal.company, Mapping) else deal.company,
        "cart": deal.cart,
        "sender": sender,
        "link": link,
        "unsubscribe": unsubscribe,
        "language": language,
    }


def _functions(form: Format, currency: str | None) -> dict[str, Callable[..., str]]:
    return {
        "money": lambda amount: form.money(Decimal(str(amount)), currency),
        "number": lambda number: form.number(Decimal(str(number)), digits=None),
        "moment": lambda text: _moment(form, str(text)),
    }


def _moment(form: Format, text: str) -> str:
    """Return ISO 8601 text in words, on the clock it was written for; other text as it is."""
    try:
        return form.moment_in_full(dt.datetime.fromisoformat(text))
    except ValueError:
        return text


def _language(wish: object) -> str | None:
    """Return the primary subtag of a BCP 47 tag (``it`` of ``it-CH``), ``None`` if it is none."""
    primary = str(wish or "").replace("_", "-").partition("-")[0].lower()
    return primary if _LANGUAGE.fullmatch(primary) else None


def _described(error: Exception) -> str:
    if isinstance(error, jinja2.TemplatesNotFound):
        return f"there is no {' or '.join(map(str, error.templates))}"
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no {error.name}"
    return f"{type(error).__name__}: {error}"


def _one_line(value: Any) -> Any:
    """Keep the blank lines of people's own text from being taken for ends of paragraphs."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return " ".join(value.split("\n"))
    return value


def _chunks(text: str) -> Iterable[str]:
    return filter(None, (chunk.strip("\n") for chunk in re.split(r"\n[ \t]*(?=\n)", text)))


def _plain_paragraphs(text: str) -> str:
    return "\n\n".join(_chunks(text)).rstrip() + "\n"


def _html_paragraphs(text: str) -> Markup:
    """Return blank-line separated prose as paragraphs; what begins with a tag stays as it is."""
    marked = (
        chunk if chunk.lstrip().startswith("<") else f'<p style="margin:0 0 16px">{chunk}</p>'
        for chunk in _chunks(text)
    )
    # Markup, since every variable in it is escaped already.
    return Markup("\n".join(marked))

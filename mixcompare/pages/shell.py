"""The shell of every page: head, verdicts, contents and sections, with no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import jinja2
from markupsafe import Markup

from mixcompare.base.files.ownership import META, Owner
from mixcompare.pages.formatting import Table
from mixcompare.pages.rendering import Drawing

REPORT: Final = "report.html"
QUICK_NOTICE: Final = (
    "This is a quick run, of few starts and draws: it shows that everything works. Do not draw "
    "conclusions from it."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the summary box.

    Attributes
    ----------
    section, verdict, reason, statement
        Its texts.
    kind, sign
        Of the verdict's badge: ``"good"``, ``"unsure"``, ``"bad"`` or ``"neutral"``, and a
        character that tells it without colour.
    place, meaning
        Anchors of the evidence and of what the reason means; None without.
    """

    section: str
    verdict: str
    reason: str
    statement: str
    kind: str
    sign: str
    place: str | None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a page: introduction, markup of its own, figures and tables, in this order."""

    anchor: str
    title: str
    intro: tuple[str, ...]
    drawings: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    lead: str = ""


def known[T](parts: Iterable[T | None]) -> tuple[T, ...]:
    """The parts of a section that there are."""
    return tuple(part for part in parts if part is not None)


def render_page(
    template: str = "base.html", *, package: str = __package__, owner: Owner, **values: Any
) -> str:
    """A page that extends ``base.html``, with our style sheet and script and no other.

    Parameters
    ----------
    template
        Its file name.
    package
        The package that holds the template.
    owner
        What the page is made from.
    **values
        What ``base.html`` shows (kind, title, conclusion, verdicts, sections, and `further`
        entries of the contents as pairs of anchor and heading) and the template's own.
    """
    script = _text("script.js")
    return (
        environment(package)
        .get_template(template)
        .render(
            style=Markup(_text("style.css")),
            script=Markup(script),  # our own text
            policy=_policy(script),
            made_from=(META, owner.to_json()),
            **values,
        )
    )


def environment(package: str = __package__) -> jinja2.Environment:
    """The templates of a package and the shell's, ``macros.html`` for tables among them."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _text(name, package)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["Markup"] = Markup
    return made


def _text(name: str, package: str = __package__) -> str:
    """A file of the package, or of the shell where the package has none of this name."""
    places = (resources.files(place).joinpath(name) for place in (package, __package__))
    return next(place for place in places if place.is_file()).read_text("utf-8")


def _policy(script: str) -> str:
    """Content security policy: nothing from outside, and no script but ours."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )

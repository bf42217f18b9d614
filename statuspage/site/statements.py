"""Pages made of settings: how to reach the house, the accessibility statement, the privacy notice."""

from markupsafe import Markup

from statuspage.kernel.markdown import to_html
from statuspage.site.views import View


def contact(view: View, key: str) -> str | None:
    """Whom to call or write to, and what to use while a service does not work."""
    if key:
        return None
    given = view.house.settings.contact
    hours, alternatives = (
        (given.hours_pl, given.alternatives_pl)
        if view.language == "pl"
        else (given.hours_en, given.alternatives_en)
    )
    return view.page(
        "/contact",
        "site/contact.html",
        given=given,
        dial=_dial(given.telephone),
        hours=hours,
        address=[line.strip() for line in given.address.splitlines() if line.strip()],
        alternatives=_html(alternatives),
    )


def accessibility(view: View, key: str) -> str | None:
    """The statement in the structure and with the ids that the ministry's technical conditions prescribe

    (act of 4 April 2019 on digital accessibility, article 12; conditions version 2.0).
    """
    if key:
        return None
    given = view.house.settings.accessibility
    exceptions, architecture = (
        (given.exceptions_pl, given.architecture_pl)
        if view.language == "pl"
        else (given.exceptions_en, given.architecture_en)
    )
    return view.page(
        "/accessibility",
        "site/accessibility.html",
        given=given,
        dial=_dial(given.telephone),
        exceptions=_html(exceptions),
        architecture=_html(architecture),
    )


def privacy(view: View, key: str) -> str | None:
    """What this product stores of whom, and how to have it removed."""
    if key:
        return None
    given = view.house.settings.privacy
    retention = given.retention_pl if view.language == "pl" else given.retention_en
    return view.page("/privacy", "site/privacy.html", given=given, retention=_html(retention))


def _html(text: str) -> Markup | None:
    return Markup(to_html(text)) if text.strip() else None  # noqa: S704 - sanitised there


def _dial(telephone: str) -> str:
    """For a `tel:` link (RFC 3966)."""
    return "".join(c for c in telephone if c.isdigit() or c == "+")

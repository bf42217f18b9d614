"""The first sentence of the page: does it work? How many do not, and since when."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from statuspage.incidents.rules import SEVERITY, ServiceStatus
from statuspage.incidents.snapshot import ServiceView
from statuspage.incidents.words import SHAPES
from statuspage.kernel.i18n import Catalogues
from statuspage.site.charts import CLASSES, UNMEASURED

UNKNOWN = "unknown"
NAMED = 3  # that many affected services are named in the headline itself


@dataclass(frozen=True, slots=True)
class Headline:
    """`sentence` is the heading, `title` its short form for tabs and search results, `rest` is said below."""

    css: str
    shape: str
    title: str
    sentence: str
    rest: tuple[str, ...]
    is_calm: bool


def shown_status(service: ServiceView) -> str:
    """What is shown of a service: a working one that was never measured is not known to work."""
    if service.first_measured_at is None and service.status is ServiceStatus.OPERATIONAL:
        return UNKNOWN
    return service.status


class Sentences:
    """Counts services in words, in one language."""

    def __init__(self, catalogues: Catalogues, language: str) -> None:
        self._catalogues = catalogues
        self._language = language

    def gettext(self, message: str, **values: object) -> str:
        return self._catalogues.gettext(self._language, message) % values

    def ngettext(self, singular: str, plural: str, num: int, **values: object) -> str:
        return self._catalogues.ngettext(self._language, singular, plural, num) % {"num": num, **values}

    def title(self, status: str, num: int) -> str:
        """`1 service does not work`."""
        match status:
            case ServiceStatus.MAJOR_OUTAGE:
                return self.ngettext("%(num)s service does not work", "%(num)s services do not work", num)
            case ServiceStatus.PARTIAL_OUTAGE:
                return self.ngettext(
                    "%(num)s service works only in part", "%(num)s services work only in part", num
                )
            case ServiceStatus.DEGRADED_PERFORMANCE:
                return self.ngettext(
                    "%(num)s service is slow or limited", "%(num)s services are slow or limited", num
                )
            case _:
                return self.ngettext(
                    "%(num)s service is under planned work", "%(num)s services are under planned work", num
                )

    def since(self, status: str, num: int, total: int, since: str) -> str:
        """`1 of 18 services has been down since today 06:10 (UTC+1)`."""
        values = {"total": total, "since": since}
        match status:
            case ServiceStatus.MAJOR_OUTAGE:
                return self.ngettext(
                    "%(num)s of %(total)s services has been down since %(since)s",
                    "%(num)s of %(total)s services have been down since %(since)s",
                    num,
                    **values,
                )
            case ServiceStatus.PARTIAL_OUTAGE:
                return self.ngettext(
                    "%(num)s of %(total)s services has worked only in part since %(since)s",
                    "%(num)s of %(total)s services have worked only in part since %(since)s",
                    num,
                    **values,
                )
            case ServiceStatus.DEGRADED_PERFORMANCE:
                return self.ngettext(
                    "%(num)s of %(total)s services has been slow or limited since %(since)s",
                    "%(num)s of %(total)s services have been slow or limited since %(since)s",
                    num,
                    **values,
                )
            case _:
                return self.ngettext(
                    "%(num)s of %(total)s services has been under planned work since %(since)s",
                    "%(num)s of %(total)s services have been under planned work since %(since)s",
                    num,
                    **values,
                )

    def more(self, status: str, num: int) -> str:
        """`9 more are slow or limited.`"""
        match status:
            case ServiceStatus.PARTIAL_OUTAGE:
                return self.ngettext(
                    "%(num)s more works only in part.", "%(num)s more work only in part.", num
                )
            case ServiceStatus.DEGRADED_PERFORMANCE:
                return self.ngettext(
                    "%(num)s more is slow or limited.", "%(num)s more are slow or limited.", num
                )
            case _:
                return self.ngettext(
                    "%(num)s more is under planned work.", "%(num)s more are under planned work.", num
                )


def headline(
    services: Sequence[ServiceView], catalogues: Catalogues, language: str, when: Callable[[ServiceView], str]
) -> Headline:
    """The sentence for these services; `when` says since when one is as it is."""
    say = Sentences(catalogues, language)
    counts = Counter(shown_status(service) for service in services)
    trouble = sorted(
        (ServiceStatus(status) for status in counts if status not in (UNKNOWN, ServiceStatus.OPERATIONAL)),
        key=SEVERITY.__getitem__,
        reverse=True,
    )
    if not trouble:
        return _calm(services, counts, say)
    worst = trouble[0]
    affected = [service for service in services if service.status is worst]
    first = min(affected, key=lambda service: service.status_since)
    names = f"{', '.join(service.name[language] for service in affected)}: " if len(affected) <= NAMED else ""
    rest = [say.more(status, counts[status]) for status in trouble[1:]]
    if working := counts[ServiceStatus.OPERATIONAL]:
        rest.append(
            say.ngettext("The other %(num)s service works.", "The other %(num)s services work.", working)
        )
    return Headline(
        css=CLASSES[worst],
        shape=SHAPES[worst],
        title=names + say.title(worst, counts[worst]),
        sentence=names + say.since(worst, counts[worst], len(services), when(first)),
        rest=(*rest, *_unmeasured(services, counts, say)),
        is_calm=False,
    )


def _calm(services: Sequence[ServiceView], counts: Counter[str], say: Sentences) -> Headline:
    unknown, total = counts[UNKNOWN], len(services)
    unmeasured_now = sum(service.unmeasured_since is not None for service in services)
    css, shape = UNMEASURED, SHAPES[UNKNOWN]
    if not services:
        sentence = say.gettext("No services are listed here yet")
    elif unknown == total:
        sentence = say.gettext("No service has been measured yet")
    elif unknown + unmeasured_now >= total:
        sentence = say.gettext("All services worked when they were last measured")
    else:
        css, shape = CLASSES[ServiceStatus.OPERATIONAL], SHAPES[ServiceStatus.OPERATIONAL]
        sentence = say.gettext("All measured services work") if unknown else say.gettext("All services work")
    rest = () if unknown == total else _unmeasured(services, counts, say)
    return Headline(css, shape, sentence, sentence, rest, is_calm=True)


def _unmeasured(services: Sequence[ServiceView], counts: Counter[str], say: Sentences) -> tuple[str, ...]:
    said = []
    if never := counts[UNKNOWN]:
        said.append(
            say.ngettext(
                "%(num)s service has not been measured yet.",
                "%(num)s services have not been measured yet.",
                never,
            )
        )
    if now := sum(s.unmeasured_since is not None and s.first_measured_at is not None for s in services):
        said.append(
            say.ngettext(
                "We cannot measure %(num)s service now; its last known state is shown.",
                "We cannot measure %(num)s services now; their last known state is shown.",
                now,
            )
        )
    return tuple(said)

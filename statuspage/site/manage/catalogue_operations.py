"""The page, services, the audience and templates in the management API."""

from collections.abc import Callable, Sequence

from sqlalchemy.orm import Session

from statuspage.incidents import templates
from statuspage.incidents.details import find_service
from statuspage.incidents.publication import load_tree
from statuspage.incidents.tables import Template
from statuspage.incidents.templates import NewTemplate
from statuspage.kernel.errors import NotFound
from statuspage.kernel.operations import Call, Operation, Reply, Shown
from statuspage.kernel.tokens import Scope
from statuspage.site.manage import records, shapes, wishes

CountAudience = Callable[[Session, Sequence[str]], int]  # of service ids


class Page(Shown, frozen=True, kw_only=True):
    """Planned work that is announced later than `announce_ahead_s` before does not count as announced."""

    name: shapes.Text
    zone: str
    announce_ahead_s: int


def operations(count_audience: CountAudience) -> list[Operation]:
    """`count_audience` says how many subscribers would be told; the site does not know them."""

    def audience(session: Session, call: Call) -> Reply:
        tree = load_tree(session)
        ids = [find_service(tree, code, field="services").id for code in call.query.services]
        return Reply(shapes.Audience(count=count_audience(session, ids)))

    return [
        Operation(
            "GET",
            "/page",
            "getPage",
            "The page's name, its zone, and how early planned work has to be announced",
            Scope.READ,
            page,
            Page,
        ),
        Operation(
            "GET",
            "/services",
            "listServices",
            "Every service, what is published of it and what was measured",
            Scope.READ,
            services,
            shapes.ServiceList,
        ),
        Operation(
            "GET", "/services/{code}", "getService", "One service", Scope.READ, service, shapes.Service
        ),
        Operation(
            "GET",
            "/audience",
            "countAudience",
            "How many subscribers would be told of something that affects these services",
            Scope.READ,
            audience,
            shapes.Audience,
            query=shapes.AudienceAsked,
        ),
        *_template_operations(),
    ]


def _template_operations() -> list[Operation]:
    return [
        Operation(
            "GET", "/templates", "listTemplates", "Prepared words", Scope.READ, listed, shapes.TemplateList
        ),
        Operation(
            "POST",
            "/templates",
            "addTemplate",
            "Add a template",
            Scope.TEMPLATES,
            added,
            shapes.Template,
            body=shapes.TemplateGiven,
            status=201,
            action="template.added",
        ),
        Operation(
            "GET", "/templates/{id}", "getTemplate", "One template", Scope.READ, shown, shapes.Template
        ),
        Operation(
            "PUT",
            "/templates/{id}",
            "replaceTemplate",
            "Replace a template",
            Scope.TEMPLATES,
            replaced,
            shapes.Template,
            body=shapes.TemplateGiven,
            action="template.replaced",
        ),
        Operation(
            "DELETE",
            "/templates/{id}",
            "removeTemplate",
            "Remove a template; what was published with it stays",
            Scope.TEMPLATES,
            removed,
            None,
            status=204,
            action="template.removed",
        ),
    ]


def page(_session: Session, call: Call) -> Reply:
    """What a program has to know before it speaks of local times."""
    said = call.settings.page
    return Reply(
        Page(
            name=shapes.Text(pl=said.name_pl, en=said.name_en),
            zone=said.time_zone,
            announce_ahead_s=round(call.settings.incidents.announce_ahead.total_seconds()),
        )
    )


def services(session: Session, _call: Call) -> Reply:
    """All of them, in page order."""
    return Reply(shapes.ServiceList(services=records.services(session)))


def service(session: Session, call: Call) -> Reply:
    """One of them."""
    code = call.path["code"]
    found = next((each for each in records.services(session) if each.code == code), None)
    if found is None:
        raise NotFound(f"there is no service {code}")
    return Reply(found)


def listed(session: Session, _call: Call) -> Reply:
    """All templates."""
    return Reply(shapes.TemplateList(templates=[records.template(row) for row in templates.listed(session)]))


def shown(session: Session, call: Call) -> Reply:
    """One template."""
    return _reply(templates.get(session, call.path["id"]))


def added(session: Session, call: Call) -> Reply:
    """A new one."""
    row = templates.save(session, _new(call.body))
    return _reply(row, location=f"/templates/{row.id}")


def replaced(session: Session, call: Call) -> Reply:
    """Other words in its place."""
    return _reply(
        templates.save(session, _new(call.body), template_id=templates.get(session, call.path["id"]).id)
    )


def removed(session: Session, call: Call) -> Reply:
    """Gone."""
    templates.remove(session, call.path["id"])
    return Reply(subject=f"template:{call.path['id']}")


def _new(said: shapes.TemplateGiven) -> NewTemplate:
    return NewTemplate(
        name=said.name.strip(),
        kind=said.kind,
        title=wishes.text(said.title),
        text=wishes.text(said.text),
        status=said.status,
        position=round(said.position),
    )


def _reply(row: Template, *, location: str = "") -> Reply:
    return Reply(records.template(row), subject=f"template:{row.id}", location=location)

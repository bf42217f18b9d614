"""/api/v2: the page's state as JSON, in the shapes that clients of Atlassian Statuspage know (docs/api.md).

Pure: a snapshot in, bytes out. What that API has no word for stands under `x_customs` of an incident.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from statuspage.incidents.rules import UNRESOLVED, MaintenanceStatus, NoticeKind, indicator_description
from statuspage.incidents.snapshot import (
    ChangeView,
    FallbackView,
    GroupView,
    HandlingView,
    NamedView,
    NoticeView,
    PageSnapshot,
    ServiceView,
    UpdateView,
)
from statuspage.kernel.config import Page

NEWEST = 50  # notices in a list of all states
ACTIVE = frozenset({MaintenanceStatus.IN_PROGRESS, MaintenanceStatus.VERIFYING})

_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Universal", "Zulu"})

Object = dict[str, Any]


def render(
    snapshot: PageSnapshot, page: Page, base_url: str, language: str | None = None
) -> dict[str, bytes]:
    """Path → JSON of every endpoint, in `language` or, where that is None, the page's own."""
    writer = _Writer(snapshot, page, base_url, language or page.language)
    return {f"/api/v2/{name}.json": msgspec.json.encode(body) for name, body in writer.answers().items()}


def instants(time_zone: str) -> Callable[[datetime], str]:
    """A formatter to RFC 3339 with three fraction digits: `Z` where the zone is UTC, else its offset."""
    if time_zone in _UTC_NAMES:
        utc = ZoneInfo("UTC")
        return lambda at: at.astimezone(utc).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    zone = ZoneInfo(time_zone)
    return lambda at: at.astimezone(zone).isoformat(timespec="milliseconds")


class _Writer:
    """One snapshot in one language. What several endpoints share is made once."""

    def __init__(self, snapshot: PageSnapshot, page: Page, base_url: str, language: str) -> None:
        self._snapshot = snapshot
        self._page = page
        self._base_url = base_url
        self._language = language
        self._instant = instants(page.time_zone)
        self._zone = ZoneInfo(page.time_zone)
        self._components = {service.id: self._component(service) for service in snapshot.services}
        self._written: dict[str, Object] = {}

    def answers(self) -> dict[str, Object]:
        """Endpoint → answer."""
        snapshot = self._snapshot
        components = [row for group in snapshot.groups for row in self._group(group)]
        status = self._status()
        unresolved = self._notices(i for i in snapshot.incidents if i.status in UNRESOLVED)
        upcoming = [m for m in snapshot.planned if m.status == MaintenanceStatus.SCHEDULED]
        active = [m for m in snapshot.planned if m.status in ACTIVE]
        planned = {
            "": self._notices(snapshot.maintenances[:NEWEST]),
            "/upcoming": self._notices(upcoming),
            "/active": self._notices(active),
        }
        answers: dict[str, Object] = {
            "summary": {
                "components": components,
                "incidents": unresolved,
                "scheduled_maintenances": self._notices([*active, *upcoming]),
                "status": status,
            },
            "status": {"status": status},
            "components": {"components": components},
            "incidents": {"incidents": self._notices(snapshot.incidents[:NEWEST])},
            "incidents/unresolved": {"incidents": unresolved},
        }
        for suffix, notices in planned.items():
            answers[f"scheduled-maintenances{suffix}"] = {"scheduled_maintenances": notices}
        about = self._about()
        return {name: {"page": about, **body} for name, body in answers.items()}

    def _about(self) -> Object:
        return {
            "id": self._page.id,
            "name": self._page.name_pl if self._language == "pl" else self._page.name_en,
            "url": self._base_url,
            "time_zone": self._page.time_zone,
            "updated_at": self._instant(self._snapshot.updated_at),
        }

    def _status(self) -> Object:
        """The description is English in both languages: clients match on it."""
        indicator = self._snapshot.indicator
        return {"indicator": indicator.value, "description": indicator_description(indicator)}

    def _group(self, group: GroupView) -> list[Object]:
        """A group's own row, and those of its services."""
        row = self._row(group.id, group.name[self._language], group)
        row |= {
            "description": None,
            "start_date": None,
            "group_id": None,
            "group": True,
            "components": [service.id for service in group.services],
        }
        return [row, *(self._components[service.id] for service in group.services)]

    def _component(self, service: ServiceView) -> Object:
        measured_at = service.first_measured_at
        return self._row(service.id, service.name[self._language], service) | {
            "description": service.description[self._language] or None,
            "start_date": measured_at.astimezone(self._zone).date().isoformat() if measured_at else None,
            "group_id": service.group_id,
            "group": False,
        }

    def _row(self, id: str, name: str, view: GroupView | ServiceView) -> Object:
        return {
            "id": id,
            "name": name,
            "status": view.status.value,
            "created_at": self._instant(view.created_at),
            "updated_at": self._instant(view.updated_at),
            "position": view.position,
            "showcase": True,
            "page_id": self._page.id,
            "only_show_if_degraded": False,
        }

    def _notices(self, notices: Iterable[NoticeView]) -> list[Object]:
        return [self._written.get(notice.id) or self._notice(notice) for notice in notices]

    def _notice(self, notice: NoticeView) -> Object:
        written: Object = {
            "id": notice.id,
            "name": notice.name[self._language],
            "status": _status_word(notice.status),
            "created_at": self._instant(notice.created_at),
            "updated_at": self._instant(notice.updated_at),
            "monitoring_at": self._maybe(notice.monitoring_at),
            "resolved_at": self._maybe(notice.resolved_at),
            "impact": notice.impact.value,
            "shortlink": f"{self._base_url}/incidents/{notice.id}",
            "started_at": self._instant(notice.began_at),
            "page_id": self._page.id,
            "incident_updates": [self._update(update) for update in notice.updates],
            # As in the original, the components' state of today; those archived since are gone from here.
            "components": [self._components[a.id] for a in notice.concerned if a.id in self._components],
            "reminder_intervals": None,
            "x_customs": self._customs(notice),
        }
        if notice.kind == NoticeKind.MAINTENANCE:
            written["x_customs"] |= self._planned(notice)
            written["scheduled_for"] = self._instant(notice.scheduled_for or notice.began_at)
            written["scheduled_until"] = self._instant(
                notice.scheduled_until or notice.scheduled_for or notice.began_at
            )
        self._written[notice.id] = written
        return written

    def _update(self, update: UpdateView) -> Object:
        return {
            "id": update.id,
            "status": _status_word(update.status),
            "body": update.text[self._language],
            "incident_id": update.notice_id,
            "created_at": self._instant(update.created_at),
            "updated_at": self._instant(update.updated_at),
            "display_at": self._instant(update.display_at),
            "affected_components": [self._change(change) for change in update.affected],
            "deliver_notifications": update.deliver,
            "custom_tweet": None,
            "tweet_id": None,
        }

    def _change(self, change: ChangeView) -> Object:
        return {
            "code": change.id,
            "name": change.name[self._language],
            "old_status": change.old_status,
            "new_status": change.new_status,
        }

    def _customs(self, notice: NoticeView) -> Object:
        """Both languages, exact times, what was affected and how badly, and what was said before."""
        return {
            "reference": notice.id,
            "name_pl": notice.name.pl,
            "name_en": notice.name.en,
            "status": notice.status,  # "cancelled" too
            "version": notice.version,
            "detected_at": self._instant(notice.detected_at),
            "published_at": self._instant(notice.published_at),
            "next_update_at": self._maybe(notice.next_update_at),
            "affected": [
                {
                    "id": a.id,
                    "code": a.code,
                    "name_pl": a.name.pl,
                    "name_en": a.name.en,
                    "status": a.status.value,
                    "worst_status": a.worst_status.value,
                    "by_parent": a.by_parent,
                    "functions": list(a.functions),
                    "channels": list(a.channels),
                }
                for a in notice.concerned
            ],
            "unaffected": [self._named(service) for service in notice.unaffected],
            "messages": [self._handling(handling) for handling in notice.handlings],
            "fallbacks": [self._fallback(fallback) for fallback in notice.fallbacks],
            "backfilled": notice.is_backfilled,
            "updates": [{"id": u.id, "text_pl": u.text.pl, "text_en": u.text.en} for u in notice.updates],
            "revisions": [
                {"at": self._instant(r.at), "update_id": r.update_id, "before": dict(r.before)}
                for r in notice.revisions
            ],
        }

    @staticmethod
    def _named(service: NamedView) -> Object:
        return {
            "id": service.id,
            "code": service.code,
            "name_pl": service.name.pl,
            "name_en": service.name.en,
        }

    def _handling(self, handling: HandlingView) -> Object:
        """What becomes of messages sent in a window; `service` null: of all affected services."""
        return {
            "service": self._named(handling.service) if handling.service else None,
            "handling": handling.handling.value,
            "sent_from": self._maybe(handling.sent_from),
            "sent_until": self._maybe(handling.sent_until),
            "text_pl": handling.text.pl,
            "text_en": handling.text.en,
            "declared_at": self._instant(handling.declared_at),
        }

    def _fallback(self, fallback: FallbackView) -> Object:
        """A declaration about the emergency procedure; `current` false: a later one replaced it."""
        return {
            "id": fallback.id,
            "service": self._named(fallback.service),
            "function": fallback.function or None,
            "state": fallback.state.value,
            "reference": fallback.reference,
            "begins_at": self._instant(fallback.begins_at),
            "ends_at": self._maybe(fallback.ends_at),
            "withdrawn_at": self._maybe(fallback.withdrawn_at),
            "enter_by": self._maybe(fallback.enter_by),
            "instructions_pl": fallback.instructions.pl,
            "instructions_en": fallback.instructions.en,
            "legal_basis_pl": fallback.legal_basis.pl,
            "legal_basis_en": fallback.legal_basis.en,
            "declared_at": self._instant(fallback.declared_at),
            "current": fallback.is_current,
        }

    def _planned(self, notice: NoticeView) -> Object:
        """What planned work alone has: how early it was announced, how it begins, its series, what left it."""
        said = notice.announcement
        excused = said.excused if said else None
        return {
            "by_hand": notice.by_hand,
            "series_id": notice.series_id,
            "announced_at": self._maybe(said.announced_at if said else None),
            "announced_in_time": notice.is_announced_in_time,
            "in_time_from": self._maybe(excused.begins_at if excused else None),
            "in_time_until": self._maybe(excused.ends_at if excused else None),
            "no_longer_affected": [
                {
                    "id": a.id,
                    "code": a.code,
                    "name_pl": a.name.pl,
                    "name_en": a.name.en,
                    "since": self._instant(a.cancelled_at),
                }
                for a in notice.affected
                if a.cancelled_at is not None
            ],
        }

    def _maybe(self, at: datetime | None) -> str | None:
        return None if at is None else self._instant(at)


_RENAMED: Mapping[str, str] = {MaintenanceStatus.CANCELLED: MaintenanceStatus.COMPLETED.value}


def _status_word(status: str) -> str:
    """The API knows no cancelled work; it counts as completed."""
    return _RENAMED.get(status) or str(status)

"""The duty officer's commands for planned work: once or recurring, its changes, its begin and end."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from statuspage.carriers import Carrier, Place
from statuspage.cli import author, config_option, database_of, now, settings_of
from statuspage.kernel.errors import Invalid
from statuspage.officer import instant_of, text_of, texts, titles, with_carrier, with_options

if TYPE_CHECKING:
    from statuspage.incidents.maintenance import NewMaintenance
    from statuspage.incidents.recurrence import Occurrence, Recurrence
    from statuspage.incidents.snapshot import Text

PREVIEWED = 12
own_texts = [
    click.option("--text-pl", help="What to say, in Polish (Markdown). Default: a plain sentence."),
    click.option("--text-en", help="The same in English."),
]
one = click.argument("maintenance_id", metavar="ID")


def _own_text(text_pl: str | None, text_en: str | None) -> "dict[str, Text]":
    """Both languages, or neither: then the verb's own sentence is said."""
    if text_pl is None and text_en is None:
        return {}
    if text_pl is None or text_en is None:
        raise Invalid("--text-pl" if text_pl is None else "--text-en", "readers need it in both languages")
    return {"text": text_of(text_pl, text_en)}


@click.group()
def maintenance() -> None:
    """Schedule planned work, change it, begin and end it."""


@maintenance.command("schedule")
@with_carrier
@click.option(
    "--service", "services", multiple=True, required=True, metavar="CODE", help="Repeat for each service."
)
@with_options(titles)
@with_options(texts)
@click.option("--start", required=True, metavar="TIME", help="Such as 2026-03-01T06:10+01:00.")
@click.option("--end", required=True, metavar="TIME")
@click.option("--by-hand", is_flag=True, help="It begins and is completed when an officer says so.")
@click.option(
    "--repeat",
    metavar="RRULE",
    help="Make it recur (RFC 5545), such as FREQ=MONTHLY;BYDAY=1SA; prints the series' id.",
)
@click.option("--zone", metavar="ZONE", help="IANA zone in which it recurs. Default: the page's.")
@click.option("--preview", is_flag=True, help="Print when it would take place; announce nothing.")
def maintenance_schedule(
    carrier: Carrier,
    services: tuple[str, ...],
    title_pl: str,
    title_en: str,
    text_pl: str,
    text_en: str,
    start: str,
    end: str,
    repeat: str | None,
    zone: str | None,
    *,
    by_hand: bool,
    preview: bool,
) -> None:
    """Announce planned work, and print its id.

    With --repeat, times without an offset are local times of the zone.
    """
    from statuspage.incidents import maintenance as verbs

    if zone is not None and repeat is None:
        raise Invalid("--zone", "goes with --repeat; a single time has its offset")
    rule = None
    if repeat is not None:
        rule = _recurrence(repeat, zone or carrier.place().zone.key, start, end)
    new = verbs.NewMaintenance(
        text_of(title_pl, title_en),
        text_of(text_pl, text_en),
        services,
        _required(start, "--start", rule),
        _required(end, "--end", rule),
        by_hand,
    )
    if preview:
        _print_preview(new, rule, carrier.place())
    elif rule is not None:
        click.echo(_begin_series(carrier, new, rule))
    else:
        click.echo(carrier.schedule(new))


def _required(text: str, option: str, rule: "Recurrence | None") -> datetime:
    at = instant_of(option, text) if rule is None else _local(option, text, rule.zone.key)
    if at is None:
        raise AssertionError("required options are there")
    return at


def _local(option: str, text: str, zone: str) -> datetime | None:
    """An instant; without an offset it is the zone's local time."""
    from statuspage.incidents.recurrence import instant, zone_named

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return instant_of(option, text)  # which says what is wrong
    return instant(at, zone_named(zone)) if at.tzinfo is None else instant_of(option, text)


def _recurrence(repeat: str, zone: str, start: str, end: str) -> "Recurrence":
    from statuspage.incidents import recurrence

    place = recurrence.zone_named(zone)
    begins_at, ends_at = _local("--start", start, zone), _local("--end", end, zone)
    if begins_at is None or ends_at is None:
        raise AssertionError("required options are there")
    if ends_at <= begins_at:
        raise Invalid("end", "must come after the start")
    written = datetime.fromisoformat(start)
    local = written if written.tzinfo is None else begins_at.astimezone(place).replace(tzinfo=None)
    return recurrence.parse(repeat, zone=zone, begins_local=local, duration=ends_at - begins_at)


def _print_preview(new: "NewMaintenance", rule: "Recurrence | None", place: Place) -> None:
    from statuspage.incidents import maintenance as verbs
    from statuspage.incidents import recurrence
    from statuspage.incidents.announcement import Window
    from statuspage.incidents.planned_words import REMARKS

    at = now()
    if rule is None:
        verbs.check_window(Window(new.begins_at, new.ends_at), now=at)
        found: Iterable[Occurrence] = [recurrence.Occurrence(new.begins_at, new.begins_at, new.ends_at, ())]
        zone = place.zone
    else:
        found, zone = recurrence.preview(rule, PREVIEWED, after=at), rule.zone
    for one in found:
        begin, end = one.begins_at.astimezone(zone), one.ends_at.astimezone(zone)
        is_late = one.begins_at - at < place.announce_ahead
        remarks = [REMARKS[remark] for remark in one.remarks]
        remarks += ["announced too late: does not count as announced unavailability"] if is_late else []
        said = f"  {'; '.join(remarks)}" if remarks else ""
        click.echo(f"{begin:%a %Y-%m-%dT%H:%M%z}  {end:%a %Y-%m-%dT%H:%M%z}{said}")


def _begin_series(carrier: Carrier, new: "NewMaintenance", rule: "Recurrence") -> str:
    from statuspage.incidents.series import NewSeries

    return carrier.begin_series(NewSeries(new.name, new.text, new.services, rule, new.by_hand))


@maintenance.command("extend")
@one
@config_option
@click.option("--end", metavar="TIME", help="The new end, later or earlier.")
@click.option("--start", metavar="TIME", help="The new begin, while the work has not begun.")
@with_options(own_texts)
def maintenance_extend(
    config_file: Path,
    maintenance_id: str,
    end: str | None,
    start: str | None,
    text_pl: str | None,
    text_en: str | None,
) -> None:
    """Give planned work other times. What was announced before stays on record."""
    from statuspage.incidents import amendments

    if end is None and start is None:
        raise Invalid("--end", "say the new end, or the new --start")
    settings = settings_of(config_file)
    database_of(config_file).run_now(
        amendments.reschedule,
        maintenance_id,
        by=author(),
        now=now(),
        policy=settings.incidents,
        zone=settings.zone,
        begins_at=instant_of("--start", start),
        ends_at=instant_of("--end", end),
        **_own_text(text_pl, text_en),
    )


def _take_step(config_file: Path, verb: Callable[..., Any], maintenance_id: str, **more: Any) -> None:
    database_of(config_file).run_now(verb, maintenance_id, by=author(), now=now(), **more)


@maintenance.command("begin")
@one
@config_option
@with_options(own_texts)
def maintenance_begin(
    config_file: Path, maintenance_id: str, text_pl: str | None, text_en: str | None
) -> None:
    """Begin planned work now."""
    from statuspage.incidents import maintenance as verbs

    _take_step(config_file, verbs.begin, maintenance_id, **_own_text(text_pl, text_en))


@maintenance.command("verify")
@one
@config_option
@with_options(own_texts)
def maintenance_verify(
    config_file: Path, maintenance_id: str, text_pl: str | None, text_en: str | None
) -> None:
    """Say that the work is done and its result is being checked."""
    from statuspage.incidents import maintenance as verbs

    _take_step(config_file, verbs.verify, maintenance_id, **_own_text(text_pl, text_en))


@maintenance.command("complete")
@one
@config_option
@with_options(own_texts)
def maintenance_complete(
    config_file: Path, maintenance_id: str, text_pl: str | None, text_en: str | None
) -> None:
    """Say that the work is over."""
    from statuspage.incidents import maintenance as verbs

    policy = settings_of(config_file).incidents
    _take_step(config_file, verbs.complete, maintenance_id, policy=policy, **_own_text(text_pl, text_en))


@maintenance.command("cancel")
@one
@with_carrier
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="CODE",
    help="Only for this service; the rest of the work goes on. Repeat for each.",
)
@with_options(own_texts)
def maintenance_cancel(
    carrier: Carrier,
    maintenance_id: str,
    services: tuple[str, ...],
    text_pl: str | None,
    text_en: str | None,
) -> None:
    """Call planned work off, all of it or a part."""
    carrier.cancel(maintenance_id, services=services, text=_own_text(text_pl, text_en).get("text"))


@maintenance.command("list")
@with_carrier
def maintenance_list(carrier: Carrier) -> None:
    """List planned work, newest first: id, status, begin, end, title."""
    for line in carrier.maintenance():
        click.echo(
            f"{line.id}  {line.status:<11}  {line.begins_at:%Y-%m-%dT%H:%MZ}  "
            f"{line.ends_at:%Y-%m-%dT%H:%MZ}  {line.title}"
        )


# --- work that recurs ---


@maintenance.group("series")
def maintenance_series() -> None:
    """List and end work that recurs."""


@maintenance_series.command("list")
@config_option
def maintenance_series_list(config_file: Path) -> None:
    """List series, newest first: id, state, rule, zone, title."""
    from statuspage.incidents import series

    for found in database_of(config_file).read_now(series.listed):
        state = "running" if found.ended_at is None else "ended"
        click.echo(f"{found.id}  {state:<7}  {found.rule}  {found.zone}  {found.name_en}")


@maintenance_series.command("end")
@click.argument("series_id", metavar="ID")
@config_option
@click.option("--leave-announced", is_flag=True, help="What was announced already takes place.")
def maintenance_series_end(config_file: Path, series_id: str, *, leave_announced: bool) -> None:
    """End a series: what has not begun is called off."""
    from statuspage.incidents import series

    policy = settings_of(config_file).incidents
    database_of(config_file).run_now(
        series.end, series_id, by=author(), now=now(), policy=policy, leave_announced=leave_announced
    )

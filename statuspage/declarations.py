"""The duty officer's commands about an incident beside its updates: paper, messages already sent, corrections."""

from pathlib import Path

import click

from statuspage.cli import author, config_option, database_of, now, settings_of
from statuspage.kernel.errors import Invalid
from statuspage.officer import incident, instant_of, text_of

_STATES = click.Choice(["permitted", "not_needed"])
_HANDLINGS = click.Choice(["kept", "rejected", "resend"])


@incident.command("paper")
@click.argument("incident_id", metavar="ID")
@config_option
@click.option("--service", required=True, metavar="CODE")
@click.option("--state", type=_STATES, default="permitted", show_default=True)
@click.option("--function", default="", help="A function of the service; default: all of it.")
@click.option("--reference", default="", help="What traders quote; default: the next number of the series.")
@click.option("--until", metavar="TIME", help="Default: until it is withdrawn or the incident is resolved.")
@click.option("--instructions-pl", default="", help="What to do on paper, in Polish (Markdown).")
@click.option("--instructions-en", default="")
@click.option("--legal-basis-pl", default="", help="Default: as the settings say.")
@click.option("--legal-basis-en", default="")
def incident_paper(
    config_file: Path,
    incident_id: str,
    service: str,
    state: str,
    function: str,
    reference: str,
    until: str | None,
    instructions_pl: str,
    instructions_en: str,
    legal_basis_pl: str,
    legal_basis_en: str,
) -> None:
    """Permit the fallback procedure for a service, or say that it is not needed; print the reference."""
    from statuspage.incidents import fallbacks
    from statuspage.incidents.rules import FallbackState

    new = fallbacks.NewFallback(
        service=service,
        state=FallbackState(state),
        function=function,
        reference=reference,
        ends_at=instant_of("--until", until),
        instructions=text_of(instructions_pl, instructions_en),
        legal_basis=text_of(legal_basis_pl, legal_basis_en),
    )
    policy = settings_of(config_file).incidents
    declared = database_of(config_file).run_now(
        fallbacks.declare, incident_id, new, by=author(), now=now(), policy=policy
    )
    click.echo(declared.reference)


@incident.command("withdraw-paper")
@click.argument("reference")
@config_option
def incident_withdraw_paper(config_file: Path, reference: str) -> None:
    """End the permissions with this reference: what was begun on paper is finished, nothing new is begun."""
    from statuspage.incidents import fallbacks

    count = database_of(config_file).run_now(fallbacks.withdraw_all, reference, by=author(), now=now())
    click.echo(f"withdrawn: {count}")


@incident.command("messages")
@click.argument("incident_id", metavar="ID")
@config_option
@click.option("--handling", type=_HANDLINGS, required=True, help="What becomes of messages already sent.")
@click.option("--service", default="", metavar="CODE", help="Default: all that are affected.")
@click.option("--from", "sent_from", metavar="TIME", help="The window in which they were sent.")
@click.option("--to", "sent_until", metavar="TIME")
@click.option("--text-pl", required=True, help="What to say, in Polish (Markdown).")
@click.option("--text-en", required=True, help="What to say, in English (Markdown).")
def incident_messages(
    config_file: Path,
    incident_id: str,
    handling: str,
    service: str,
    sent_from: str | None,
    sent_until: str | None,
    text_pl: str,
    text_en: str,
) -> None:
    """Say what becomes of messages already sent, as an update of the incident."""
    from statuspage.incidents import incidents
    from statuspage.incidents.details import Details, NewHandling
    from statuspage.incidents.rules import MessageHandling

    said = NewHandling(
        MessageHandling(handling), service, instant_of("--from", sent_from), instant_of("--to", sent_until)
    )
    database_of(config_file).run_now(
        incidents.post_update,
        incident_id,
        text_of(text_pl, text_en),
        by=author(),
        now=now(),
        more=Details(handlings=[said]),
    )


@incident.command("correct")
@click.argument("incident_id", metavar="ID")
@config_option
@click.option("--began-at", metavar="TIME", help="When it really began.")
@click.option("--ended-at", metavar="TIME", help="When it really ended.")
def incident_correct(config_file: Path, incident_id: str, began_at: str | None, ended_at: str | None) -> None:
    """Put the times of an incident right; the old ones stay visible."""
    from statuspage.incidents import corrections

    if not began_at and not ended_at:
        raise Invalid("--began-at", "give the beginning, the end (--ended-at), or both")
    database_of(config_file).run_now(
        corrections.correct_times,
        incident_id,
        by=author(),
        now=now(),
        began_at=instant_of("--began-at", began_at),
        ended_at=instant_of("--ended-at", ended_at),
    )


@incident.command("merge")
@click.argument("incident_id", metavar="ID")
@click.argument("into_id", metavar="INTO")
@config_option
def incident_merge(config_file: Path, incident_id: str, into_id: str) -> None:
    """Make incident ID part of incident INTO: its services, declarations and address lead there."""
    from statuspage.incidents import corrections

    database_of(config_file).run_now(corrections.merge, incident_id, into_id, by=author(), now=now())

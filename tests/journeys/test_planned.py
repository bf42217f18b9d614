"""Planned work at the console of a running demo, in Chromium: recurring work across both changes of the clocks, work
that is moved and called off in part, two officers at once.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from icalendar import Calendar
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.journeys.demo_process import Demo, until

ANNA, JAN = ("operator", "operator-of-the-demo"), ("operator2", "second-of-the-demo")
WARSAW = ZoneInfo("Europe/Warsaw")
PLACE = "console/maintenance"

# One sign-in for each officer: more within five minutes are taken for guessing.
_cookies: dict[str, Any] = {}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One that announces more than a year ahead, so that both changes of the clocks are in it in any month."""
    running = Demo(tmp_path_factory.mktemp("planned") / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATUSPAGE_INCIDENTS__PLAN_AHEAD", "400d")
        running.start()
    yield running
    running.stop()
    _cookies.clear()


def sign_in(context: BrowserContext, who: tuple[str, str], language: str = "en") -> Page:
    page = context.new_page()
    if who[0] in _cookies:
        context.add_cookies(_cookies[who[0]])
    else:
        page.goto(f"/{language}/console/sign-in")
        page.locator("#login").fill(who[0])
        page.locator("#password").fill(who[1])
        page.locator("main form button[type=submit]").click()
        expect(page.locator("h1")).to_have_text({"pl": "Pulpit", "en": "Board"}[language])
        _cookies[who[0]] = context.cookies()
    return page


@pytest.fixture(params=["scripts", "no scripts"])
def context(request: pytest.FixtureRequest, browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=demo.base_url, java_script_enabled=request.param == "scripts")
    yield made
    made.close()


@pytest.fixture
def other(browser: Browser, demo: Demo) -> Iterator[BrowserContext]:
    """The browser of a colleague."""
    made = browser.new_context(base_url=demo.base_url)
    yield made
    made.close()


def local(days: float, hour: int, minute: int = 0) -> datetime:
    """So many days from now, at that time in Warsaw."""
    day = datetime.now(WARSAW) + timedelta(days=days)
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


def fill(page: Page, name: str, begins: datetime, ends: datetime, *codes: str) -> None:
    for language in ("pl", "en"):
        page.locator(f"#title_{language}").fill(f"{name} ({language})")
        page.locator(f"#text_{language}").fill(f"Words ({language})")
    for code in codes:
        page.locator(f"input[name=service][value={code}]").check()
    fill_times(page, begins, ends)


def fill_times(page: Page, begins: datetime, ends: datetime) -> None:
    page.locator("#begins_at").fill(f"{begins:%Y-%m-%dT%H:%M}")
    page.locator("#ends_at").fill(f"{ends:%Y-%m-%dT%H:%M}")


def announce(page: Page) -> None:
    page.locator("button[value=preview]").first.click()
    expect(page.locator("#preview")).to_be_visible()
    page.locator("button[value=announce]").first.click()
    expect(page.locator(".notice.done")).to_be_visible()


def announced(demo: Demo, page: Page, name: str) -> str:
    """Work announced in four days; its id."""
    page.goto(f"/en/{PLACE}/new")
    fill(page, name, local(4, 20), local(4, 23), "NCTS2", "CRPA")
    announce(page)
    work = page.url.partition("/maintenance/")[2].partition("?")[0]
    until("the public page", lambda: httpx.get(f"{demo.base_url}/en/incidents/{work}").status_code == 200)
    return work


def last_sundays(count: int, after: datetime) -> list[datetime]:
    """In UTC, 02:30 in Warsaw on the last Sunday of each month: in March that hour is skipped, in October the first."""
    found: list[datetime] = []
    day = after.date()
    while len(found) < count:
        if day.weekday() == 6 and (day + timedelta(days=7)).month != day.month:
            at = datetime(day.year, day.month, day.day, 2, 30, tzinfo=WARSAW)
            if day.month == 3:  # 03:00 in summer time
                at = datetime(day.year, 3, day.day, 1, 0, tzinfo=UTC)
            found.append(at.astimezone(UTC))
        day += timedelta(days=1)
    return found


def events(demo: Demo, name: str) -> dict[datetime, Any]:
    """What `/history.ics` has under that name, by its begin."""
    calendar = Calendar.from_ical(httpx.get(f"{demo.base_url}/history.ics?lang=en").text)
    found: list[Any] = [event for event in calendar.walk("VEVENT") if str(event["summary"]) == name]
    return {event["dtstart"].dt.astimezone(UTC): event for event in found}


@pytest.mark.parametrize("language", ["pl", "en"])
def test_a_series_across_both_changes_of_the_clocks(
    demo: Demo, context: BrowserContext, language: str
) -> None:
    page = sign_in(context, ANNA, language)
    name = f"Backup {language} {len(_cookies)}{id(context)}"
    page.goto(f"/{language}/{PLACE}/new")
    begins = local(3, 2, 30)
    fill(page, name, begins, begins + timedelta(hours=3), "NCTS2")
    page.locator("input[name=repeat][value=month_weekday]").check()
    page.locator("#ordinal").select_option("-1")
    page.locator("#ordinal_day").select_option("SU")
    page.locator("button[value=preview]").first.click()

    table = page.locator("table").first
    expected = last_sundays(13, begins)
    shown = [
        datetime.fromisoformat(time.get_attribute("datetime") or "")
        for time in table.locator("tbody time").all()
    ]
    assert shown[:8] == expected[:8]
    (march,) = [at for at in expected[:12] if at.astimezone(WARSAW).month == 3]
    (october,) = [at for at in expected[:12] if at.astimezone(WARSAW).month == 10]
    assert {march, october} <= set(shown)
    skipped = {"pl": "tej godziny nie ma", "en": "that hour is skipped"}[language]
    twice = {"pl": "ta godzina jest dwa razy", "en": "that hour comes twice"}[language]
    row = table.locator("tr", has=page.locator(f"time[datetime='{march:%Y-%m-%dT%H:%M:%SZ}']"))
    expect(row).to_contain_text(skipped)
    expect(row).to_contain_text("03:00 (UTC+2)")
    row = table.locator("tr", has=page.locator(f"time[datetime='{october:%Y-%m-%dT%H:%M:%SZ}']"))
    expect(row).to_contain_text(twice)
    expect(row).to_contain_text("02:30 (UTC+2)")
    expect(row).to_contain_text("04:30 (UTC+1)")
    assert events(demo, f"{name} (en)") == {}

    page.locator("button[value=announce]").first.click()
    expect(page.locator(".notice.done")).to_be_visible()
    horizon = datetime.now(UTC) + timedelta(days=400)
    planned = [at for at in last_sundays(14, begins) if at <= horizon]
    until("the calendar", lambda: len(events(demo, f"{name} (en)")) == len(planned))
    found = events(demo, f"{name} (en)")
    assert sorted(found) == planned
    for event in found.values():
        assert event["dtend"].dt - event["dtstart"].dt == timedelta(hours=3)
    public = page.context.new_page()
    public.goto(f"/{language}/maintenance")
    rows = public.locator("tbody tr", has_text=f"{name} ({language})")
    expect(rows).to_have_count(len(planned))
    expect(rows.filter(has_text="03:00")).to_have_count(
        sum(at.hour == 1 and at.minute == 0 for at in planned)
    )

    page.locator("input[name=announced][value=cancel]").check()
    page.locator("main .button-danger").click()
    expect(page.locator(".notice.done")).to_be_visible()
    until(
        "the cancellation",
        lambda: {str(event["status"]) for event in events(demo, f"{name} (en)").values()} == {"CANCELLED"},
    )
    page.goto(f"/{language}/{PLACE}")
    expect(page.locator("#series + *")).not_to_contain_text(name)


def test_work_is_moved_and_called_off_in_part(demo: Demo, context: BrowserContext) -> None:
    page = sign_in(context, ANNA)
    work = announced(demo, page, "Move")
    public = f"{demo.base_url}/en/incidents/{work}"
    page.locator("#times-form summary").click()
    fill_times(page, local(6, 18), local(6, 21))
    page.locator("#times_text_en").fill("We need another evening.")
    page.locator("#times-form button[value=act]").click()
    expect(page.locator(".notice.done")).to_be_visible()
    until("the new times", lambda: "We need another evening." in httpx.get(public).text)
    page.locator("#part-form summary").click()
    page.locator("input[name=part][value=CRPA]").check()
    page.locator("#part-form button[value=preview]").click()
    expect(page.locator("#preview")).to_be_visible()
    page.locator("#part-form button[value=act]").click()
    expect(page.locator(".notice.done")).to_be_visible()
    until("what is left", lambda: "The work no longer concerns CRPA." in httpx.get(public).text)
    reader = page.context.new_page()
    reader.goto(f"/en/incidents/{work}")
    for said in ("18:00", "Announced before", "20:00", "Not affected any more"):
        expect(reader.locator("main")).to_contain_text(said)
    page.goto(f"/en/{PLACE}/{work}")
    page.locator("#cancel-form summary").click()
    page.locator("#cancel-form button[value=act]").click()
    expect(page.locator(".notice.done")).to_be_visible()


def test_times_that_come_too_late_are_confirmed_first(demo: Demo, context: BrowserContext) -> None:
    page = sign_in(context, ANNA)
    work = announced(demo, page, "Late")
    page.locator("#times-form summary").click()
    fill_times(page, local(1, 18), local(1, 21))
    page.locator("#times-form button[value=act]").click()
    expect(page.locator("#times-form .notice.error")).to_contain_text("lowers the availability figure")
    assert "less than 48 hours ahead" not in httpx.get(f"{demo.base_url}/en/incidents/{work}").text
    page.locator("#times-form button[value=act]").click()
    expect(page.locator(".notice.done")).to_be_visible()
    public = f"{demo.base_url}/en/incidents/{work}"
    until("the consequence in public", lambda: "less than 48 hours ahead" in httpx.get(public).text)


def test_two_officers_at_once_lose_nothing(
    demo: Demo, context: BrowserContext, other: BrowserContext
) -> None:
    anna, jan = sign_in(context, ANNA), sign_in(other, JAN)
    work = announced(demo, anna, "Two")
    for page in (anna, jan):
        page.goto(f"/en/{PLACE}/{work}")
    jan.locator("#times-form summary").click()
    fill_times(jan, local(5, 20), local(5, 23))
    jan.locator("#times_text_en").fill("Words of Jan")
    jan.locator("#times-form button[value=act]").click()
    expect(jan.locator(".notice.done")).to_be_visible()
    anna.locator("#cancel-form summary").click()
    anna.locator("#cancel_text_en").fill("Words of Anna")
    anna.locator("#cancel-form button[value=act]").click()
    missed = anna.locator("section[aria-labelledby=missed]")
    expect(missed).to_contain_text("operator2")
    expect(missed).to_contain_text("Words of Jan")
    expect(anna.locator("#cancel_text_en")).to_have_value("Words of Anna")
    expect(anna.locator("#cancel-form button[value=act]")).to_be_visible()  # its form stands open
    anna.locator("#cancel-form button[value=act]").click()
    expect(anna.locator(".notice.done")).to_be_visible()
    expect(anna.locator(".timeline")).to_contain_text("Words of Anna")
    expect(anna.locator(".timeline")).to_contain_text("Words of Jan")


def test_a_form_is_filled_in_and_announced_by_keyboard_alone(demo: Demo, other: BrowserContext) -> None:
    page = sign_in(other, ANNA)
    page.goto(f"/en/{PLACE}/new")
    fill(page, "Keys", local(4, 20), local(4, 21), "CRPA")
    page.locator("input[name=repeat][value=once]").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[name=repeat][value=daily]")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.locator("#interval")).to_be_focused()  # what belongs to other rules is not in the way
    page.locator("input[name=repeat][value=daily]").press("ArrowUp")
    page.locator("button[value=preview]").first.press("Enter")
    page.locator("button[value=announce]").first.press("Enter")
    expect(page.locator(".notice.done")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["pl", "en"])
def test_the_pages_are_for_everybody(demo: Demo, browser: Browser, language: str, scheme: str) -> None:
    made = browser.new_context(
        base_url=demo.base_url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": 360, "height": 800},
    )
    faults: list[str] = []
    try:
        page = sign_in(made, ANNA, language)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"/{language}/{PLACE}/new")
        check(page)
        for repeat in page.locator("input[name=repeat]").all():
            repeat.check()
            check(page)
        page.locator("#rule").fill("FREQ=HOURLY")
        page.locator("button[value=preview]").first.click()
        check(page)  # with its errors
        fill(page, f"Everybody {scheme}", local(1, 2, 30), local(1, 5), "NCTS2", "CRPA")
        page.locator("input[name=repeat][value=weekly]").check()
        page.locator("input[name=ending][value=count]").check()
        page.locator("#count").fill("55")
        page.locator("button[value=preview]").first.click()
        expect(page.locator("#preview")).to_be_visible()
        check(page)
        page.locator("button[value=announce]").first.click()
        expect(page.locator(".notice.done")).to_be_visible()
        check(page)
        series = page.url
        page.locator("#ahead + ul a").first.click()
        for summary in page.locator("summary").all():
            summary.click()
        check(page)
        page.locator("#times-form button[value=preview]").click()
        check(page)  # these are its times already
        fill_times(page, local(0, 23, 50), local(1, 1))
        page.locator("#times-form button[value=act]").click()
        expect(page.locator("#times-form .notice.error")).to_be_visible()
        check(page)
        page.goto(f"/{language}/{PLACE}")
        check(page)
        page.goto(series)
        page.locator("main .button-danger").click()
        check(page)  # it has ended
    finally:
        made.close()
    assert [fault for fault in faults if "status of 422" not in fault and "status of 409" not in fault] == []


def check(page: Page) -> None:
    """axe finds nothing, and nothing stands beside a phone's screen."""
    found = Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"
    beside = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert beside <= 0, f"{page.url} is {beside} px too wide"

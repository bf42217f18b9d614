"""All public outputs of one snapshot as prepared bytes, and the ASGI front that answers from them.

A read never touches the database.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from statuspage.incidents.snapshot import PageSnapshot
from statuspage.kernel.house import House
from statuspage.kernel.i18n import LANGUAGES, Language, negotiate
from statuspage.kernel.prepared import FOREVER, PAGE, SHORT, Prepared, prepare
from statuspage.kernel.web import add_security_headers, split_language
from statuspage.site import api, feeds, files, pages
from statuspage.site.views import View

_HTML = "text/html; charset=utf-8"
# Anybody's page may read and embed it, also one that isolates itself (COEP).
_OPEN = (("Access-Control-Allow-Origin", "*"), ("Cross-Origin-Resource-Policy", "cross-origin"))
_PREFIXES = tuple(f"/{language}/" for language in LANGUAGES)
_MAX_LAZY = 500


class Edition:
    """Everything public at one moment, of one snapshot.

    The front pages are made at once. The rest is made when first asked for, or before that by the
    `chores`; twice at once makes the same twice, which is harmless.
    """

    def __init__(self, snapshot: PageSnapshot, house: House) -> None:
        self.snapshot = snapshot
        self._house = house
        self._now = snapshot.built_at
        self._made: OrderedDict[str, Prepared] = OrderedDict()
        self._machine: dict[str, dict[str, Prepared]] = {}
        fronts = {f"/{language}/": self._page(f"/{language}/") for language in LANGUAGES}
        self._front_pages = {target: made for target, made in fronts.items() if made is not None}

    def find(self, target: str) -> Prepared | None:
        """The answer for `/pl/history`, `/api/v2/summary.json?lang=en`…; None: not ours."""
        if found := self._front_pages.get(target):
            return found
        if target in self._made:
            self._made.move_to_end(target)
            return self._made[target]
        made = self._page(target) if target.startswith(_PREFIXES) else self._file(target)
        if made is not None:
            self._made[target] = made
            if len(self._made) > _MAX_LAZY:
                self._made.popitem(last=False)
        return made

    def page_paths(self) -> list[str]:
        """The addresses of all pages, without language prefix, the front page first."""
        return list(pages.paths(self.snapshot, self._house.settings.zone))

    def settled(self, path: str) -> tuple[object, ...] | None:
        """What a page of the past depends on; None for a page of the present."""
        return pages.settled(self.snapshot, path, self._house.settings.zone)

    def error(self, language: str, status: int) -> Prepared:
        """The page that says so in words, for a web server that cannot ask us."""
        html = self.view(language).page("/", "site/error.html", status=status, error=None, told=None)
        return prepare(html.encode(), _HTML, cache=PAGE)

    def view(self, language: str) -> View:
        """For what cannot be made ahead: a search."""
        return View(self.snapshot, language, self._house, self._now)

    def file_paths(self) -> list[str]:
        """The addresses of all that is no page: API, feeds, files."""
        return [*self._machine_readable(self._house.settings.page.language), *files.paths(self.snapshot)]

    def chores(self) -> list[Callable[[], object]]:
        """What will soon be asked for, in pieces of a few milliseconds."""
        return [partial(self._machine_readable, language) for language in LANGUAGES]

    def _page(self, target: str) -> Prepared | None:
        prefix, path = split_language(target)
        if not prefix:
            return None
        html = pages.render(self.snapshot, path, prefix[1:], self._house, now=self._now)
        if html is None:
            return None
        return prepare(html.encode(), _HTML, cache=PAGE, vary="Accept-Encoding, Accept-Language")

    def _file(self, target: str) -> Prepared | None:
        path, _, language = target.partition("?lang=")
        language = language or self._house.settings.page.language
        if path.startswith(("/api/", "/history.")):
            return self._machine_readable(language).get(path)
        file = files.render(self.snapshot, path, language, self._house, now=self._now)
        if file is None:
            return None
        return prepare(
            file.body, file.content_type, cache=file.cache, headers=_OPEN, is_packed=file.is_packed
        )

    def _machine_readable(self, language: str) -> dict[str, Prepared]:
        """API and feeds in one language, by path."""
        if known := self._machine.get(language):
            return known
        page, base_url = self._house.settings.page, self._house.settings.server.base_url
        outputs: dict[str, tuple[bytes, str]] = {
            path: (body, "application/json; charset=utf-8")
            for path, body in api.render(self.snapshot, page, base_url, language).items()
        }
        outputs |= feeds.render(self.snapshot, page, base_url, language)
        made = {
            path: prepare(body, content_type, cache=SHORT, headers=_OPEN)
            for path, (body, content_type) in outputs.items()
        }
        self._machine[language] = made
        return made


def prepared_assets(assets: Mapping[str, tuple[bytes, str]]) -> dict[str, Prepared]:
    """Style sheets, scripts and icons; their names carry their hash."""
    return {path: prepare(body, kind, cache=FOREVER) for path, (body, kind) in assets.items()}


_READ_ONLY = PlainTextResponse("This address can only be read.\n", 405, {"Allow": "GET, HEAD"})
add_security_headers(_READ_ONLY.headers)


class Front:
    """Answers from the current edition, ahead of the router; what is not public goes on."""

    def __init__(self, app: ASGIApp, *, default_language: Language) -> None:
        self._app = app
        self._default = default_language
        self._assets = prepared_assets(pages.assets())
        self.edition: Edition | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.edition is not None:
            accept_encoding = if_none_match = accept_language = b""
            for name, value in scope["headers"]:
                if name == b"accept-encoding":
                    accept_encoding = value
                elif name == b"if-none-match":
                    if_none_match = value
                elif name == b"accept-language":
                    accept_language = value
            prepared = self._find(self.edition, scope["path"], scope["query_string"], accept_language)
            if prepared is not None and scope["method"] not in ("GET", "HEAD"):
                await _READ_ONLY(scope, receive, send)
                return
            if prepared is not None:
                await prepared.send(
                    send,
                    accept_encoding=accept_encoding,
                    if_none_match=if_none_match,
                    is_head=scope["method"] == "HEAD",
                )
                return
        await self._app(scope, receive, send)

    def _find(self, edition: Edition, path: str, query: bytes, accept_language: bytes) -> Prepared | None:
        if asset := self._assets.get(path):
            return asset
        if query and split_language(path)[1] in pages.ANSWERS_QUERIES:
            return None
        if path.startswith(_PREFIXES):
            return edition.find(path)
        if "." in path.rpartition("/")[2]:  # a file's name; a page's has no ending
            language = parse_qs(query.decode("latin-1")).get("lang", [""])[0] if query else ""
            return edition.find(f"{path}?lang={language}" if language in LANGUAGES else path)
        if path in ("/pl", "/en"):
            return edition.find(path + "/")
        language = negotiate(accept_language.decode("latin-1"), self._default)
        return edition.find(f"/{language}{path}")

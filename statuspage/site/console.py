"""The operators' console: the way to its pages. What other rooms show there comes as `Parts`."""

from starlette.routing import BaseRoute

from statuspage.kernel.panels import Parts
from statuspage.site import board, composer, drafts, incident_file, planned_console, saying, wordings

__all__ = ["routes", "saying"]  # importing `saying` teaches the templates their words


def routes(parts: Parts) -> list[BaseRoute]:
    """The console's pages; `parts` are what other rooms show and do there."""
    return [
        *board.routes(parts),
        *composer.routes(parts),
        *incident_file.routes(),
        *drafts.routes(parts),
        *wordings.routes(),
        *planned_console.routes(parts),
    ]

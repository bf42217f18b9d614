"""The links that every mail carries to its recipient: signed, and put in as bytes in place of slots."""

from statuspage.kernel.house import House

MANAGE = "manage"  # the signer's purposes
UNSUBSCRIBE = "unsubscribe"
MESSAGE_ID = "message-id"
# As long as a signed token of a 12-character id: what is wrapped around it stays right when it is replaced.
MANAGE_SLOT = "manage000000.token-of-each-recipien"
UNSUBSCRIBE_SLOT = "unsubs000000.token-of-each-recipien"


def manage_url(house: House, token: str) -> str:
    """Where a subscriber changes services and language."""
    return f"{house.settings.server.base_url}/subscriptions/{token}"


def unsubscribe_url(house: House, token: str) -> str:
    """Where one click ends it (RFC 8058)."""
    return f"{house.settings.server.base_url}/unsubscribe/{token}"

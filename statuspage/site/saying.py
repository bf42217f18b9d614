"""How the console's templates call things: statuses, impacts, channels, monitors' levels, numbers."""

from jinja2 import pass_context
from jinja2.runtime import Context

from statuspage.incidents import words
from statuspage.kernel import web


def _(message: str) -> str:
    """Marks a message for translation."""
    return message


_CHANNELS = {"web": _("web form"), "webservice": _("web service"), "email": _("e-mail channel")}
LEVELS = {
    "up": _("up"),
    "slow": _("slow"),
    "down": _("down"),
    "unknown": _("unknown"),
    "never": _("never checked"),
}
LEVEL_SHAPES = {"up": "✓", "slow": "~", "down": "✕", "unknown": "?", "never": "?"}
LEVEL_CLASSES = {"up": "ok", "slow": "slow", "down": "down", "unknown": "none", "never": "none"}


def _said(context: Context, message: str) -> str:
    text: str = context["catalogues"].gettext(context["language"], message)
    return text


@pass_context
def _service_word(context: Context, status: str) -> str:
    return words.service_word(context["catalogues"], context["language"], status)


@pass_context
def _notice_word(context: Context, status: str) -> str:
    return words.notice_word(context["catalogues"], context["language"], status)


@pass_context
def _impact_word(context: Context, impact: str) -> str:
    return _said(context, words.IMPACT[impact])


@pass_context
def _channel_word(context: Context, channel: str) -> str:
    return _said(context, _CHANNELS.get(channel, channel))


@pass_context
def _level_word(context: Context, level: str) -> str:
    return _said(context, LEVELS[level])


def number(count: int) -> str:
    """`12 345`, with spaces that do not break."""
    return f"{count:,}".replace(",", "\u00a0")


web.environment().globals |= {
    "service_word": _service_word,
    "service_shape": words.SHAPES.__getitem__,
    "notice_word": _notice_word,
    "impact_word": _impact_word,
    "channel_word": _channel_word,
    "level_word": _level_word,
    "level_shape": LEVEL_SHAPES.__getitem__,
    "level_class": LEVEL_CLASSES.__getitem__,
    "number": number,
}

"""What the roles are called on pages: `role_word` in templates."""

from jinja2 import pass_context
from jinja2.runtime import Context

from statuspage.kernel import web
from statuspage.kernel.accounts import Role

ROLE_WORDS = {
    Role.VIEWER: "Viewer",
    Role.AGENT: "Agent",
    Role.APPROVER: "Approver",
    Role.OPERATOR: "Operator",
    Role.ADMINISTRATOR: "Administrator",
}


@pass_context
def role_word(context: Context, role: str) -> str:
    """The role in the reader's language."""
    word: str = context["catalogues"].gettext(context["language"], ROLE_WORDS[Role(role)])
    return word


web.environment().globals["role_word"] = role_word

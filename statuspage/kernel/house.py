"""What every room is given by the composition root."""

from dataclasses import dataclass

from statuspage.kernel.config import Settings
from statuspage.kernel.db import Database
from statuspage.kernel.i18n import Catalogues
from statuspage.kernel.net import Network
from statuspage.kernel.security import Signer


@dataclass(frozen=True, slots=True)
class SignInHint:
    """An account that anybody may use."""

    login: str
    password: str
    role: str


@dataclass(frozen=True, slots=True)
class House:
    """The settings and the doors to the outside; one for the life of the process."""

    settings: Settings
    db: Database
    network: Network
    signer: Signer
    catalogues: Catalogues
    is_demo: bool = False
    is_copy: bool = (
        False  # its pages are files that are read without this program: they offer nothing that needs it
    )
    sign_in_hints: tuple[SignInHint, ...] = ()  # shown at the sign-in page; the demo's alone

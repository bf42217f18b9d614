"""The tree of errors and what each of them carries."""

import ast
import inspect

from statuspage.kernel import errors


def test_invalid_says_what_has_to_change_and_why() -> None:
    error = errors.Invalid("mail.relay", "write it as smtp://host:port")

    assert (error.field, error.reason) == ("mail.relay", "write it as smtp://host:port")
    assert str(error) == "mail.relay: write it as smtp://host:port"


def test_a_limit_says_when_to_come_back() -> None:
    assert errors.TooMany("too many attempts", retry_after_s=30).retry_after_s == 30


def test_every_error_stands_in_the_drawn_tree() -> None:
    drawn = ast.get_docstring(ast.parse(inspect.getsource(errors))) or ""
    kinds = [kind.__name__ for kind in errors.Error.__subclasses__() if kind.__module__ == errors.__name__]

    assert [kind for kind in kinds if f"── {kind} " not in drawn] == []
    assert len(kinds) == drawn.count("── ")

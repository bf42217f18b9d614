"""Tokens and limits."""

import re
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.kernel.db import new_id
from statuspage.kernel.errors import Invalid, TooMany
from statuspage.kernel.security import (
    RateLimit,
    Signer,
    hash_token,
    load_or_make_secret,
    network_of,
    random_token,
)

SIGNER = Signer("a secret of thirty-two characters")
TOKEN = SIGNER.sign("unsubscribe", "abcdef123456")


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789.:-", max_size=40))
def test_a_signed_value_comes_back(value: str) -> None:
    assert SIGNER.verify("unsubscribe", SIGNER.sign("unsubscribe", value)) == value


def test_a_token_is_the_same_each_time_and_fits_into_a_header_line() -> None:
    token = SIGNER.sign("unsubscribe", new_id())

    assert SIGNER.sign("unsubscribe", token.partition(".")[0]) == token
    assert len(token) <= 40
    assert re.fullmatch(r"[\w.-]+", token)


def test_128_bits_guard_a_token() -> None:
    assert len(TOKEN.rpartition(".")[2]) * 6 >= 128


@pytest.mark.parametrize(
    ("purpose", "token"),
    [
        ("manage", TOKEN),
        ("unsubscribe", TOKEN[:-1]),
        ("unsubscribe", TOKEN + "A"),
        ("unsubscribe", TOKEN.replace("abcdef", "abcdeg")),
        ("unsubscribe", TOKEN.partition(".")[0]),
        ("unsubscribe", TOKEN.partition(".")[0] + "."),
        ("unsubscribe", TOKEN.rpartition(".")[2]),
        ("unsubscribe", ""),
        ("unsubscribe", "."),
        ("unsubscribe", TOKEN[:-1] + "ż"),
        ("unsubscribe", TOKEN + "\x00"),
        ("unsubscribe", Signer("another secret, as long as the first").sign("unsubscribe", "abcdef123456")),
    ],
)
def test_a_tampered_token_or_one_for_another_purpose_is_nothing(purpose: str, token: str) -> None:
    assert SIGNER.verify(purpose, token) is None


def test_every_flipped_character_is_noticed() -> None:
    for place in range(len(TOKEN)):
        flipped = TOKEN[:place] + ("A" if TOKEN[place] != "A" else "B") + TOKEN[place + 1 :]
        assert SIGNER.verify("unsubscribe", flipped) is None


def test_purpose_and_value_cannot_flow_into_each_other() -> None:
    token = SIGNER.sign("manage", "x:abc")

    assert SIGNER.verify("manage:x", "abc." + token.rpartition(".")[2]) is None
    assert SIGNER.verify("managex", ":abc." + token.rpartition(".")[2]) is None


def test_random_tokens_differ_and_are_stored_as_hashes() -> None:
    tokens = {random_token() for _ in range(1000)}

    assert len(tokens) == 1000
    assert all(len(token) * 6 >= 192 for token in tokens)
    assert hash_token("abc") == hash_token("abc") != hash_token("abd")
    assert re.fullmatch("[0-9a-f]{64}", hash_token(random_token()))


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    secret = load_or_make_secret(tmp_path)

    assert len(secret) >= 32
    assert load_or_make_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_programs_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    for attempt in range(50):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        found: list[str] = []
        start = threading.Barrier(4)

        def make(
            directory: Path = directory, found: list[str] = found, start: threading.Barrier = start
        ) -> None:
            start.wait()
            found.append(load_or_make_secret(directory))

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(set(found)) == 1
        assert len(found[0]) >= 32


@pytest.mark.parametrize("left_over", ["", "\n", "short"])
def test_a_secret_that_is_none_is_refused(tmp_path: Path, left_over: str) -> None:
    (tmp_path / "secret").write_text(left_over)

    with pytest.raises(Invalid, match="secret: at least 32 characters"):
        load_or_make_secret(tmp_path)


def test_a_limit_lets_so_many_through_and_says_when_to_come_back() -> None:
    limit = RateLimit(2, 60)
    limit.use("a", at_s=0)
    limit.use("a", at_s=10)

    with pytest.raises(TooMany) as caught:
        limit.use("a", at_s=20)
    assert caught.value.retry_after_s == 40

    limit.use("b", at_s=20)
    limit.use("a", at_s=61)
    with pytest.raises(TooMany):
        limit.use("a", at_s=62)


def test_a_limit_forgets_the_oldest_key_before_it_grows_without_end() -> None:
    limit = RateLimit(1, 3600, max_keys=10)
    for number in range(1000):
        limit.use(str(number), at_s=number)

    with pytest.raises(TooMany):
        limit.use("999", at_s=1000)
    limit.use("0", at_s=1000)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff:3::1", "2001:db8:1:200::/56"),
        ("unknown", "unknown"),
    ],
)
def test_neighbours_share_a_limit(address: str, network: str) -> None:
    assert network_of(address) == network

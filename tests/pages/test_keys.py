"""The page of keys: what each caller sees of them, and that it shows and makes none."""

import pytest

from ledger.keys import list_keys, revoke_key
from tests.pages.conftest import Browser
from tests.service.api.keys import REACHED, new_key


@pytest.fixture
def gated(make_api) -> Browser:
    return Browser(make_api(**REACHED, submit_rate=3, open_jobs=0))


def sign_in(browser, name: str, owner: str, *scopes: str) -> str:
    key = new_key(browser.api, name, owner, *scopes)["Authorization"][7:]
    assert browser.post("/sign-in", key=key).status_code == 303
    return key


def test_on_this_machine_alone_none_is_needed(browser):
    shown = browser.get("/keys").text
    assert "No key is needed" in shown
    assert "tailora keys create NAME" in shown
    assert 'id="keys"' not in shown


def test_without_a_key_there_is_the_sign_in_form(gated):
    closed = gated.get("/keys")
    assert closed.status_code == 401
    assert 'action="/sign-in"' in closed.text


@pytest.mark.parametrize("scope", ["read", "write", "gated"])
def test_others_see_their_own_key_alone(gated, scope):
    new_key(gated.api, "of-ben", "ben")
    sign_in(gated, "of-ann", "ann", scope)
    shown = gated.get("/keys")
    assert shown.status_code == 200
    assert "of-ann" in shown.text
    assert f"<strong>{scope}</strong>" in shown.text
    assert "3 a second, 50 at once" in shown.text
    assert '<th scope="row">Jobs that have not ended</th><td>any number</td>' in shown.text
    assert "of-ben" not in shown.text
    assert "Only a key with the scope <code>admin</code>" in shown.text


def test_a_key_of_every_owner_lists_all_without_the_keys(gated):
    other = new_key(gated.api, "of-ben", "ben", "read", "gated")["Authorization"][7:]
    new_key(gated.api, "gone", "ben")
    with gated.api.ledger.database.write() as connection:
        revoke_key(connection, "gone")
    own = sign_in(gated, "root", "operators", "admin")
    shown = gated.get("/keys").text
    with gated.api.ledger.database.read() as connection:
        every = list_keys(connection)
    table = shown.partition('<table id="keys">')[2].partition("</table>")[0]
    rows = table.split("<tr>")[2:]
    assert len(rows) == len(every) == 3
    for row, key in zip(rows, every, strict=True):
        assert f'<th scope="row">{key.name}</th><td>{key.owner}</td>' in row
        assert key.id in row
        assert row.count("–") == (key.revoked_at is None)
    assert "<td>read, gated</td>" in table
    assert own not in shown
    assert other not in shown


def test_a_revoked_key_sees_nothing(gated):
    sign_in(gated, "of-ann", "ann", "admin")
    assert gated.get("/keys").status_code == 200
    with gated.api.ledger.database.write() as connection:
        revoke_key(connection, "of-ann")
    assert gated.get("/keys").status_code == 401


def test_no_form_makes_or_revokes_one(gated):
    sign_in(gated, "root", "operators", "admin")
    assert gated.post("/keys", name="more").status_code == 405
    with gated.api.ledger.database.read() as connection:
        assert len(list_keys(connection)) == 1

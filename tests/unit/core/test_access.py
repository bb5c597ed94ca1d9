"""Roles: default deny."""

from core.access import Role, Roster
from core.model import LOCAL_PERSON, PersonId

ROSTER = Roster(
    admins=frozenset({PersonId("telegram:1")}),
    drivers=frozenset({PersonId("telegram:1"), PersonId("discord:2")}),
    viewers=frozenset({PersonId("discord:2"), PersonId("matrix:@v:example.org")}),
)


def test_the_highest_role_listed_counts() -> None:
    assert ROSTER.role(PersonId("telegram:1")) is Role.ADMIN
    assert ROSTER.role(PersonId("discord:2")) is Role.DRIVER
    assert ROSTER.role(PersonId("matrix:@v:example.org")) is Role.VIEWER


def test_nobody_else_has_any() -> None:
    for other in ("telegram:2", "discord:1", "", "telegram:11", "TELEGRAM:1"):
        assert ROSTER.role(PersonId(other)) is Role.NONE


def test_who_has_the_terminal_is_admin() -> None:
    assert Roster().role(LOCAL_PERSON) is Role.ADMIN


def test_roles_include_the_ones_below() -> None:
    assert Role.ADMIN > Role.DRIVER > Role.VIEWER > Role.NONE

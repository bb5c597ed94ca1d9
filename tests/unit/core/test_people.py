"""How people become known, and that nobody else is answered."""

from __future__ import annotations

import pytest

from core.access import Role, Roster
from core.errors import NotAllowed, UsageError
from core.model import LOCAL_PERSON, Person, PersonId
from core.people import WRONG, People
from tests.fakes.phone import Phone, settle
from tests.fakes.world import ANN, BOB, Outside, World
from tests.unit.core.conftest import leave

NEW = Person(PersonId("fake:new"), "New")
OTHER = Person(PersonId("fake:other"), "Other")


@pytest.fixture
async def people(world: World) -> People:
    people = People(world.store, Roster(), world.outside.clock)
    await people.load()
    return people


async def test_the_first_admin_pairs_with_the_code_only_the_operator_sees(people: People, world: World) -> None:
    assert people.nobody
    code = people.first_code()
    assert people.first_code() == code
    with pytest.raises(UsageError):
        await people.pair("00000000", NEW, Role.VIEWER)
    person, role = await people.pair(f" {code.upper()} ", NEW, Role.VIEWER)
    assert (person, role, people.role(NEW.id), people.nobody) == (NEW, Role.ADMIN, Role.ADMIN, False)
    again = People(world.store, Roster(), world.outside.clock)
    await again.load()
    assert again.role(NEW.id) is Role.ADMIN
    assert again.first_code() != code, "a code is of one process"


async def test_codes_are_not_to_be_guessed(people: People) -> None:
    for _ in range(WRONG):
        with pytest.raises(UsageError):
            await people.pair("nonsense", NEW, Role.VIEWER)
    with pytest.raises(NotAllowed, match="Too many"):
        await people.pair(people.first_code(), NEW, Role.VIEWER)


async def test_admins_make_others_known_by_their_code(people: People) -> None:
    await people.pair(people.first_code(), NEW, Role.VIEWER)
    code = people.code_for(OTHER)
    assert people.code_for(OTHER) == code
    with pytest.raises(NotAllowed):
        await people.pair(code, OTHER, Role.ADMIN)
    assert await people.pair(code, NEW, Role.DRIVER) == (OTHER, Role.DRIVER)
    assert people.role(OTHER.id) is Role.DRIVER
    with pytest.raises(UsageError, match="Nobody waits"):
        await people.pair(code, NEW, Role.DRIVER)


async def test_many_codes_are_not_kept(people: People) -> None:
    for number in range(1000):
        people.code_for(Person(PersonId(f"fake:{number}"), "x"))
    with pytest.raises(NotAllowed, match="Too many people"):
        people.code_for(OTHER)
    assert people.code_for(Person(PersonId("fake:7"), "x"))


async def test_the_highest_role_counts_and_the_terminal_is_always_admin(world: World) -> None:
    people = People(world.store, Roster(drivers=frozenset({NEW.id})), world.outside.clock)
    await world.store.save_role(NEW, "viewer")
    await people.load()
    assert people.role(NEW.id) is Role.DRIVER
    assert people.role(LOCAL_PERSON) is Role.ADMIN
    assert people.nobody


@pytest.mark.looptime
async def test_while_there_is_no_admin_chats_answer_nothing_but_the_code(chats: Outside) -> None:
    world = await World(chats).open()
    world.people._roster = Roster()
    await world.resume()
    phone = Phone(world, NEW)
    for text in ("hello", "/whoami", "/start", "/help"):
        await phone.say(text)
    assert phone.messenger.messages == []
    await phone.say("/pair 00000000")
    assert "not the code" in phone.messenger.messages[-1].text
    await phone.say(f"/pair {world.people.first_code()}")
    assert "is admin now" in phone.messenger.messages[-1].text
    await phone.say("/start shoko/kugetsu#14 do it")
    assert phone.messenger.find_text("answer to do it")
    await leave(world)


@pytest.mark.looptime
async def test_pairing_is_for_direct_messages(chats: Outside) -> None:
    world = await World(chats).open()
    world.people._roster = Roster()
    await world.resume()
    group = Phone(world, NEW, "group")
    await group.say(f"/pair {world.people.first_code()}")
    assert group.messenger.messages == []
    assert world.people.nobody
    await leave(world)


@pytest.mark.looptime
async def test_whoami_gives_a_stranger_a_code_once_and_an_admin_takes_it(bot: World) -> None:
    await bot.resume()
    stranger = Phone(bot, NEW, "2")
    await stranger.say("hello")
    await stranger.say("/whoami")
    await stranger.say("/whoami")
    first, second = stranger.messenger.messages
    code = bot.people.code_for(NEW)
    assert code not in first.text
    assert code in second.text
    driver, admin = Phone(bot, BOB, "3"), Phone(bot, ANN, "4")
    await driver.say(f"/pair {code}")
    assert bot.people.role(NEW.id) is Role.NONE
    await admin.say(f"/pair --role queen {code}")
    assert "no role" in admin.messenger.messages[-1].text
    await admin.say(f"/pair --role driver {code}")
    assert bot.people.role(NEW.id) is Role.DRIVER
    await stranger.say("/start shoko/kugetsu#14 do it")
    await settle(bot)
    assert stranger.messenger.find_text("answer to do it")

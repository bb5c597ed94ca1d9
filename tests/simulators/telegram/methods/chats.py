"""What the bot can learn of chats and their members."""

from __future__ import annotations

from typing import Any

from tests.simulators.telegram import views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import bad, forbidden
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.state import Member

from . import access
from .table import method


@method("getChat")
def get_chat(core: Core, params: Params) -> Any:
    return views.full_chat(core.world, access.find_chat(core, params, access.READ))


@method("getChatMember")
def get_chat_member(core: Core, params: Params) -> Any:
    user_id = params.integer("user_id")
    if user_id <= 0:
        raise bad("Invalid user_id specified")
    own = user_id == core.bot.id
    chat = access.find_chat(core, params, access.READ if own else access.EDIT)
    person = core.world.users.get(user_id)
    if person is None:
        raise bad("PARTICIPANT_ID_INVALID" if not chat.private else "member not found")
    state = chat.members.get(user_id)
    if chat.private:
        if person not in {chat.user, core.bot}:
            raise bad("member not found")
        state = Member()
    if state is None:
        if chat.type == "channel" and not core.world.me(chat).manages:
            raise bad("member list is inaccessible")
        state = chat.member(person)
    return views.member(chat, person, state)


@method("getChatAdministrators")
def get_chat_administrators(core: Core, params: Params) -> Any:
    chat = access.find_chat(core, params, access.EDIT)
    if chat.private:
        raise bad("there are no administrators in the private chat")
    people = core.world.users
    shown = [(people[i], m) for i, m in chat.members.items() if m.manages]
    return [views.member(chat, p, m) for p, m in shown if not p.is_bot or p is core.bot]


@method("getChatMemberCount")
def get_chat_member_count(core: Core, params: Params) -> int:
    chat = access.find_chat(core, params, access.READ)
    return 2 if chat.private else sum(member.present for member in chat.members.values())


@method("leaveChat")
def leave_chat(core: Core, params: Params) -> bool:
    chat = access.find_chat(core, params, access.READ)
    if chat.private:
        raise bad("chat member status can't be changed in private chats")
    if not core.world.me(chat).present:
        raise forbidden(f"bot is not a member of the {chat.type} chat")
    core.change_member(chat, core.bot, core.bot, status="left", rights=frozenset())
    if chat.type != "channel":
        core.post(chat, core.bot, service={"left_chat_member": views.user(core.bot)})
    return True

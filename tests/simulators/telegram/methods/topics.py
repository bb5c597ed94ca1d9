"""Forum topics: in supergroups that are forums, and in private chats when the bot has topics enabled."""

from __future__ import annotations

from typing import Any

from tests.simulators.telegram import views
from tests.simulators.telegram.core import Core
from tests.simulators.telegram.errors import bad
from tests.simulators.telegram.params import Params
from tests.simulators.telegram.state import Chat, Topic

from . import access
from .table import method

COLORS = (0x6FB9F0, 0xFFD67E, 0xCB86DB, 0x8EEE98, 0xFF93B2, 0xFB6F5F)
NAME_CHARACTERS = 128


def _name(params: Params) -> str:
    """Blanks are joined and what is too long is cut, silently, as on Telegram."""
    return " ".join(params.text("name").split())[:NAME_CHARACTERS].strip()


@method("createForumTopic")
def create_forum_topic(core: Core, params: Params) -> Any:
    chat = access.find_forum(core, params)
    if chat.private:
        access.check_send(core, chat, None)
    elif not (core.world.me(chat).may("can_manage_topics") or chat.topics_may_be_made):
        raise bad("Not enough rights to create a topic")
    name = _name(params)
    if not name:
        raise bad("Name must be non-empty")
    color = params.integer("icon_color")
    if "icon_color" in params and color not in COLORS:
        raise bad("Invalid icon color specified")
    core.limiter.chat(chat.id)
    icon = params.text("icon_custom_emoji_id")
    return views.topic(core.open_topic(chat, core.bot, name, color or COLORS[len(chat.topics) % 6], icon))


def _may_change(core: Core, chat: Chat, topic: Topic, right: str, doing: str) -> None:
    """Administrators with the right, and who made the topic."""
    if not (chat.private or core.world.me(chat).may(right) or topic.creator_id == core.bot.id):
        raise bad(f"Not enough rights to {doing} the topic")


@method("editForumTopic")
def edit_forum_topic(core: Core, params: Params) -> bool:
    chat = access.find_forum(core, params)
    topic = access.forum_topic(chat, params)
    _may_change(core, chat, topic, "can_manage_topics", "edit")
    name = _name(params)
    if params.text("name") and not name:
        raise bad("Name must be non-empty")
    icon = params.text("icon_custom_emoji_id") if "icon_custom_emoji_id" in params else None
    if not name and icon is None:
        return True
    if name in {"", topic.name} and icon in {None, topic.icon}:
        raise bad("TOPIC_NOT_MODIFIED")
    core.limiter.chat(chat.id)
    what: dict[str, Any] = {"name": name} if name else {}
    what |= {"icon_custom_emoji_id": icon} if icon is not None else {}
    changes = {"name": name or topic.name, "icon": topic.icon if icon is None else icon}
    core.change_topic(topic, core.bot, {"forum_topic_edited": what}, **changes)
    return True


def _close(core: Core, params: Params, *, closed: bool) -> bool:
    chat = access.find_forum(core, params, bots_too=False)
    topic = access.forum_topic(chat, params)
    _may_change(core, chat, topic, "can_manage_topics", "close or open")
    if topic.closed == closed:
        raise bad("TOPIC_NOT_MODIFIED")
    what: dict[str, Any] = {"forum_topic_closed" if closed else "forum_topic_reopened": {}}
    core.change_topic(topic, core.bot, what, closed=closed)
    return True


@method("closeForumTopic")
def close_forum_topic(core: Core, params: Params) -> bool:
    return _close(core, params, closed=True)


@method("reopenForumTopic")
def reopen_forum_topic(core: Core, params: Params) -> bool:
    return _close(core, params, closed=False)


@method("deleteForumTopic")
def delete_forum_topic(core: Core, params: Params) -> bool:
    chat = access.find_forum(core, params)
    topic = access.forum_topic(chat, params)
    _may_change(core, chat, topic, "can_delete_messages", "delete")
    core.delete_topic(topic, core.bot)
    return True


@method("getForumTopicIconStickers")
def get_forum_topic_icon_stickers(core: Core, params: Params) -> list[Any]:
    return []

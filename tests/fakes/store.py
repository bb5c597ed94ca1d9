"""The real store, watched: messages move as `core.delivery.MOVES` says, and its disk can be full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.store.sql import SqlStore
from core.delivery import MOVES
from core.errors import StoreError
from core.messages import Post


class WatchedStore(SqlStore):
    """`violations` stays empty; `full` refuses to write messages, `failing` all calls of the methods named in it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.violations: list[str] = []
        self.full = False
        self.failing: set[str] = set()

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name in super().__getattribute__("__dict__").get("failing", ()):
            return _disk_full
        return super().__getattribute__(name)

    async def add_posts(self, posts: Sequence[Post]) -> list[Post]:
        self._check()
        added: list[Post] = await super().add_posts(posts)
        return added

    async def save_post(self, post: Post) -> None:
        self._check()
        before = await self.post(post.key)
        if before and post.state is not before.state and post.state not in MOVES[before.state]:
            self.violations.append(f"{post.key}: {before.state} → {post.state}")
        await super().save_post(post)

    def _check(self) -> None:
        if self.full:
            raise StoreError("disk full")


async def _disk_full(*_args: object, **_named: object) -> None:
    raise StoreError("disk full")

"""GitHub for tests: the npm package `emulate`, pinned in tests/package.json, which keeps issues as GitHub does."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

PACKAGE = Path(__file__).parents[1] / "node_modules" / "emulate" / "dist" / "api.js"
WEB = "https://github.test"  # what the emulator puts before the addresses it gives out
TOKENS = {"token-of-me": "me", "token-of-ann": "ann"}
# The package listens on every interface and on a port given beforehand; here it is a free one on loopback, printed
# once it listens. It ends when its standard input does, that is with us.
_SCRIPT = """
import net from "node:net";
const [api, seed, baseUrl] = process.argv.slice(1);
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function () {
    return listen.call(this, 0, "127.0.0.1", () => console.log(this.address().port));
};
process.stdin.on("end", () => process.exit()).resume();
const { createEmulator } = await import(api);
await createEmulator({ service: "github", seed: JSON.parse(seed), baseUrl });
"""


class GitHubEmulator:
    """A running emulator with the users of `TOKENS`. Takes 0.3 s to start and 60 MB."""

    def __init__(self) -> None:
        if not PACKAGE.exists():
            raise RuntimeError(f"{PACKAGE} is missing: run `npm ci --ignore-scripts` in tests/")
        seed = {
            "tokens": {token: {"login": login, "scopes": ["repo", "user"]} for token, login in TOKENS.items()},
            "github": {"users": [{"login": login} for login in TOKENS.values()]},
        }
        self._process = subprocess.Popen(
            ["node", "--input-type=module", "-e", _SCRIPT, PACKAGE.as_uri(), json.dumps(seed), WEB],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        port = self._process.stdout.readline().strip()
        if not port:
            raise RuntimeError("The GitHub emulator did not start")
        self.url = f"http://127.0.0.1:{port}"

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class GitHubAccount:
    """Writes to the emulator as one of its users."""

    url: str
    token: str

    async def call(self, method: str, path: str, **body: Any) -> Any:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.token}"}) as session,
            session.request(method, f"{self.url}/{path}", json=body, timeout=aiohttp.ClientTimeout(10)) as response,
        ):
            answer = await response.json()
            assert response.ok, (method, path, answer)
            return answer

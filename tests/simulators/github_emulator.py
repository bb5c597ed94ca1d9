"""GitHub for tests: the npm package `emulate`, pinned in tests/package.json, which keeps issues as GitHub does."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

import aiohttp
from aiohttp import web
from yarl import URL

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


class StrictGitHub:
    """Stands before the emulator, refuses what that lets pass and GitHub does not, and has what that lacks.

    The emulator takes any token, makes the branches that a pull request names, opens a second one for the same branch,
    sends check runs all on one page, says 404 for an unknown commit, and knows no commit statuses and no rights.
    """

    def __init__(self, emulator: str) -> None:
        self._emulator = emulator
        self._runner: web.AppRunner | None = None
        self.asked: list[str] = []
        self.statuses: dict[str, list[dict[str, Any]]] = {}  # by commit
        self.read_only = False  # the token may not write
        self.url = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.raw_path}")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in {"", *TOKENS}:
            return _no(401, "Bad credentials")
        content = await request.read()
        query = dict(request.query)
        parts = [unquote(part) for part in request.raw_path.partition("?")[0].split("/")[1:]]
        async with aiohttp.ClientSession(headers=_passed(request), raise_for_status=False) as session:
            match request.method, parts:
                case "POST", ["repos", owner, repo, "pulls"]:
                    refused = await self._refused(session, f"repos/{owner}/{repo}", token, request, content)
                    if refused:
                        return refused
                case "POST", _:
                    return _no(404, "Not Found")
                case "GET", ["repos", owner, repo, "pulls"]:
                    if set(query) - {"head", "state", "per_page", "page"} or ":" not in query.get("head", ""):
                        return _no(422, "Validation Failed")
                case "GET", ["repos", owner, repo, "commits", commit, ("check-runs" | "status") as kind]:
                    if set(query) - {"filter", "per_page", "page"}:
                        return _no(422, "Validation Failed")
                    return await self._checks(session, f"repos/{owner}/{repo}", commit, kind, query)
                case _:
                    pass
            return await self._forwarded(session, request, content)

    async def _forwarded(self, session: aiohttp.ClientSession, request: web.Request, content: bytes) -> web.Response:
        url = URL(f"{self._emulator}{request.raw_path}", encoded=True)
        async with session.request(request.method, url, data=content or None) as response:
            kept = {name: response.headers[name] for name in ("Content-Type", "Link") if name in response.headers}
            return web.Response(status=response.status, body=await response.read(), headers=kept)

    async def _refused(
        self, session: aiohttp.ClientSession, path: str, token: str, request: web.Request, content: bytes
    ) -> web.Response | None:
        if not token:
            return _no(401, "Requires authentication")
        if (await self._json(session, path))[0] != 200:
            return _no(404, "Not Found")
        if self.read_only:
            return _no(403, "Resource not accessible by personal access token")
        if request.content_type != "application/json":
            return _no(415, "Unsupported Media Type")
        try:
            body = json.loads(content)
        except ValueError:
            return _no(400, "Problems parsing JSON")
        unknown = set(body) - {"title", "head", "base", "body", "draft"}
        missing = [key for key in ("title", "head", "base") if not str(body.get(key, "")).strip()]
        if unknown or missing:
            return _invalid(*({"field": key, "code": "missing_field"} for key in missing))
        commits = {}
        for side in ("head", "base"):
            status, branch = await self._json(session, f"{path}/branches/{quote(body[side], safe='')}")
            if status != 200:
                return _invalid({"field": side, "code": "invalid"})
            commits[side] = branch["commit"]["sha"]
        if commits["head"] == commits["base"]:
            said = f"No commits between {body['base']} and {body['head']}"
            return _invalid({"code": "custom", "message": said})
        owner = path.split("/")[1]
        head, base = quote(f"{owner}:{body['head']}", safe=""), quote(body["base"], safe="")
        if (await self._json(session, f"{path}/pulls?state=open&head={head}&base={base}"))[1]:
            said = f"A pull request already exists for {owner}:{body['head']}."
            return _invalid({"code": "custom", "message": said})
        return None

    async def _checks(
        self, session: aiohttp.ClientSession, path: str, commit: str, kind: str, query: dict[str, str]
    ) -> web.Response:
        status, found = await self._json(session, f"{path}/commits/{quote(commit, safe='')}/check-runs")
        if status != 200:
            if (await self._json(session, path))[0] != 200:
                return _no(404, "Not Found")
            return _no(422, f"No commit found for SHA: {commit}")
        every = found["check_runs"] if kind == "check-runs" else self.statuses.get(commit, [])
        size, page = min(int(query.get("per_page", "30")), 100), int(query.get("page", "1"))
        key = "check_runs" if kind == "check-runs" else "statuses"
        body = {"total_count": len(every), key: every[(page - 1) * size : page * size], "state": "pending"}
        more = {"Link": f'<{WEB}/next?page={page + 1}>; rel="next"'} if page * size < len(every) else {}
        return web.json_response(body, headers=more)

    async def _json(self, session: aiohttp.ClientSession, where: str) -> tuple[int, Any]:
        url = URL(f"{self._emulator}/{where}", encoded=True)
        async with session.get(url) as response:
            return response.status, await response.json()


def _passed(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers}


def _no(status: int, message: str) -> web.Response:
    return web.json_response({"message": message, "status": str(status)}, status=status)


def _invalid(*errors: dict[str, str]) -> web.Response:
    said = [{"resource": "PullRequest", **error} for error in errors]
    return web.json_response({"message": "Validation Failed", "errors": said, "status": "422"}, status=422)

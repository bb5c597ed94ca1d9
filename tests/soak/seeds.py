"""Scenarios by chance: a few prompts in a private chat, a thread or a group, and kills at any instant.

The same seed is the same scenario; what happens between two points of it is up to the machine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tests.soak.scenario import Scenario, parse

# Where the bot may be killed, and how often each is passed in such a scenario, about.
POINTS = {
    # a message comes in
    "store.receive_all": 3,
    "messages received": 3,
    "chat.react": 6,
    "message decided": 3,
    "store.add_run": 3,
    "store.add_posts": 8,
    "posts recorded": 8,
    "reply recorded": 3,
    "store.close_inbound": 3,
    "message closed": 3,
    # a session is started
    "store.begin": 2,
    "intent": 1,
    "store.add_session": 1,
    "thread intended": 2,
    "chat.open_thread": 2,
    "thread made": 2,
    "store.attach": 2,
    "thread recorded": 2,
    "store.step_done": 6,
    "worktree made": 2,
    "worktree": 2,
    "setup": 2,
    "forking": 2,
    "agent.fork_session": 2,
    "fork made": 2,
    "fork": 2,
    "agent.rename_session": 2,
    "agent.settle_directory": 2,
    "directory": 2,
    "store.end": 4,
    "ready": 2,
    # a prompt is worked on
    "prompt recorded": 3,
    "store.save_run": 9,
    "agent.run Started": 3,
    "agent.run Said": 12,
    "agent.run Finished": 3,
    "store.append_text": 12,
    "live message noted": 3,
    "live message sent": 3,
    "live message recorded": 3,
    "chat.draft": 4,
    "chat.edit": 4,
    "store.add_ask": 1,
    "store.save_ask": 1,
    "agent.decide": 1,
    # its answer
    "agent finished": 3,
    "store.enqueue": 3,
    "store.change_session": 6,
    "answer recorded": 3,
    "store.save_delivery": 6,
    "post sending": 8,
    "chat.send": 8,
    "post sent": 8,
    "store.save_post": 20,
    "post sent and recorded": 8,
    "post closed": 3,
}
# … and while it comes back.
RETURNING = {
    "store.save_post": 3,
    "chat.edit": 2,
    "post sending": 2,
    "post sent": 2,
    "chat.send": 2,
    "store.save_run": 2,
    "store.add_run": 1,
    "answer recorded": 1,
    "store.save_delivery": 2,
    "agent.rename_session": 1,
    "fork": 1,
    "prompt recorded": 2,
    "messages received": 1,
    "agent.run Said": 3,
    "live message sent": 1,
    "agent.attach Finished": 1,
}


def scenario(seed: int) -> Scenario:
    """The one of this seed."""
    return parse(raw(seed))


def raw(seed: int) -> dict[str, Any]:
    """As it would stand in a file."""
    chance = random.Random(seed)
    places = {"phone": "direct"}
    if chance.random() < 0.7:
        places["team"] = "threads"
    if chance.random() < 0.25:
        places["crowd"] = "group"
    model: dict[str, Any] = {"carry on": "Carried on."}
    threads = {"phone": "phone", "team": "team/{tag2}", "crowd": "crowd"}
    refs = {"phone": "{ref}", "team": "{ref2}", "crowd": "{ref3}"}
    steps: list[Any] = ["agree", *_trouble(random.Random(f"trouble {seed}"), list(places))]

    at_once = chance.random() < 0.15
    point, times = _point(chance, POINTS)
    by_chance = chance.random() < 0.3
    before = [] if by_chance or at_once else [{"kill": {"at": point, "times": times}}]
    steps += before
    prompts = 0

    def prompt() -> str:
        nonlocal prompts
        prompts += 1
        name = f"task s{seed}n{prompts} please"
        model[name] = _answer(chance, f"w{seed}n{prompts}")
        return name

    def pause(most: float) -> dict[str, Any]:
        return {"wait": {"seconds": round(chance.uniform(0, most), 2)}}

    for place in places:
        steps.append({"say": {"in": place, "text": f"/start {refs[place]} {prompt()}"}})
    later = [place for place in places for _ in range(chance.randint(0, 2))]
    chance.shuffle(later)
    if at_once:
        steps += [pause(1.5), {"kill": "now"}]
    else:
        steps.append({"meanwhile": [{"say": {"in": threads[place], "text": prompt()}} for place in later]})
        steps += [pause(7.0), {"kill": "now"}] if by_chance else [{"died": {"or": "rest"}}]
    if chance.random() < 0.25:
        steps.append({"crash": "opencode"})  # else it goes on, and is attached to again
    if chance.random() < 0.4:
        steps.append({"say": {"in": "phone", "text": prompt()}})
        steps.append(pause(0.5))
    if chance.random() < 0.35:
        point, times = _point(chance, RETURNING)
        steps += [{"start": {"kill": f"{point}:{times}"}}, {"died": {"or": "rest"}}]
    steps.append("start")
    if at_once:
        steps.append({"meanwhile": [{"say": {"in": threads[place], "text": prompt()}} for place in later]})
    return {"title": f"seed {seed}", "places": places, "model": model, "steps": steps}


def _trouble(chance: random.Random, places: Sequence[str]) -> list[Any]:
    """Now and then a call fails as well."""
    if chance.random() > 0.25:
        return []
    what = chance.choice(["down", "limited", "lost", "doubtful"])
    fault = {"what": what, "call": chance.choice(["send", "send", "edit", "any"]), "in": chance.choice(places)}
    return [{"fault": fault | {"times": chance.randint(1, 2), "seconds": 3}}]


def _point(chance: random.Random, points: dict[str, int]) -> tuple[str, int]:
    point = chance.choice(sorted(points))
    return point, chance.randint(1, points[point])


def _answer(chance: random.Random, word: str) -> Any:
    def words(count: int) -> list[str]:
        return [f"{word}x{number} " for number in range(count)]

    match chance.choices(["short", "stream", "long", "tool", "ask"], [3, 4, 2, 2, 2])[0]:
        case "short":
            return words(3)
        case "stream":
            return {"say": words(chance.randint(8, 30)), "every": chance.choice([0.03, 0.08])}
        case "long":
            return {"say": ["".join([*words(90), "\n\n"]) for _ in range(8)], "every": 0.05}
        case "tool":
            return {
                "call": "bash",
                "arguments": {"command": f"echo {word} >> made.txt", "description": "x"},
                "then": "".join(words(5)),
            }
        case _:
            return {
                "call": "bash",
                "arguments": {"command": f"touch asked-{word}", "description": "x"},
                "then": "".join(words(4)),
            }


def describe(seeds: Sequence[int]) -> str:
    """`0–299`, or the numbers."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    return ", ".join(map(str, seeds))

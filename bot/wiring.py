"""The composition root: the only module that names concrete adapters, but for bot.opencode."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import structlog

from adapters.archive.tar import TarArchives
from adapters.console.server import ConsoleChat
from adapters.forge import ForgeConfig, Forges
from adapters.git.workspace import GitWorkspace
from adapters.store.calls import CallLog
from adapters.store.edits import MirrorEdits
from adapters.store.mirror import Mirror
from adapters.store.sql import SqlStore
from adapters.transcription.openai import OpenAiTranscriber
from bot.clock import SystemClock
from bot.doctor import Doctor
from bot.logs import Redactor
from bot.opencode import opencode_agent, opencode_settings
from bot.platforms import Platforms
from bot.send_tokens import Marks, SendTokens
from bot.session_logs import SessionLogs
from bot.settings import Settings
from core.access import Roster
from core.adoption import Adoption
from core.arrivals import Arrivals
from core.asides import Asides
from core.asks import Asks
from core.audience import Audience
from core.bases import Bases
from core.callers import Callers
from core.census import Census
from core.changes import Changes
from core.conduct import Conductor
from core.delivery import BacklogPolicy
from core.ending import Ending, Keeping
from core.files import Files
from core.finish import Finish
from core.inbox import Inbox
from core.intake import Reception
from core.issues import Issues
from core.journal import Journal
from core.mailbox import Mailboxes
from core.messages import Messenger
from core.model import CONSOLE, Project, Session
from core.offers import Offers
from core.overview import Overview
from core.people import People
from core.permissions import Permissions
from core.placing import Placing
from core.ports import AgentPort, ChatPort, Workspace
from core.projects import Projects
from core.prompts import Prompts
from core.pulls import Pulls
from core.recovery import Recovery
from core.relay import Relay
from core.run import Runs
from core.run_state import Choices
from core.sessions import Sessions
from core.spending import Spending
from core.stalls import Stalls
from core.strangers import Strangers
from core.transfer import Transfer
from core.tuning import Tuning
from core.turns import Turns
from core.undo import Undo
from core.upkeep import Upkeep
from core.waiting import Waiting
from core.why import Why

log = structlog.get_logger("bot")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a configuration file cannot say: where it is, and what the demo brings."""

    config: Path | None
    demo: Project | None = None
    agent_env: dict[str, str] | None = None  # replaces the user's environment for opencode
    fault: Callable[[str], None] = lambda _point: None
    chats: Mapping[str, ChatPort] = field(default_factory=dict)  # besides the configured ones
    workspace: Workspace | None = None  # in place of git


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that runs, put together and not yet started."""

    store: SqlStore
    mirror: Mirror
    agent: AgentPort
    console: ConsoleChat
    reception: Reception
    mailboxes: Mailboxes
    runs: Runs
    recovery: Recovery
    audience: Audience
    journal: Journal
    projects: Projects
    sessions: Sessions
    workspace: Workspace
    doctor: Doctor
    logs: SessionLogs
    census: Census
    ending: Ending
    issues: Issues
    forges: Forges
    adoption: Adoption
    people: People
    pulls: Pulls
    asides: Asides
    inbox: Inbox
    platforms: Platforms


def complain(what: str, error: BaseException) -> None:
    """Something went wrong that nobody waits for: it is logged, with where it came from."""
    log.warning(what, error=str(error), exc_info=error)


def build(  # noqa: PLR0915  one list of what there is; cut in two it would have to hand everything over
    settings: Settings, surroundings: Surroundings, redactor: Redactor, *, bot: bool = False
) -> Parts:
    """One process's worth of kugetsu on `settings.state_dir`; a bot has the configured platforms. Opens nothing."""
    clock = SystemClock()
    state_dir = settings.state_dir
    store = SqlStore(state_dir, clock, lambda: mirror.changed())  # noqa: PLW0108  each needs the other
    mirror = Mirror(state_dir, store, clock, log.warning)
    logs = SessionLogs(state_dir / "logs", redactor, everything=settings.debug)
    opencode = opencode_settings(settings, surroundings.agent_env, redactor, bot=bot)
    agent = opencode_agent(settings.opencode.transport, opencode, clock, log.warning, logs.trace)
    public_env = {name: value for name, value in os.environ.items() if name not in opencode.hidden_env}
    workspace = surroundings.workspace or GitWorkspace(public_env, log.warning)
    configured = (*settings.known_projects(), *filter(None, [surroundings.demo]))
    projects = Projects({project.ref.key: project for project in configured}, store)
    tokens = SendTokens(state_dir, lambda directory: sessions.at_directory(directory))  # noqa: PLW0108  as above
    marks = Marks(surroundings.config, state_dir, tokens, complain)
    console = ConsoleChat(
        clock,
        version=version("kugetsu"),
        refs=lambda: _refs(store),
        demo=surroundings.demo is not None,
        token_fits=tokens.fits,
    )
    messengers = _messengers(settings, store, clock) if bot else []
    calls = CallLog(state_dir / "calls.log", clock)
    relays = {m.platform: Relay(store, m, clock, surroundings.fault, complain, calls) for m in messengers}
    chats: dict[str, ChatPort] = {CONSOLE: console, **surroundings.chats, **relays}
    journal = Journal(store, clock, complain)
    audience = Audience(store, chats, journal, clock, complain)
    asks = Asks(store, agent, audience, clock, settings.runs.question_timeout)
    offers = Offers(store)
    choices = Choices(
        settings.runs.max_concurrent,
        settings.opencode.model,
        settings.opencode.agent,
        auto_resume=settings.runs.auto_resume,
    )
    stalls = Stalls(audience, clock, settings.runs.stall_after)
    roster = Roster(settings.people("admins"), settings.people("drivers"), settings.people("viewers"))
    people = People(store, roster, clock)
    bases = Bases(store, agent, workspace, clock, choices.model, choices.agent)

    sessions = Sessions(store, agent, workspace, bases, clock, state_dir, marks.write, surroundings.fault)
    callers = Callers(store, projects, sessions, people, settings.default_instance)
    spending = Spending(store, callers, people, clock)
    turns = Turns(store)
    runs = Runs(
        store,
        agent,
        workspace,
        projects,
        sessions,
        audience,
        asks,
        offers,
        stalls,
        spending,
        turns,
        journal,
        clock,
        choices,
        surroundings.fault,
        complain,
        _each(logs.name, marks.renew),
    )
    mailboxes = Mailboxes(runs.next, complain)
    strangers = Strangers(store, people)
    prompts = Prompts(store, mailboxes, audience, spending, offers, settings.runs.queue_depth, logs.enable)
    keeping = Keeping(settings.sessions.max_per_project, settings.sessions.archive_after)
    ending = Ending(store, agent, workspace, projects, clock, keeping)
    census = Census(store, agent, workspace, projects, ending, clock, state_dir)
    edits = MirrorEdits(state_dir, store, mirror, settings.default_instance)
    adoption = Adoption(edits, store, agent, workspace, projects, sessions, clock, log.warning)
    transfer = Transfer(store, agent, workspace, TarArchives(), projects, sessions, clock)
    forges = Forges(
        {host: ForgeConfig(f.kind, f.token.get_secret_value(), f.api_base) for host, f in settings.forges.items()},
        clock,
    )
    issues = Issues(store, projects, audience, forges.get, complain)
    pulls = Pulls(store, audience, offers, forges.get, clock, complain)
    doctor = Doctor(
        settings,
        surroundings.config,
        state_dir,
        projects.all,
        agent,
        workspace,
        forges,
        census,
        lambda: messengers or _messengers(settings, store, clock),
        lambda: people.nobody,
        running=bot,
    )
    conductor = Conductor(store, projects, sessions, runs, ending, issues, callers, prompts, audience, offers)
    overview = Overview(store, workspace, projects, bases, callers, prompts, audience, offers, clock, doctor.reply)
    upkeep = Upkeep(store, callers, runs, ending, census, adoption, transfer, audience, offers, clock)
    files = Files(store, workspace, sessions, audience)
    changes = Changes(store, agent, workspace, projects, callers, audience, state_dir / "outgoing")
    asides = Asides(store, agent, projects, sessions, audience, callers, spending, choices, complain)
    steering = (
        Waiting(store, callers, runs, offers, clock),
        Undo(store, agent, workspace, turns, callers, offers),
        Tuning(store, agent, turns, callers, audience, offers, choices, conductor.retry_last),
        Permissions(store, projects, callers, offers),
        Finish(store, workspace, projects, callers, turns, audience, offers, pulls, complain),
    )
    commands = (conductor, overview, upkeep, files, changes, strangers, Why(store), spending, asides, *steering)
    handlers = {name: handler for part in commands for name, handler in part.commands.items()}
    reception = Reception(store, callers, handlers, conductor.say, runs.stop_run, asks, offers, clock, complain)
    voice = settings.transcription
    transcriber = OpenAiTranscriber(voice.url, voice.key.get_secret_value(), voice.model) if voice.url else None
    waiting = settings.runs.backlog
    inbox = Inbox(
        store,
        reception,
        relays,
        Placing(store, offers),
        Arrivals(state_dir / "incoming", transcriber),
        people,
        strangers,
        BacklogPolicy(waiting.ask_after, waiting.ask_above, waiting.drop_after),
        clock,
        surroundings.fault,
        complain,
    )
    recovery = Recovery(store, audience, offers, relays, inbox, clock)
    return Parts(
        store,
        mirror,
        agent,
        console,
        reception,
        mailboxes,
        runs,
        recovery,
        audience,
        journal,
        projects,
        sessions,
        workspace,
        doctor,
        logs,
        census,
        ending,
        issues,
        forges,
        adoption,
        people,
        pulls,
        asides,
        inbox,
        Platforms(relays, inbox),
    )


def _each(*told: Callable[[Session], None]) -> Callable[[Session], None]:
    def tell(session: Session) -> None:
        for call in told:
            call(session)

    return tell


def _messengers(settings: Settings, store: SqlStore, clock: SystemClock) -> list[Messenger]:
    found: list[Messenger] = []
    if telegram := settings.adapters.telegram:
        # Only here: its library takes 20 MB, which a bot without it need not pay for.
        from adapters.telegram import chats  # noqa: PLC0415
        from adapters.telegram.messenger import TelegramMessenger  # noqa: PLC0415
        from adapters.telegram.settings import TelegramSettings  # noqa: PLC0415

        async def known(chat: str, message: str) -> bool:
            # Where chats count their messages together, a number says nothing about which of them it is in.
            return await store.knows_message("telegram", chat if chats.is_supergroup(chat) else None, message)

        account = TelegramSettings(
            telegram.token.get_secret_value(),
            telegram.api_base,
            telegram.webhook.url,
            telegram.webhook.listen,
            telegram.webhook.secret.get_secret_value(),
        )
        found.append(TelegramMessenger(account, clock, log.warning, known))
    return found


async def _refs(store: SqlStore) -> list[str]:
    return [str(session.key) for session in await store.sessions()]

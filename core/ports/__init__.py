"""What core needs from outside, as protocols. Adapters implement them; bot.wiring puts them together.

One module a neighbour: the agent, the checkout, the store, the forges, the chats.
"""

from core.ports.agent import AgentModel, AgentPort, AgentProfile, AgentRun, AgentSession, Capabilities, Known
from core.ports.archives import Archives, Parcel
from core.ports.chat import ChatPort, Intake, LiveMessage, Press, Reply, RunHeader, RunReport
from core.ports.clock import Clock
from core.ports.forge import Check, Checks, Comment, Forge, Issue, PullRequest
from core.ports.store import MADE, Ask, Chunk, DayBudget, Delivery, Operation, Received, Store, source_of
from core.ports.workspace import Checkout, FileChange, Located, Stake, Trace, Work, Workspace

__all__ = [
    "MADE",
    "AgentModel",
    "AgentPort",
    "AgentProfile",
    "AgentRun",
    "AgentSession",
    "Archives",
    "Ask",
    "Capabilities",
    "ChatPort",
    "Check",
    "Checkout",
    "Checks",
    "Chunk",
    "Clock",
    "Comment",
    "DayBudget",
    "Delivery",
    "FileChange",
    "Forge",
    "Intake",
    "Issue",
    "Known",
    "LiveMessage",
    "Located",
    "Operation",
    "Parcel",
    "Press",
    "PullRequest",
    "Received",
    "Reply",
    "RunHeader",
    "RunReport",
    "Stake",
    "Store",
    "Trace",
    "Work",
    "Workspace",
    "source_of",
]

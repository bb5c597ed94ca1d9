"""What core needs from outside, as protocols. Adapters implement them; bot.wiring puts them together.

One module a neighbour: the agent, the checkout, the store, the forges, the chats.
"""

from core.ports.agent import AgentPort, AgentRun, AgentSession, Capabilities, Known
from core.ports.archives import Archives, Parcel
from core.ports.chat import ChatPort, Intake, LiveMessage, Press, Reply, RunHeader, RunReport
from core.ports.clock import Clock
from core.ports.forge import Comment, Forge, Issue
from core.ports.store import MADE, Ask, Chunk, Delivery, Operation, Received, Store, source_of
from core.ports.workspace import Checkout, Located, Stake, Trace, Workspace

__all__ = [
    "MADE",
    "AgentPort",
    "AgentRun",
    "AgentSession",
    "Archives",
    "Ask",
    "Capabilities",
    "ChatPort",
    "Checkout",
    "Chunk",
    "Clock",
    "Comment",
    "Delivery",
    "Forge",
    "Intake",
    "Issue",
    "Known",
    "LiveMessage",
    "Located",
    "Operation",
    "Parcel",
    "Press",
    "Received",
    "Reply",
    "RunHeader",
    "RunReport",
    "Stake",
    "Store",
    "Trace",
    "Workspace",
    "source_of",
]

"""`config.yaml` as typed, frozen values."""

from bot.settings.load import find_config, load
from bot.settings.model import Settings

__all__ = ["Settings", "find_config", "load"]

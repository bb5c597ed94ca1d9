"""GitHub, Gitea, Forgejo and GitLab as `core.ports.Forge`: issues, pull requests, and what ran on a commit."""

from adapters.forge.forges import ForgeConfig, Forges, default_api_base
from adapters.forge.http import Health

__all__ = ["ForgeConfig", "Forges", "Health", "default_api_base"]

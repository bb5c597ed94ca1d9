"""Which repositories kugetsu works on: the configuration's, and those people added from inside a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core import refs
from core.errors import NotFound
from core.model import Project, ProjectRef
from core.ports import Store


class Projects:
    """Look-up by ref or by where somebody stands."""

    def __init__(self, configured: Mapping[str, Project], store: Store) -> None:
        self._configured = dict(configured)  # by ProjectRef.key
        self._store = store

    async def all(self) -> list[Project]:
        """The configured ones first; they win over adopted ones of the same ref."""
        found = dict(self._configured)
        for ref, path in (await self._store.adopted_projects()).items():
            project = Project(refs.parse_project(ref), path)
            found.setdefault(project.ref.key, project)
        return list(found.values())

    async def get(self, ref: ProjectRef) -> Project:
        """Raises NotFound, naming the projects there are."""
        if configured := self._configured.get(ref.key):
            return configured
        projects = await self.all()
        found = next((project for project in projects if project.ref.key == ref.key), None)
        found = found or next((project for project in projects if ref.key in names(project)), None)
        if found:
            return found
        known = ", ".join(f"`{project.ref}`" for project in projects) or "none yet"
        raise NotFound(
            f"There is no project `{ref}`. Known: {known}.",
            f"Add it to `projects:` in config.yaml (`{ref}: {{path: …}}`), or run `kugetsu chat` inside its checkout.",
        )

    async def at(self, directory: Path | None) -> Project | None:
        """The project whose checkout contains `directory`."""
        if directory is None:
            return None
        for project in await self.all():
            if directory.resolve().is_relative_to(project.path.resolve()):
                return project
        return None


def names(project: Project) -> frozenset[str]:
    """The keys of the refs under which a project's sessions go: its own, and `local/<folder>` for `new`."""
    return frozenset({project.ref.key, refs.local_project(project.path.name).key})

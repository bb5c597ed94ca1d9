"""A world, as for core."""

from tests.unit.core.conftest import blank_database, outside, world

__all__ = ["blank_database", "outside", "world"]

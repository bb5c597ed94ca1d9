"""Tests of core: pure parts by property, acting parts on the real store with scripted ports."""

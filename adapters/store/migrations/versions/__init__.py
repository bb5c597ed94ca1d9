"""One file a revision; tables.SCHEMA names the newest."""

"""The durable truth below `state_dir`: one SQLite database, and its mirror in JSON files for people and scripts."""

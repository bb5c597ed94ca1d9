"""The file a session travels in between machines."""

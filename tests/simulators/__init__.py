"""Stand-ins for the outside world, used by contract and end-to-end tests."""

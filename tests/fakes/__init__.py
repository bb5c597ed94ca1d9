"""Small real implementations of ports, in memory."""

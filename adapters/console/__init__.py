"""The terminal as a chat platform: a Unix socket that the command line and `kugetsu chat` are clients of."""

"""The composition root: settings, wiring, service and command line. Nothing imports it."""

"""Telegram: chat, parsing of updates, rendering of Markdown."""

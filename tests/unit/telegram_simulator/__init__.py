"""The Telegram simulator against raw HTTP and the real python-telegram-bot."""

"""`python -m bot` is `kugetsu`."""

from bot.cli import main

main(prog_name="kugetsu")

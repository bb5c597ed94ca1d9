"""What kugetsu costs, measured: `make bench` prints it and writes RESULTS.md.

    compare      `opencode run`, bare HTTP and kugetsu side by side on the real opencode, with a scripted model
    own_share    kugetsu alone: from message to prompt and from event to chat call, while many runs are live
    throughput   how many events one core keeps up with
    memory       resident memory, its growth, and the time until the bot listens
    telegram     the bot on the Telegram simulator: beside bare HTTP on the real opencode, and in a hundred chats

All but the first and half of the last run against `synthetic`, a server that speaks opencode's protocol and stamps what
it sends. It and the system under test (`subject`, which plays a `scenarios` function) are processes of their own, so
that neither is measured in the other's event loop; stamps are of the system's monotonic clock, which all processes
share.
"""

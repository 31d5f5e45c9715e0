"""Commands. To add one: a file with `add(commands)`, which declares its arguments, and one entry in COMMANDS.

Imports at the head of these files are light: what a command needs is imported when it runs.
"""

from streammon.commands import (
    backtest,
    baseline,
    check,
    compare,
    dead_letters,
    demo,
    doctor,
    init,
    record,
    replay,
    report,
    run,
    simulate,
    tail,
    topics,
)

COMMANDS = (
    demo,
    run,
    replay,
    compare,
    backtest,
    report,
    simulate,
    record,
    baseline,
    topics,
    tail,
    dead_letters,
    init,
    check,
    doctor,
)

"""A bot that waits for alerts whose rule says `action: rollback`, and prints the command for each.

    python examples/rollback.py --broker localhost:9092 --group rollback-bot

It prints, and does nothing else: put subprocess.run(command) in the place of print when you trust your rules. Stop it
with Ctrl-C; the next start goes on where this one was.
"""

import argparse
import logging
import shlex
import sys

from streammon.sdk import AlertConsumer, AlertEvent, Refusal


def rollback(alert: AlertEvent) -> list[str]:
    """The command, as a list: ids are text of whoever writes to the topic, and no shell may see them unquoted.

    `--name=value` in one piece, so that an id cannot pass for an option. It says from which version, so that to run it
    twice does no harm: a bot that dies after the rollback and before the next alert sees this one again.
    """
    model, version, lane = alert.series
    return ["deploy", "rollback", f"--model={model}", f"--from-version={version}", f"--lane={lane}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", default="localhost:9092")
    parser.add_argument("--group", default="rollback-bot", help="has a position of its own in the topic")
    parser.add_argument("--topic", default="streammon-alerts")
    parser.add_argument("--timeout", type=float, help="end after so many seconds without alerts")
    args = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s")  # outages, records that cannot be read

    # A new group begins with alerts that come from now on: nobody wants the rollbacks of last year. FIRING comes once
    # for each alert; ONGOING and RESOLVED are its later life.
    with AlertConsumer(
        args.broker, group=args.group, topic=args.topic, states=("FIRING",), timeout=args.timeout
    ) as alerts:
        for alert in alerts:
            if alert.action != "rollback":
                continue
            command = rollback(alert)
            if not all(part.isprintable() for part in command):  # shlex quotes for shells, not for terminals
                print(f"# alert {alert.alert_id}: {alert.series!a} is no name of ours", flush=True)
                continue
            print(shlex.join(command), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except Refusal as refusal:  # says what to do
        sys.exit(f"rollback.py: {refusal}")

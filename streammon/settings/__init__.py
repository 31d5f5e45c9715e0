"""Settings: what the user wrote, checked; the only reader of the environment.

Three layers, each over the one before: a YAML file, the environment (`STREAMMON_TOPICS__EVENTS=...`), the command line.
`load` joins them into a frozen `Settings`; `plan` takes from it what changes results; `kafka_options` is the one place
where secrets are revealed.

    document.py      YAML with the line of every key         durations.py     "90s", "1m", windows
    layers.py        file, environment, command line, joined kafka.py         reserved and secret Kafka options
    problems.py      errors as lines for a person            measurements.py  names that a rule may watch
    kinds.py         what each kind of value accepts         section.py       what all mappings have in common
    rules.py         keys of a rule, from its kind           windows.py       windows, and the series they are for
    model.py         the shape, checks across sections       convert.py       Settings to plan, Kafka options, YAML
"""

from streammon.settings.convert import dump, kafka_options, plan
from streammon.settings.decoding import CANONICAL_SCHEMA
from streammon.settings.layers import load
from streammon.settings.model import Settings

__all__ = ["CANONICAL_SCHEMA", "Settings", "dump", "kafka_options", "load", "plan"]

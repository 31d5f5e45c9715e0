"""The oracle: what streammon must publish, written a second time, one event at a time, from the documents alone.

Nothing here imports streammon; the schema files are the only thing that the two share. Slow on purpose: raw values are
kept per window and every number is computed from its definition when the window closes.

    files     bytes -> events, verdicts on bad records, baseline directories
    clock     which event is late, which window closes at which record
    measure   the measurements of one window from its raw events
    judge     threshold rules and the life of an alert
    oracle    all of it: run(records, topic, config)
    compare   differences between the oracle's result and what was published
    streams   small random event streams for property tests
    timelines random timelines of bare events, for what is about time alone
"""

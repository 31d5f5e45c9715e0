"""After the fact: two runs side by side, another policy over the same metric events, alerts against known incidents.

All of it reads what was published (metric and alert events), all of it in event time:

    published.py   where it lies: a folder or the topics         compare.py     two runs, event by event
    episodes.py    alert events to episodes                      differences.py two events, field by field
    policies.py    judged again; which alerts change             detection.py   which alert found which incident
    survey.py      how much there was to alert on                scorecard.py   rule by rule: found, missed, false
    study.py       policies and incidents in one pass
"""

"""Whatever talks to a broker.

The worker: `source` (over `batches` and `librdkafka`), `sink`, `state`, `ends`. Commands: `admin`, `topics`, `access`,
`probe`, `reader`, `producer`. All of them: `errors`.
"""

"""A real Kafka broker for tests: how one is found or started, and small tools to write, read and look."""

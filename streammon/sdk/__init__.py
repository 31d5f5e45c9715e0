"""What other people's services import: the producer of inference events, the consumer of alerts. Light and harmless."""

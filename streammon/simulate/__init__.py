"""A simulated inference service: a real torch network on real images, whose events drift on demand.

    config       what to simulate, checked
    images       scikit-learn's digits, the pictures that arrive, and their 16 summary statistics
    network      the classifier: training, inference
    drift        what each kind of drift changes
    timing       when predictions are made and their records arrive
    stream       events as columns, chunk by chunk: a pure function of the configuration
    partitioner  Kafka's partition of a key
    output       to a file of envelopes, to Kafka

Importing this package or `config` is cheap; torch and scikit-learn are imported when a stream starts.
"""

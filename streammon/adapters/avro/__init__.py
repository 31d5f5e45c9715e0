"""Avro in the values of records.

    schema ─► program (paths, wants, columns, fit, emit) ─► kernel (ops, wire, cells, decimal) ─► blocks ─► decoder

The decoder finds the datum by its `framing`. `walk` and `reading` are the slow way, for a person who looks at one
record; `sources` tells what is read from where.
"""

"""The documentation: tables that are made from code, links, and commands that are run."""

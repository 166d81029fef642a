"""What a triage costs beside other tools on the same disk: ``python -m tests.benchmarks --help``."""

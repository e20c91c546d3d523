"""What demo, tests and benchmarks run against, on one machine and with no cluster of their own."""

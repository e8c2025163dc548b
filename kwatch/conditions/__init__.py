"""What `wait`, `--until` and `--fail-on` wait for: predicates over objects, and the wait as a machine without I/O."""

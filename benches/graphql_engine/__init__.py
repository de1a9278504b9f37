"""What GraphQL costs: memory of large answers, and in `run.sh` time and allocations of the engine."""

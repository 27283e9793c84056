"""From layers to a program that runs: graph, planner, memory, threads. Knows nothing of models."""

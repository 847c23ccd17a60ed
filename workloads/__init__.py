"""What is computed: models with their seeded inputs and weights, one file a family.

A family's file holds `WORKLOADS`, a tuple of objects that satisfy `bench.interfaces.workload.Workload`, and
imports torch only inside functions; the larger families' modules lie in `modules`. Putting the file here is
all it takes to add one; another distribution names its tuple in an entry point of the group
`bakeoff.workloads`.
"""

"""The modules that the families build. These files import torch, and are imported where a module is built; a
family's own file is read wherever workloads are listed.

A module's parameters stand in the order in which they are declared: seeded weights are drawn in that order.
"""

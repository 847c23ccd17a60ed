"""A distribution of somebody else's, found by its entry points: a workload that takes moments to prepare."""

from workloads.cnn import ResNet, ResNetConfig

ARCHITECTURE = ResNetConfig(blocks=(1, 1), width=24, classes=10, image=32)
TINY = (ResNet("tiny-cnn", "two bottleneck blocks on 32×32 images", ARCHITECTURE),)

"""GPUs as the parent knows them: names, what NVML reads while others measure, what they can at most.

| file | what it is for |
| --- | --- |
| devices | what `cuda:1` means, and how a worker comes to see its own alone |
| nvml | the driver's library as plain data |
| watch, link | the process that reads on, and the parent's hold on it |
| part, figures | what its readings say of a part's workers: memory, clocks, energy and its doubts |
| limits, ceilings | what a device can at most, measured once, and a row's share of it |
| fitness | the doctor's checks |
"""

"""The other side of `python -m benchmarks parity`: each runtime's own API, called as its README calls it.

One file a backend with `loop(job, feeds)`: it loads the model file of the case and returns a function that
puts NumPy arrays in and hands NumPy arrays out, with nothing of bakeoff around it. `python -m backends.bare`
stands in for a worker and times that function by a bare loop.
"""

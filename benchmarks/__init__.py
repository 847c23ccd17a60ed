"""bakeoff's own speed: `python -m benchmarks [NAME …]` prints figures and asserts nothing.

`pytest benchmarks/` is another thing: it shows how pytest-benchmark measures a verified case.
"""

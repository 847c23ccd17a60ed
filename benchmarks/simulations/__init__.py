"""The rules of docs/method.md at work where the truth is known: `python -m benchmarks.simulations [NAME …]`.

One file a rule; `simulate()` gives its table. Each draws figures from `noisy` and judges them by bakeoff's
own functions, not by copies of them. NumPy alone, seeded: the same table every time.
"""

# In the order of docs/method.md.
NAMES = (
    "pairing",
    "cold",
    "warmup",
    "coverage",
    "estimators",
    "rounds",
    "looks",
    "equivalent",
    "detectable",
    "many",
    "winner",
    "gate",
    "tails",
    "disturbed",
    "steady",
    "anchor",
    "narrow",
)

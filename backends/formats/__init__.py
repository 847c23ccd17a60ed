"""How the model files that backends load are made: one converter a file, as `bench.interfaces.converter` has
it.

What these need besides bakeoff's own packages stands in `NAME.txt` beside them, and the converter names it
(`Converter.tools`): it then runs in the environment of that name.
"""

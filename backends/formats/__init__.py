"""How model files are made that several backends load: one converter per file, as
`bench.interfaces.converter` has it. A backend's own are in its folder.

What these need besides bakeoff's own packages stands in `to-NAME.txt` beside them, and the converter names it
(`Converter.tools`): it then runs in the environment of that name.
"""

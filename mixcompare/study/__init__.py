"""Studies: one TOML file that says what is fitted, how, and where the report goes.

Rooms: `file`, what is asked; `mechanism`, data that are simulated; `task`, one fit; `run`, all of
them on any number of workers; `measures` and `report`, what comes out. It may import everything
but the command line.
"""

"""The command line: every command of ``mixcompare``.

Arguments, what is printed, and exit codes. It may import everything and nothing imports it.
"""

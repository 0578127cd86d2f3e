"""Files of results: written whole or not at all, checked when read, and kept from overwriting.

Nothing here knows what a file holds. It may import its neighbours in `base` alone.
"""

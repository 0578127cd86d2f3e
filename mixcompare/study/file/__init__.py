"""A study file: its tables, checked as a whole before anything is fitted.

It may import the packages below `study`, and no other room of it.
"""

"""Running a study: tasks, workers, the store, and what a killed run leaves.

It may import every other room of `study`; a change here changes no number of a finished task.
"""

"""Arrays, errors, argument checks, files and the machine: what every package may use.

The bottom of the package: names of array types, errors with their remedy, checks of arguments,
files that appear complete or not at all, and what the machine has. It imports nothing of the
package above it and knows no model, no data and no fit.
"""

"""From a table to a panel: columns, units, cells, designs and rows to predict for.

Reads files and data frames and checks them against a specification. It may import `model` and
what is below; it knows no backend, and nothing here is compressed or scaled.
"""

"""Studies: one TOML file that says what is fitted, how, and where the report goes."""

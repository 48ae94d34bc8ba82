"""The groups of `dose` commands, one module each; thin, the work is elsewhere."""

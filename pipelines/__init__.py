"""Background processes and the `dose` command, on the public names of `dose_lib`."""

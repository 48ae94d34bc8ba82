"""Documentation; pages that repeat code are generated from it (`make docs`)."""

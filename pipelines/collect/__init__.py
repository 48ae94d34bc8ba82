"""Collecting: what lies in PACS, web archives, folders and other systems, and what is missing.

All routes end in the same spool as the listener's; nothing here reads an object.
"""

"""Compiled passes for one normal response and static classes, a special case for speed."""

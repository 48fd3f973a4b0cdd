"""Text to plain values: YAML and JSON files of several documents.

Invariant: whatever the text holds, the outcome is values or a DocumentSyntaxError that says where in the file the
mistake is.
"""

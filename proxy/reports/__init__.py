"""What the proxy says about itself, as values, tables and words. Pure: the HTTP servers and the commands share it."""

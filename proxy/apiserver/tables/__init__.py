"""Objects as kubectl prints them."""

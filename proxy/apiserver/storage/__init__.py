"""The objects of the embedded API: one store, one database file, one history."""

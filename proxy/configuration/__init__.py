"""The settings of a run: from the file, the flags and the environment to typed values."""

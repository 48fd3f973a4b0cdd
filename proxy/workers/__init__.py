"""The control process's end of the data plane: processes, channels and the rows of the shared table."""

"""What the running proxy answers about itself. It reads every part and changes none."""

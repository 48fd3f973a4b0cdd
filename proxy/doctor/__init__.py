"""`svcproxy doctor`: what this machine permits, what is in the way of which path, and what to do.

`machine` looks, `findings` judges. Invariant: nothing on the machine is changed by looking.
"""

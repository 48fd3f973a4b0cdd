"""What the commands share that look at a running proxy: the way to it, what there is to see, and how it is shown.

May import `model` and the reports and tables of `admin`, and nothing that is slow to import. Invariant: reads only.
"""

"""Hardware as data, and the backends that read a cost off a program."""

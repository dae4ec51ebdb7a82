"""From an architecture to a program: graphs of mansard's ops."""

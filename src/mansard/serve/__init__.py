"""The viewer's server and the report: a page over the same answers as the command line's."""

"""Curves of one unknown, exactly: where a cost bends, where it meets a limit, which way it goes."""

"""The viewer's page: its source in ``page/``, built into ``static/``, which the wheel carries."""

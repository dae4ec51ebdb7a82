"""How many devices a service needs, laid out how."""

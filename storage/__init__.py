"""Keys and values as rows: engines, connections, schema, the unit of work and one store per family of types.

Knows nothing of Redis's protocol, of commands or of the server; nothing outside this package knows SQL.
"""

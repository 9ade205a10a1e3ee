"""The endpoints as methods, by resource; one row of the endpoint table each.

A method is a function from its arguments to ``Args``. ``request`` is the request's struct, or a
mapping of its fields. Every method takes the options of ``CallOptions`` besides its own arguments.
"""

"""A black-box check of the promises while engines fail: clients, faults, a recorded history, a checker.

Clients use three servers over HTTP and WebSocket alone and write down what they asked, when, and what they were told.
`history/checks.py` reads that history and nothing else: no promise is checked with the product's own code.
"""

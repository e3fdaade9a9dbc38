"""What was asked, how far it is, what came out: the database behind the service. No torch.

A row is the truth; a message to a worker carries one row id and may be lost, doubled or late.
"""

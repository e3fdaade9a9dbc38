"""The errors of `allocator`.

    AllocatorError
    ├── InvalidRequest       an unknown method, parameter or value
    ├── InfeasibleBudget     no plan has this budget; the message gives the range that is feasible
    ├── PlanMismatch         a plan does not fit the model, or the plan, it is brought together with
    ├── UnreadablePlan       a file is not a plan, or not one in the form that was named
    └── NotExpressible       a target (or a plan) cannot say what it is asked to

Every message is one line that names the thing, the cause and the next step.
"""


class AllocatorError(Exception):
    """Base class of every error that `allocator` raises on purpose."""


class InvalidRequest(AllocatorError):
    """An unknown method, parameter or value."""


class InfeasibleBudget(AllocatorError):
    """No plan has this budget."""


class PlanMismatch(AllocatorError):
    """A plan does not fit the model, or the plan, it is brought together with."""


class UnreadablePlan(AllocatorError):
    """A file is not a plan, or not one in the form that was named."""


class NotExpressible(AllocatorError):
    """A target (or a plan) cannot say what it is asked to; the message gives the nearest."""

"""A plan in the forms of other tools."""

from allocator.forms.export import Export
from allocator.forms.nearest import Compromise
from allocator.forms.registry import writer
from allocator.plan import Plan


def export_plan(plan: Plan, to: str, *, nearest: bool = False) -> Export:
    """The files that say a plan to another tool; `to` is a target such as `mola` or `peft`.

    Where the target cannot say the plan, NotExpressible names the nearest that it can; with
    `nearest` that is written, and said in the warnings. Raises InvalidRequest for an unknown
    target, UnreadablePlan for a plan that was damaged.
    """
    return writer(to)(plan, Compromise(nearest))

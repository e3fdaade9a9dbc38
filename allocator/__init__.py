"""Exponents or shapes and a budget to a plan: how many LoRA experts each layer gets.

planner, curve: make_plan, plan and budget_curve (also as tailora.plan and tailora.budget_curve)
plan, options, request: the plan's schema; what a plan is asked to be; both brought together
methods, alphalora, mola, integers: the rules, and their exact rounding
budget, subject, stability: the total, what is planned for, what other estimators would say
compare, comparison, changes, reasons: plans side by side, how far apart they are and why
explain, explanation, explaining: a plan in words
slots, rank, wording: a plan's counts row by row, their order; numbers and places as words
exports, imports, forms: a plan in the forms of other tools, and back
live: match a plan with a live model
errors: the exception tree
"""

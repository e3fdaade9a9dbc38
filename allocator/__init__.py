"""Exponents or shapes and a budget to a plan: how many LoRA experts each layer gets.

planner, curve: make_plan, plan and budget_curve (also as tailora.plan and tailora.budget_curve)
variants: other plans over a plan's modules: another method's, or its counts in another order
plan, read: the plan's schema, and a document of it read back
options, request: what a plan is asked to be, resolved against what it is made for
methods, alphalora, mola, integers: the rules, and their exact rounding
budget, subject: the total, and what is planned for
evidence, stability, scatter: what a plan is questioned with, and what comes of it
compare, comparison, changes, reasons: plans side by side, how far apart they are and why
explain, explanation, explaining: a plan in words
slots, rank, wording: a plan's counts row by row, their order; numbers and places as words
exports, imports, forms: a plan in the forms of other tools, and back
live: match a plan with a live model
errors: the exception tree
"""

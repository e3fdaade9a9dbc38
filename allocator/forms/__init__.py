"""Forms of other tools, one file a form: writing it, reading it, and its traps.

registry: which forms there are
recognise: which form a file obviously has
table, sheet: a plan as rows of layers and modules; as cells of text
draft: what a file says, with what it leaves open filled in
nearest: the nearest table that a target can say
targets: names of modules for trainers that take them for the whole model
shell, texts: flags in scripts; text from strangers
mola, guilomo, moe_peft, adamole, peft, peft_read, csv_table, markdown, lists, scores: the forms
"""

"""The user's data: from files to samples with labels, and a report before training starts.

read, arrow: files and saved datasets as rows, each with the number that a user looks for
columns, examples: which form the columns have, and what a row says in it
encode, chat: what a row says as token ids, and where the loss lies
split: a share held out for evaluation
look: whether a file can be read, and its columns, before anybody trains on it
report: what was used, what was not, and why
prepare: all of it
collate: samples side by side (torch)
"""

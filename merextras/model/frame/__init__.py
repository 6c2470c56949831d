"""The border with the user's tables.

Read `kinds` (what a column holds: numbers, dates, labels), `read` (a table or column of the user's
in its normal form), `arrow_batches` (arrow's batches as frames), `labels` (matching levels by value
and kind) and `engine_frame` (a frame as a formula engine should see it).
"""

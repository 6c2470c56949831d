"""Predictions of rows: of the fit, of new data, of rows left out, and of a stream.

Read `predict`, `predict_generalised` (on the scale of the link or of the response),
`cross_validate` (rows and groups that the fit has not seen) with `cross_validate_generalised` (its
scores of yes or no, and counts) and `stream_rows` (another pass over
data that the model did not keep).
"""

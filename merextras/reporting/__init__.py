"""Views of a model, and the report of them as one HTML file.

A *view* is what one question about a model is answered with: tables, figures, notes, and the code
that makes them again. The views are functions in `contents`, which know nothing of a page; the
report prints some of them, the explorer all. Read `script` and `view` first, then one of
`contents`; `cases` are those to predict for, `words` says a model in sentences, `session` what it
was made with; `figures`, `tables` and `symbols` make HTML of what a view holds; `document` is
`report`.
"""

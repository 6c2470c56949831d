"""Predictions of rows (`predictions`), of cases in other groups (`what_if`), means (`emmeans`)."""

"""What lme4's accessors return, from a fitted model."""

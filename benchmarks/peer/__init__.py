"""Other predictors, asked the same questions: where they are, what they answer, how they differ."""

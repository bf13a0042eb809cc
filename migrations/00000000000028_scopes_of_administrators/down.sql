-- Scopes that the release before doesn't know count for nothing in it: they may stay.
SELECT 1;

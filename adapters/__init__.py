"""Each folder speaks to exactly one outside thing; none imports another."""

"""Who is a query, who is the base, and who is relevant to whom."""

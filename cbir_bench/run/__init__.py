"""The only stage that knows all others: suite, plan, worker, execution."""

"""Ways of counting what stands above a relevant item in rankings that are never stored."""

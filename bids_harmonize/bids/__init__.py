"""Files and names of BIDS datasets: the only code that knows them."""
